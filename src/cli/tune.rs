//! `lacuna tune`.

use std::path::PathBuf;

use clap::Args;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::tuning::{TuneConfig, tune};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct TuneArgs {
    #[command(flatten)]
    pub(super) config: TuneConfig,
    /// Configuration file (TOML): keys are the long flags with _ for -, input = [...] the files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

const EXAMPLES: &str = "\
A space (TOML):
  method = \"random\"      # grid, random, halving
  trials = 60              # points drawn by random and halving
  [space]
  regularization = { low = 0.02, high = 0.5, log = true }
  reg_exponent = { low = 0.0, high = 1.0 }
  factors = [16, 32, 64, 128]

Defaults: method random, trials 40, seed 1; a grid needs lists, or ranges with steps = N.
halving runs all points for a few iterations (4 or more) and keeps the best third for three times as
many, and so on. Trial 0 are the settings as given. Tunable are the settings of the fit:
factors, regularization, reg_exponent, bias_reg, iterations, algorithm, solver and the like.

Every trial is fitted on the training ratings without a part (or with --folds K, without each of K
parts) that it is compared on, by rmse or, with ials, ndcg@10 (--patience N --criterion NAME watches the same).
The best settings are then fitted on all training ratings and scored once on the holdout.
DIR gets every finished trial at once: the same command goes on where it was stopped, with more
trials where the space asks for more. At the end trials.parquet, best.toml, report.json.

Examples:
  lacuna tune ratings.csv --space space.toml -o tuning
  lacuna train ratings.csv --config tuning/best.toml -o model";

pub(super) fn run(args: &TuneArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = tune(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    if matches!(outcome, Err(Error::Stopped)) {
        terminal::note("finished trials are kept: the same command goes on with the others");
    }
    let tuning = outcome?;
    for warning in tuning.warnings.iter().chain(&tuning.edges) {
        terminal::warning(warning);
    }
    let failures = tuning.ranked.iter().filter_map(|t| Some((t.number, t.failure.as_ref()?)));
    for (number, failure) in failures.take(3) {
        terminal::warning(&format!("trial {number} failed: {failure}"));
    }
    if args.output.json {
        let json = serde_json::to_string(&tuning).map_err(|e| Error::Internal(e.to_string()))?;
        return terminal::print(&format!("{json}\n"));
    }
    if args.output.quiet {
        return Ok(());
    }
    terminal::print(&show::tuning(&tuning))
}
