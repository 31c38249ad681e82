//! `lacuna predict`.

use super::task::Task;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::context::{Context, OutputArgs};
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::serving::{PairsConfig, PredictConfig, predict, predict_pairs};
use crate::store::RowTarget;

#[derive(Debug, Args)]
#[command(after_help = "\
score = mean + b_user + b_item + p.q. If the user or the item is unknown, the
score is the mean plus the known bias (in models without biases, the mean of the
training ratings). The columns known_user and known_item flag such predictions.

Examples:
  lacuna predict model --user 42 --item 7 --interval
  lacuna predict model --pairs pairs.csv -o predictions.parquet
  lacuna predict model --pairs pairs.parquet --user-col uid > predictions.csv")]
pub(super) struct PredictArgs {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Id of the user.
    #[arg(
        long,
        value_name = "ID",
        requires = "item",
        conflicts_with_all = ["pairs", "to", "force", "user_col", "item_col"]
    )]
    #[arg(allow_hyphen_values = true)]
    user: Option<String>,
    /// Id of the item.
    #[arg(long, value_name = "ID", requires = "user", conflicts_with = "pairs")]
    #[arg(allow_hyphen_values = true)]
    item: Option<String>,
    /// File of user-item pairs, in any format of rating files: CSV, TSV, Parquet and so on, also
    /// compressed. Other columns are ignored.
    #[arg(long, value_name = "FILE", required_unless_present_all = ["user", "item"])]
    pub(super) pairs: Option<String>,
    /// Column of the user ids in the file of pairs.
    #[arg(long, value_name = "NAME")]
    user_col: Option<String>,
    /// Column of the item ids in the file of pairs.
    #[arg(long, value_name = "NAME")]
    item_col: Option<String>,
    /// File for the predictions of --pairs: Parquet if the name ends in .parquet, otherwise CSV. By
    /// default, CSV goes to standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE", requires = "pairs")]
    pub(super) to: Option<PathBuf>,
    /// Replace the file that --output names.
    #[arg(long)]
    force: bool,
    /// Add the predictive standard deviation, on the rating scale; empty if the user or item is
    /// unknown. The model must keep a posterior: train with -a bayes, and with --inference gibbs
    /// also keep samples (--keep-samples N).
    #[arg(long)]
    interval: bool,
    /// Clip predictions to the range of the training ratings.
    #[arg(long)]
    clip: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for PredictArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.model)
    }

    fn output(&self) -> Option<&Path> {
        self.to.as_deref()
    }
}

fn run(args: &PredictArgs, context: &Context) -> Result<()> {
    match &args.pairs {
        Some(pairs) => run_pairs(args, pairs.clone(), context),
        None => run_one(args),
    }
}

fn run_pairs(args: &PredictArgs, pairs: String, context: &Context) -> Result<()> {
    if args.output.json && args.to.is_none() {
        return Err(Error::Usage("--json with --pairs needs --output FILE".into()));
    }
    let to = match &args.to {
        Some(path) => RowTarget::File { path: path.clone(), replace: args.force },
        None => RowTarget::Stream(Box::new(std::io::stdout())),
    };
    let config = PairsConfig {
        model: args.model.clone(),
        pairs,
        user_col: args.user_col.clone(),
        item_col: args.item_col.clone(),
        clip: args.clip,
        interval: args.interval,
    };
    let outcome = predict_pairs(&config, to, &Job::new(&context.stop, &|_| {}))?;
    if args.output.json {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    outcome.warnings.iter().for_each(|warning| terminal::warning(warning));
    let unknown = outcome.unknown_users + outcome.unknown_items > 0;
    if !args.output.quiet && (args.to.is_some() || unknown) {
        terminal::note(&format!(
            "{} pairs predicted; {} with an unknown user, {} with an unknown item",
            outcome.pairs, outcome.unknown_users, outcome.unknown_items
        ));
    }
    Ok(())
}

fn run_one(args: &PredictArgs) -> Result<()> {
    let config = PredictConfig {
        model: args.model.clone(),
        user: args.user.clone().unwrap_or_default(),
        item: args.item.clone().unwrap_or_default(),
        clip: args.clip,
        interval: args.interval,
    };
    let outcome = predict(&config)?;
    if args.output.json {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    let sides =
        [("user", &outcome.user, outcome.known_user), ("item", &outcome.item, outcome.known_item)];
    for (side, id, known) in sides {
        if !known && !args.output.quiet {
            terminal::warning(&format!(
                "unknown {side} \"{id}\": the prediction uses only the mean and known biases"
            ));
        }
    }
    let deviation = outcome.deviation.flatten();
    let deviation = deviation.map_or_else(String::new, |d| format!(" ± {d:.6}"));
    terminal::print(&format!("{:.6}{deviation}\n", outcome.prediction))
}
