//! `lacuna evaluate`.

use super::task::Task;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::show;
use crate::error::Result;
use crate::serving::{EvaluateConfig, evaluate};

#[derive(Debug, Args)]
#[command(after_help = "\
The candidates are all items of the model except those that the user rated in
training. Higher scores come first; items with equal scores are ordered by id.
Users without relevant test ratings do not count. Unknown items count as misses.
Unknown users are left out and counted.

precision@K, recall@K and recall-min@K count the relevant items among the first
K. precision@K divides this count by K, recall@K by the number of relevant
items, and recall-min@K by the smaller of the two. auc is the share of pairs of
a relevant and an irrelevant candidate in which the relevant one has the higher
score. coverage@K is the share of all items that occur in any list. gini@K
measures how unequally often items occur (0: all equally often, 1: always the
same few). popularity-rank@K is the mean popularity rank of the listed items,
where rank 1 is the item with the most training ratings.

The RMSE has a 95 % confidence interval, from a bootstrap over users.

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

impl Task for EvaluateArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.config.model)
    }
}

fn run(args: &EvaluateArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = evaluate(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let evaluation = outcome?;
    args.output.print(&evaluation, &evaluation.warnings, show::evaluation)
}
