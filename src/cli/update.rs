//! `lacuna update`.

use clap::Args;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::show;
use crate::error::Result;
use crate::serving::{UpdateConfig, update};

#[derive(Debug, Args)]
#[command(after_help = "\
Solves the users of NEW_RATINGS and the items of which a rating changed, each from
its full history: the ratings that the model was trained on (which must still be
there), with NEW_RATINGS in the place of what was known of its users, or beside it
with --add. All other rows stay as they are. Ratings that are held out to measure
the model stay held out. Says when a full training is due. Exact for models of als
and ials; other algorithms refuse.

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

pub(super) fn run(args: &UpdateArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = update(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let outcome = outcome?;
    args.output.print(&outcome, &outcome.warnings, show::updated)
}
