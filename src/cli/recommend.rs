//! `lacuna recommend`.

use clap::Args;

use super::context::{Context, OutputArgs};
use super::listing::ListArgs;
use super::progress::Progress;
use super::{show, terminal};
use crate::error::Result;
use crate::serving::{RecommendConfig, recommend};

#[derive(Debug, Args)]
#[command(after_help = "\
Every item that the user has not rated is a candidate; higher scores come
first, equal ones by id. The score is that of lacuna predict. What users have
rated is read again from where the model's manifest says (training ratings and
holdout), or from --seen. Users with fewer candidates than --count get fewer.
A user that the model does not know gets the most rated items, with fallback
true and the score that predict gives without the user.

--explain: a user's vector is solved from its ratings, so the score, less the
mean and the item's bias, is a sum over them; the largest positive shares are
named (of the vector solved against the published items, from which that of
the model differs a little).

Rows: user_id, item_id, rank, score; fallback where users are listed; title
with --item-names; because (JSON) with --explain.

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

pub(super) fn run(args: &RecommendArgs, context: &Context) -> Result<()> {
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
            (outcome.short_users, "with fewer candidates than asked for"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        terminal::note(&text);
    }
    Ok(())
}
