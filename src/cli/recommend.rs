//! `lacuna recommend`.

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
use crate::serving::{RecommendConfig, recommend};

#[derive(Debug, Args)]
#[command(after_help = "\
Every item that the user has not rated is a candidate. Higher scores come first;
items with equal scores are ordered by id. The score of a model of ratings
combines the predicted rating with the popularity of the item. For ials, and
with --rank-by rating, it is the score of lacuna predict.

The rated items come from the ratings that the model keeps (training ratings and
holdout), or else from the files that its manifest records. With --seen, they
come from the files of --seen instead. Users with fewer candidates than --count
get fewer items. An unknown user gets the most rated items, with the scores that
the model predicts for an unknown user; the column fallback is true.

With --explain, the user's vector is solved again from the user's ratings. The
prediction, minus the mean and the item's bias, is then a sum with one share per
rating (for bayes, plus a share of the prior). The ratings with the largest
positive shares are listed. The vector solved for the shares differs slightly
from the vector in the model.

Rows: user_id, item_id, rank, score; fallback if users are listed; title with
--item-names; because (JSON) with --explain.

Examples:
  lacuna recommend model --user 42 --item-names movies.csv
  lacuna recommend model --user 42 --explain
  lacuna recommend model -n 100 -o recommendations.parquet
  lacuna recommend model --users active.csv --min-support 20 -o top.ndjson
  lacuna recommend model --item-table movies.csv --max-per-category 5 > top.csv")]
pub(super) struct RecommendArgs {
    #[command(flatten)]
    pub(super) config: RecommendConfig,
    #[command(flatten)]
    pub(super) list: ListArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for RecommendArgs {
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
        vec![
            ("--users", self.config.users.as_deref()),
            ("--allow", self.config.allow.as_deref()),
            ("--deny", self.config.deny.as_deref()),
            ("--item-table", self.config.item_table.as_deref()),
            ("--item-names", self.config.titles.item_names.as_deref()),
        ]
    }
}

fn run(args: &RecommendArgs, context: &Context) -> Result<()> {
    let few = !args.config.user.is_empty() && args.config.users.is_none();
    let to = args.list.destination(few, args.output.json)?;
    let progress = Progress::without_bars_over(&args.output, &to);
    let (in_memory, streamed) = (to.is_memory(), to.is_stream());
    let outcome = recommend(&args.config, to, &context.job(&|event| progress.show(event)));
    progress.finish();
    let outcome = outcome?;
    for warning in &outcome.warnings {
        terminal::warning(warning);
    }
    if args.output.json && !streamed {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    if in_memory {
        return terminal::print(&show::lists(&outcome.lists, "items for user"));
    }
    if !args.output.quiet {
        let mut text = format!("{} recommendations for {} users", outcome.rows, outcome.users);
        for (count, what) in [
            (outcome.fallback_users, "unknown to the model"),
            (outcome.short_users, "with fewer candidates than requested"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        terminal::note(&text);
    }
    Ok(())
}
