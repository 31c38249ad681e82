//! `lacuna similar`.

use super::task::Task;
use clap::Args;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::listing::ListArgs;
use super::progress::Progress;
use super::{show, terminal};
use crate::error::Result;
use crate::serving::{SimilarConfig, similar};

#[derive(Debug, Args)]
#[command(after_help = "\
Vectors are compared without biases. cosine finds the same taste, whatever the
popularity. dot favours long vectors, which popular items have. Neighbours with
equal scores are ordered by id.

Rows: item_id, similar_item_id (or user_id, similar_user_id), rank, score; title
with --item-names.

Examples:
  lacuna similar model --item 1 --item-names movies.csv
  lacuna similar model --user 42 -n 5
  lacuna similar model --all -n 20 -o neighbours.parquet")]
pub(super) struct SimilarArgs {
    #[command(flatten)]
    pub(super) config: SimilarConfig,
    #[command(flatten)]
    pub(super) list: ListArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for SimilarArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.config.model)
    }

    fn output(&self) -> Option<&Path> {
        self.list.to.as_deref()
    }

    fn files(&self) -> Vec<(&'static str, Option<&Path>)> {
        vec![("--item-names", self.config.titles.item_names.as_deref())]
    }
}

fn run(args: &SimilarArgs, context: &Context) -> Result<()> {
    let to = args.list.destination(!args.config.all, args.output.json)?;
    let progress = Progress::without_bars_over(&args.output, &to);
    let (in_memory, streamed) = (to.is_memory(), to.is_stream());
    let outcome = similar(&args.config, to, &context.job(&|event| progress.show(event)));
    progress.finish();
    let outcome = outcome?;
    for warning in &outcome.warnings {
        terminal::warning(warning);
    }
    if args.output.json && !streamed {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    if in_memory {
        let head = format!("similar to {}", outcome.side.name());
        return terminal::print(&show::lists(&outcome.lists, &head));
    }
    if !args.output.quiet {
        let what = outcome.side.name();
        terminal::note(&format!("{} neighbours of {} {what}s", outcome.rows, outcome.keys));
    }
    Ok(())
}
