//! `lacuna fold-in`.

use clap::Args;

use super::context::{Context, OutputArgs};
use super::show;
use crate::error::Result;
use crate::serving::{FoldInConfig, fold_in};

#[derive(Debug, Args)]
#[command(after_help = "\
Solves the vector of each user in NEW_RATINGS (its complete history, not only
what is new) from its ratings, the items fixed: what the next half-sweep of
training would give. Users that the model has are replaced, others added. The
new version has an identity of its own and keeps the ratings, so that they are
not recommended; metrics are those of the training. Exports are not taken over.
Exact for models of als, ials and bayes (vb); other algorithms refuse.

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

pub(super) fn run(args: &FoldInArgs, context: &Context) -> Result<()> {
    let outcome = fold_in(&args.config, &context.job(&|_| {}))?;
    args.output.print(&outcome, &outcome.warnings, show::folded_in)
}
