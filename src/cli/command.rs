//! The list of commands.

use clap::{Parser, Subcommand};

use super::task::Task;
use super::{
    completions, config, evaluate, export, fold_in, generate, inspect, predict, recommend,
    reconstruct, run, runs, similar, train, tune, update, verify,
};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "lacuna", version, about, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(
    propagate_version = true,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const LONG_ABOUT: &str = "\
Factorises large sparse rating data and publishes the factors as Parquet.

lacuna reads rating files (MovieLens-style CSV, TSV, .dat or Parquet, also
compressed or zipped), trains factors in parallel with one of five algorithms,
compares them with baselines on a holdout, and writes user and item vectors that
databases, vector indexes and feature stores can read.";

const AFTER_HELP: &str = "\
Examples:
  lacuna train ratings.csv -o model         train, measure, write the factors
  lacuna inspect ratings.csv                contents of a file, cost of training
  lacuna evaluate model                     errors and rankings on the holdout
  lacuna predict model --user 42 --item 7   one predicted rating
  lacuna recommend model --user 42          the best items for a user
  lacuna run --config nightly.toml          every night: train, check, publish

Settings: flags override LACUNA_* environment variables, which override the
--config FILE, which overrides the defaults.

Exit codes: 0 done; 1 unexpected error; 2 usage; 3 input; 4 a gate of the
ratings failed; 5 a gate of the model failed; 6 numeric failure; 7 output; 11
another run is at work or published in the meantime; 75 time limit; 130, 143
stopped by a signal.";

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($arguments:ty),)*) => {
        /// The commands.
        #[derive(Debug, Subcommand)]
        pub(super) enum Command {
            $($(#[$doc])* $name(Box<$arguments>),)*
        }

        impl Command {
            /// The command with its arguments.
            pub(super) fn task(self) -> Box<dyn Task> {
                match self {
                    $(Self::$name(arguments) => arguments,)*
                }
            }
        }
    };
}

commands! {
    /// Train on rating files and write a model directory.
    Train(train::TrainArgs),
    /// Train, check and publish every night. The published model is always complete.
    Run(run::RunArgs),
    /// Check the settings and ratings of a run without training.
    Validate(run::ValidateArgs),
    /// List, compare, remove and roll back runs.
    Runs(runs::RunsArgs),
    /// Print settings, or a configuration file to start from.
    Config(config::ConfigArgs),
    /// Describe rating files, and estimate the cost of training on them.
    Inspect(inspect::InspectArgs),
    /// Search for good settings and write them as a configuration file for train.
    Tune(tune::TuneArgs),
    /// Measure the errors and rankings of a model, and compare them with baselines.
    Evaluate(evaluate::EvaluateArgs),
    /// Predict ratings with a trained model.
    Predict(predict::PredictArgs),
    /// Recommend items to all or some users.
    Recommend(recommend::RecommendArgs),
    /// Find the items or users that are most similar to others.
    Similar(similar::SimilarArgs),
    /// Add or replace users or items of a model without training again.
    FoldIn(fold_in::FoldInArgs),
    /// Add new ratings to a model by solving only the users and items that they affect.
    Update(update::UpdateArgs),
    /// Write a model's vectors in the format of another system.
    Export(export::ExportArgs),
    /// Compare the files of a model with the checksums in its manifest.
    Verify(verify::VerifyArgs),
    /// Print the whole predicted matrix of a small model.
    Reconstruct(reconstruct::ReconstructArgs),
    /// Generate synthetic ratings with a known ground truth.
    Generate(generate::GenerateArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}
