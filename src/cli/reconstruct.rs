//! `lacuna reconstruct`.

use std::path::PathBuf;

use clap::Args;

use super::terminal;
use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::report;
use crate::store::read_model;

/// Most cells that are printed: beyond it nobody reads the table.
const MOST_CELLS: usize = 10_000;

#[derive(Debug, Args)]
#[command(after_help = "\
Rows are users, columns are items, both sorted by id.

Example:
  lacuna reconstruct model")]
pub(super) struct ReconstructArgs {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Clip predictions to the range of the training ratings.
    #[arg(long)]
    clip: bool,
    /// Print one JSON line: users, items, and a row of predictions per user.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReconstructArgs) -> Result<()> {
    let (model, _) = read_model(&args.model)?;
    let (users, items) = (&model.users.ids, &model.items.ids);
    if users.len() * items.len() > MOST_CELLS {
        return Err(Error::Usage(format!(
            "{} users x {} items are too many to print (at most {MOST_CELLS} cells); \
             use predict --pairs for the cells you need",
            users.len(),
            items.len()
        )));
    }
    let (scorer, kernels) = (model.scorer(), Kernels::detect());
    let predict = |user, item| {
        let score = scorer.score(kernels, Some(user), Some(item));
        if args.clip { scorer.clip(score) } else { score }
    };
    let rows: Vec<Vec<f64>> =
        (0..users.len()).map(|u| (0..items.len()).map(|i| predict(u, i)).collect()).collect();
    let names =
        |ids: &crate::ids::Ids| (0..ids.len()).map(|i| ids.get(i).to_string()).collect::<Vec<_>>();
    if args.json {
        let line =
            serde_json::json!({ "users": names(users), "items": names(items), "ratings": rows });
        return terminal::print(&format!("{line}\n"));
    }
    terminal::print(&report::matrix(&names(users), &names(items), &rows))
}
