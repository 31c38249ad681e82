//! `lacuna train`.

use super::task::Task;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Configuration file (TOML). Its keys are the long flags with _ for -, and input = [...] lists
    /// the rating files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

const EXAMPLES: &str = "\
Examples:
  lacuna train ratings.csv -o model
  lacuna train ml-25m.zip -o model -k 128 -i 20 --regularization 0.1
  lacuna train 'logs/*.csv.gz' -o model --user-col visitor --item-col sku
  lacuna train ratings.csv -o model --positive-from 4
  lacuna train clicks.csv -o model -a ials --confidence linear --alpha 20
  lacuna train ua.base -o model --test-file ua.test
  lacuna train r.parquet -o model --holdout time --split-time 2019-01-01 --refit
  lacuna train --config nightly.toml --force --json

bayes, the default, has priors instead of regularisation settings. als and sgd
minimise, on standardised ratings z = (r - mean) / deviation,
  sum over ratings w (z - b_u - b_i - p.q)^2 + L sum rho(n) |vector|^2
    + sum (d + L_b rho(n)) bias^2,  rho(n) = n_mean (n / n_mean)^e
where w is the weight of a rating, n the number of ratings of a user or item,
L is --regularization, L_b --bias-reg, d --bias-damping and e --reg-exponent.

ials (implicit feedback) minimises, for scores s = p.q,
  sum over observed pairs c (1 - s)^2 + A sum over all other pairs s^2
    + L sum (n + A N)^e |vector|^2
where c is the confidence of a count, A is --unobserved-weight, and N is the
number of items (for user vectors) or of users (for item vectors). With
--confidence unit, c is 1 and the second sum runs over all pairs.

Exit codes: 0 done; 2 usage, or --output exists; 3 input; 6 numeric failure;
7 output; 130, 143 stopped by a signal.";

impl Task for TrainArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn output(&self) -> Option<&Path> {
        self.config.output.as_deref()
    }
}

fn run(args: &TrainArgs, context: &Context) -> Result<()> {
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
