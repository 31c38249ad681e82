//! `lacuna predict`.

use std::path::PathBuf;

use clap::Args;

use super::{Context, OutputArgs, terminal};
use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::load::pairs::Pairs;
use crate::pipeline::{Intervals, predict_pairs};
use crate::store::read_model;

#[derive(Debug, Args)]
#[command(after_help = "\
score = mean + b_user + b_item + p.q. Without the user or the item, the mean and the known bias
are left (without biases, the mean of the training ratings); such predictions are flagged:
known_user, known_item.

Examples:
  lacuna predict model --user 42 --item 7 --interval
  lacuna predict model --pairs pairs.csv -o predictions.parquet
  lacuna predict model --pairs pairs.parquet --user-col uid > predictions.csv")]
pub(super) struct PredictArgs {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// A user's id.
    #[arg(long, value_name = "ID", requires = "item", conflicts_with_all = ["pairs", "to", "force", "user_col", "item_col"])]
    #[arg(allow_hyphen_values = true)]
    user: Option<String>,
    /// An item's id.
    #[arg(long, value_name = "ID", requires = "user", conflicts_with = "pairs")]
    #[arg(allow_hyphen_values = true)]
    item: Option<String>,
    /// File of pairs: CSV with header, or Parquet.
    #[arg(long, value_name = "FILE", required_unless_present_all = ["user", "item"])]
    pub(super) pairs: Option<PathBuf>,
    /// Column of the user ids in the file of pairs.
    #[arg(long, value_name = "NAME")]
    user_col: Option<String>,
    /// Column of the item ids in the file of pairs.
    #[arg(long, value_name = "NAME")]
    item_col: Option<String>,
    /// Where to write the predictions of --pairs: .parquet, else CSV; standard output by default.
    #[arg(short = 'o', long = "output", value_name = "FILE", requires = "pairs")]
    pub(super) to: Option<PathBuf>,
    /// Replace the file that --output names.
    #[arg(long)]
    force: bool,
    /// Add the predictive standard deviation (± one, in ratings; empty where the user or item is unknown)
    /// of models that keep samples: train with --algorithm bayes --keep-samples N.
    #[arg(long)]
    interval: bool,
    /// Clip predictions to the range of the training ratings.
    #[arg(long)]
    clip: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<()> {
    let (model, manifest) = read_model(&args.model)?;
    if args.clip && !model.scale.rates() {
        let message = "--clip: the scores of this model are preferences, not ratings";
        return Err(Error::Usage(message.into()));
    }
    let intervals =
        args.interval.then(|| Intervals::read(&args.model, &model, &manifest)).transpose()?;
    if let Some(path) = &args.pairs {
        if args.output.json && args.to.is_none() {
            return Err(Error::Usage("--json with --pairs needs --output FILE".into()));
        }
        let pairs = Pairs::read(path, args.user_col.as_deref(), args.item_col.as_deref())?;
        let to = args.to.as_deref().map(|to| (to, args.force));
        let outcome =
            predict_pairs(&model, &pairs, args.clip, intervals.as_ref(), to, &context.stop)?;
        if args.output.json {
            return terminal::print(&format!("{}\n", serde_json::json!(outcome)));
        }
        if !args.output.quiet
            && (args.to.is_some() || outcome.unknown_users + outcome.unknown_items > 0)
        {
            terminal::note(&format!(
                "{} pairs predicted; {} with an unknown user, {} with an unknown item",
                outcome.pairs, outcome.unknown_users, outcome.unknown_items
            ));
        }
        return Ok(());
    }
    let (user, item) =
        (args.user.as_deref().unwrap_or_default(), args.item.as_deref().unwrap_or_default());
    let (at_user, at_item) = (model.users.ids.find(user), model.items.ids.find(item));
    let scorer = model.scorer();
    let score = scorer.score(Kernels::detect(), at_user, at_item);
    let prediction = if args.clip { scorer.clip(score) } else { score };
    let deviation = intervals.map(|i| i.deviation(Kernels::detect(), at_user, at_item));
    if args.output.json {
        let mut line = serde_json::json!({
            "user": user, "item": item, "prediction": prediction,
            "known_user": at_user.is_some(), "known_item": at_item.is_some(),
        });
        if let Some(deviation) = deviation {
            line["deviation"] = deviation.into();
        }
        return terminal::print(&format!("{line}\n"));
    }
    for (side, id, known) in [("user", user, at_user), ("item", item, at_item)] {
        if known.is_none() && !args.output.quiet {
            terminal::warning(&format!(
                "unknown {side} \"{id}\": the prediction falls back without it"
            ));
        }
    }
    let deviation = deviation.flatten().map_or_else(String::new, |d| format!(" ± {d:.6}"));
    terminal::print(&format!("{prediction:.6}{deviation}\n"))
}
