//! `lacuna reconstruct`.

use std::path::PathBuf;

use clap::Args;

use super::{show, terminal};
use crate::error::Result;
use crate::serving::{ReconstructConfig, reconstruct};

#[derive(Debug, Args)]
#[command(after_help = "\
Rows are users and columns are items, both sorted by id.

Example:
  lacuna reconstruct model")]
pub(super) struct ReconstructArgs {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Clip predictions to the range of the training ratings.
    #[arg(long)]
    clip: bool,
    /// Print one JSON line: users, items and a row of predictions per user.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReconstructArgs) -> Result<()> {
    let config = ReconstructConfig { model: args.model.clone(), clip: args.clip };
    let outcome = reconstruct(&config)?;
    if args.json {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    terminal::print(&show::matrix(&outcome.users, &outcome.items, &outcome.ratings))
}
