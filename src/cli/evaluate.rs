//! `lacuna evaluate`.

use clap::Args;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::show;
use crate::error::Result;
use crate::serving::{EvaluateConfig, evaluate};

#[derive(Debug, Args)]
#[command(after_help = "\
Candidates are all items of the model except those that the user rated in training; higher scores come
first, equal ones by id. Users without relevant test ratings do not count; items that the model does
not know are misses; users that it does not know are left out and counted. recall@K divides by the
number of relevant items, recall-min@K by the smaller of K and that, precision@K by K.
auc is the share of pairs of a relevant and another candidate in the right order. coverage@K is the share of
all items that are in any list, gini@K how unequally they are (0 equally, 1 always the same few),
popularity-rank@K the mean rank by training ratings of what is listed (1 is the most rated item).
The interval of the RMSE is a bootstrap over users, 95 %.

Examples:
  lacuna evaluate model
  lacuna evaluate model test.csv --relevant-from 4 --metrics recall@20,ndcg@20
  lacuna evaluate model test.csv --fold-in given.csv --json | jq .ranking")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    pub(super) config: EvaluateConfig,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &EvaluateArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = evaluate(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let evaluation = outcome?;
    args.output.print(&evaluation, &evaluation.warnings, show::evaluation)
}
