//! `lacuna tune`.

use super::task::Task;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Configuration file (TOML). Its keys are the long flags with _ for -, and input = [...] lists
    /// the rating files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

const EXAMPLES: &str = "\
Example of a space (TOML):
  method = \"random\"      # grid, random, halving
  trials = 60              # points drawn by random and halving
  [space]
  regularization = { low = 0.02, high = 0.5, log = true }
  reg_exponent = { low = 0.0, high = 1.0 }
  factors = [16, 32, 64, 128]

Defaults: method random, trials 40, seed 1. A grid needs lists, or ranges with
steps = N. halving fits all points for a few iterations (4 or more), then the
best third for three times as many, and so on. Trial 0 uses the untuned
settings. All settings of the fit can be tuned, such as factors, regularization,
reg_exponent, bias_reg, iterations, algorithm and solver.

Validation ratings are cut from the training ratings. With --folds K, each of K
parts of the training ratings serves as validation ratings in turn. Every trial
is fitted on the remaining ratings and measured on the validation ratings: by
rmse, by ndcg@10 for ials, or by --criterion NAME. The best settings are then
fitted on all training ratings and measured once on the holdout.

Every trial is written to DIR when it finishes. The same command resumes an
interrupted search. It also continues a finished search if the space has more
trials than before (not for halving). At the end, trials.parquet, best.toml and
report.json are written.

Examples:
  lacuna tune ratings.csv --space space.toml -o tuning
  lacuna train ratings.csv --config tuning/best.toml -o model";

impl Task for TuneArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn output(&self) -> Option<&Path> {
        self.config.train.output.as_deref()
    }

    fn files(&self) -> Vec<(&'static str, Option<&Path>)> {
        vec![("--space", self.config.space.as_deref())]
    }
}

fn run(args: &TuneArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = tune(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    if matches!(outcome, Err(Error::Stopped)) {
        terminal::note("finished trials are kept: run the same command again to resume");
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
