//! `lacuna reconstruct`.

use super::context::Context;
use super::task::Task;
use std::path::PathBuf;
use std::process::ExitCode;

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

impl Task for ReconstructArgs {
    fn run(&self, _: &Context) -> Result<ExitCode> {
        run(self).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.model)
    }
}

fn run(args: &ReconstructArgs) -> Result<()> {
    let config = ReconstructConfig { model: args.model.clone(), clip: args.clip };
    let outcome = reconstruct(&config)?;
    if args.json {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    terminal::print(&show::matrix(&outcome.users, &outcome.items, &outcome.ratings))
}
