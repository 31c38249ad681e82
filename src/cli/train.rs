//! `lacuna train`.

use std::path::PathBuf;

use clap::Args;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::{show, terminal};
use crate::error::Result;
use crate::settings::TrainConfig;
use crate::training::train;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub(super) config: TrainConfig,
    /// Configuration file (TOML): keys are the long flags with _ for -, input = [...] the files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

const EXAMPLES: &str = "\
Examples:
  lacuna train ratings.csv -o model
  lacuna train ml-25m.zip -o model -k 128 -i 20 --regularization 0.1
  lacuna train 'logs/2024-*.csv.gz' -o model --user-col visitor --item-col sku --rating-col stars
  lacuna train ratings.csv -o model --positive-from 4
  lacuna train clicks.csv -o model --algorithm ials --confidence linear --alpha 20
  lacuna train ua.base -o model --test-file ua.test
  lacuna train ratings.parquet -o model --holdout time --split-time 2019-01-01 --refit
  lacuna train --config nightly.toml --force --json

bayes, the default, has priors in place of settings. als and sgd minimise, on standardised
ratings z = (r - mean) / deviation, d the damping of the biases:
  sum w (z - b_u - b_i - p.q)^2 + L sum rho(n) |vector|^2 + sum (d + L_b rho(n)) bias^2
  rho(n) = n_mean (n / n_mean)^e for a row of n ratings
of implicit feedback (ials), c the confidence of a count, A the unobserved weight, s = p.q:
  sum [c - 2 c s + (c - A) s^2] + A sum over all pairs s^2 + L sum (n + A N)^e |vector|^2
  (unit: sum (1 - s)^2 + A sum over all pairs s^2 + the same)

Exit codes: 0 done; 2 usage, --output exists; 3 input; 6 numeric; 7 output; 130, 143 stopped.";

pub(super) fn run(args: &TrainArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = train(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let report = outcome?;
    for warning in &report.warnings {
        terminal::warning(warning);
    }
    if args.output.json {
        terminal::print(&format!("{}\n", show::train_json(&report)))
    } else if args.output.quiet {
        Ok(())
    } else {
        terminal::print(&show::train_summary(&report, args.output.verbose))
    }
}
