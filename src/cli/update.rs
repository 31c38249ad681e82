//! `lacuna update`.

use super::task::Task;
use clap::Args;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::show;
use crate::error::Result;
use crate::serving::{UpdateConfig, update};

#[derive(Debug, Args)]
#[command(after_help = "\
Solves the vectors of the users in NEW_RATINGS, and of the items with a changed
rating, exactly and from all of their ratings. The ratings that the model was
trained on must therefore still be available. NEW_RATINGS replaces the earlier
ratings of its users, or with --add is added to them. All other vectors stay as
they are. Held-out ratings stay held out. The command warns when a full training
is due. The model must be trained by als, ials or bayes (with --inference vb).

Examples:
  lacuna update model changed-users.csv -o model-now
  lacuna update runs/latest today.csv --add -o model-now
  lacuna update model-now tonight.csv --add -o model-now --force")]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    pub(super) config: UpdateConfig,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for UpdateArgs {
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

fn run(args: &UpdateArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = update(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let outcome = outcome?;
    args.output.print(&outcome, &outcome.warnings, show::updated)
}
