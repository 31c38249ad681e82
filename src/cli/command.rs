//! The commands.

use clap::{Parser, Subcommand};

use super::{
    completions, config, evaluate, export, fold_in, generate, inspect, predict, recommend,
    reconstruct, run, runs, similar, train, tune, update, verify,
};

/// The whole command line.
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

lacuna reads rating files (MovieLens-style CSV, TSV, .dat, Parquet, compressed or zipped), trains
factors in parallel (five algorithms), measures them on a holdout beside baselines, and
writes user and item vectors that databases, vector indexes and feature stores read.";

const AFTER_HELP: &str = "\
Examples:
  lacuna train ratings.csv -o model              train, measure, write the factors
  lacuna inspect ratings.csv                     what a file holds, what training would take
  lacuna evaluate model                          errors and rankings on the holdout
  lacuna predict model --user 42 --item 7        one predicted rating
  lacuna recommend model --user 42               the best items for a user
  lacuna run --config nightly.toml               every night: train, check, publish

Settings: flags > LACUNA_* environment variables > --config FILE > defaults.
Exit codes: 0 done; 1 unexpected; 2 usage; 3 input; 4, 5 gates of run; 6 numeric; 7 output;
11 another run is at work, or was faster; 75 time limit; 130, 143 stopped.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train on rating files and write a model directory.
    Train(Box<train::TrainArgs>),
    /// Train, check and publish, every night: what is served is always complete.
    Run(Box<run::RunArgs>),
    /// Check settings and ratings of a run without training.
    Validate(Box<run::ValidateArgs>),
    /// List, compare, remove and roll back runs.
    Runs(runs::RunsArgs),
    /// Print settings, or a configuration file to begin with.
    Config(Box<config::ConfigArgs>),
    /// Describe rating files, and what training on them would take.
    Inspect(inspect::InspectArgs),
    /// Search for good settings, and write them as a configuration file for train.
    Tune(Box<tune::TuneArgs>),
    /// Measure a trained model: errors and rankings, beside baselines.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Predict ratings with a trained model.
    Predict(predict::PredictArgs),
    /// Recommend items to all or some users.
    Recommend(Box<recommend::RecommendArgs>),
    /// Find the items, or users, most like others.
    Similar(Box<similar::SimilarArgs>),
    /// Add or replace users or items of a model, without training again.
    FoldIn(fold_in::FoldInArgs),
    /// Take new ratings into a model: solve only the users and items that they touch.
    Update(update::UpdateArgs),
    /// Write a model's vectors in the format of another system.
    Export(export::ExportArgs),
    /// Compare the files of a model with the checksums in its manifest.
    Verify(verify::VerifyArgs),
    /// Print the whole predicted matrix of a small model.
    Reconstruct(reconstruct::ReconstructArgs),
    /// Generate synthetic ratings with a known truth.
    Generate(generate::GenerateArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}
