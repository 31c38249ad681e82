//! `lacuna fold-in`.

use super::task::Task;
use clap::Args;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::show;
use crate::error::Result;
use crate::serving::{FoldInConfig, fold_in};

#[derive(Debug, Args)]
#[command(after_help = "\
Solves the vector of each user in NEW_RATINGS exactly, against the fixed item
vectors, as the next half-sweep of training would. NEW_RATINGS must hold all
ratings of each user, not only the new ones. Known users are replaced, and
unknown users are added. The new version of the model has its own identity. It
keeps the ratings, so that the rated items are not recommended. Its metrics are
those of the training. Exports are not copied. The model must be trained by als,
ials or bayes (with --inference vb).

Examples:
  lacuna fold-in model new-users.csv -o model-today
  lacuna fold-in model changed.csv -o model --force
  lacuna fold-in model new-items.csv --side item -o model-today")]
pub(super) struct FoldInArgs {
    #[command(flatten)]
    pub(super) config: FoldInConfig,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for FoldInArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.config.model)
    }

    fn output(&self) -> Option<&Path> {
        Some(&self.config.output)
    }
}

fn run(args: &FoldInArgs, context: &Context) -> Result<()> {
    let outcome = fold_in(&args.config, &context.job(&|_| {}))?;
    args.output.print(&outcome, &outcome.warnings, show::folded_in)
}
