//! The command line: one file per command, layered settings, progress, exit codes.

mod completions;
mod config;
mod definition;
mod evaluate;
mod export;
mod fold_in;
mod generate;
mod inspect;
mod layers;
mod listing;
mod places;
mod predict;
mod progress;
mod recommend;
mod reconstruct;
mod run;
mod runs;
mod show;
mod similar;
mod terminal;
mod train;
mod tune;
mod update;
mod verify;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use clap::{Args, FromArgMatches, Parser, Subcommand};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use definition::command;

use crate::error::{Error, Result};
use crate::job::{Job, Observer};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "lacuna", version, about, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(
    propagate_version = true,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
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
enum Command {
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

/// What every working command can be told about its output.
#[derive(Debug, Clone, Args)]
struct OutputArgs {
    /// Print one JSON line on standard output instead of text.
    #[arg(long, help_heading = "Terminal")]
    json: bool,
    /// Print nothing but errors and warnings (and the JSON line).
    #[arg(short, long, help_heading = "Terminal", conflicts_with = "verbose")]
    quiet: bool,
    /// Print more: every input, every phase.
    #[arg(short, long, help_heading = "Terminal")]
    verbose: bool,
}

impl OutputArgs {
    /// Prints an outcome as it was asked for, after its warnings.
    fn print<T: serde::Serialize>(
        &self,
        outcome: &T,
        warnings: &[String],
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        for warning in warnings {
            terminal::warning(warning);
        }
        match (self.json, self.quiet) {
            (true, _) => terminal::print(&format!("{}\n", show::json(outcome))),
            (false, true) => Ok(()),
            (false, false) => terminal::print(&text(outcome)),
        }
    }
}

/// What a command runs with.
struct Context {
    stop: Arc<AtomicBool>,
    /// The signal that asked for the stop, 0 without one.
    signal: Arc<AtomicUsize>,
    /// Where the settings that are not defaults come from, by key.
    origins: BTreeMap<String, String>,
}

impl Context {
    /// A job that the signals stop.
    fn job<'c>(&'c self, observer: &'c Observer<'c>) -> Job<'c> {
        Job::new(&self.stop, observer)
    }

    /// The program's answer to a failure.
    fn exit_code(&self, error: &Error) -> u8 {
        match error {
            Error::Stopped | Error::StoppedAt { .. } => {
                let signal = self.signal.load(Ordering::Relaxed);
                128 + u8::try_from(signal).ok().filter(|signal| *signal > 0).unwrap_or(2)
            }
            error => error.exit_code(),
        }
    }
}

/// Runs the program; the only place that turns failures into exit codes.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let signal = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch_signals(&stop, &signal) {
        terminal::error(&Error::Internal(format!("signals: {error}")));
        return ExitCode::FAILURE;
    }
    quiet_decoders();
    let mut context = Context { stop, signal, origins: BTreeMap::new() };
    // A panic is a defect: it becomes exit code 1 with a note, not an abort in the middle of a line.
    let outcome = catch_unwind(AssertUnwindSafe(|| run(arguments, &mut context)));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            terminal::error(&error);
            ExitCode::from(context.exit_code(&error))
        }
        Err(_) => {
            terminal::error(&Error::Internal("a defect in lacuna (see the lines above)".into()));
            ExitCode::FAILURE
        }
    }
}

/// Panics of decoders that become errors are not printed.
fn quiet_decoders() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::load::is_decoding() {
            print(panic);
        }
    }));
}

/// Whether arguments, with the environment and the configuration file that they name, can be understood.
///
/// # Errors
/// As the program would say it.
pub fn check(arguments: Vec<OsString>) -> Result<()> {
    let wrong = |error: &clap::Error| Err(Error::Usage(error.to_string()));
    let command = command();
    let arguments = match layers::resolve(&command, arguments)? {
        layers::Resolved::Arguments(arguments, _) => arguments,
        layers::Resolved::Clap(error) => return wrong(&error),
    };
    match command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(_) => Ok(()),
        Err(error) => wrong(&error),
    }
}

/// The first SIGINT, SIGTERM or SIGHUP asks for a clean stop, the second one ends at once.
fn watch_signals(stop: &Arc<AtomicBool>, which: &Arc<AtomicUsize>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register_usize(signal, which.clone(), signal.unsigned_abs() as usize)?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(())
}

fn run(arguments: Vec<OsString>, context: &mut Context) -> Result<ExitCode> {
    let command = command();
    let arguments = match layers::resolve(&command, arguments)? {
        layers::Resolved::Arguments(arguments, origins) => {
            context.origins = origins;
            arguments
        }
        layers::Resolved::Clap(error) => return Ok(clap_exit(&error)),
    };
    let cli = command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    let mut cli = match cli {
        Ok(cli) => cli,
        Err(error) => return Ok(clap_exit(&error)),
    };
    let context = &*context;
    let copy = cli.command.places(&context.stop)?;
    match cli.command {
        Command::Run(args) => return run::run(&args, context),
        Command::Validate(args) => return run::validate(&args, context),
        Command::Runs(args) => runs::run(&args, context),
        Command::Config(args) => config::run(&args, context),
        Command::Train(args) => train::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
        Command::Tune(args) => tune::run(&args, context),
        Command::Evaluate(args) => evaluate::run(&args, context),
        Command::Predict(args) => predict::run(&args, context),
        Command::Recommend(args) => recommend::run(&args, context),
        Command::Similar(args) => similar::run(&args, context),
        Command::FoldIn(args) => fold_in::run(&args, context),
        Command::Update(args) => update::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Verify(args) => verify::run(&args),
        Command::Reconstruct(args) => reconstruct::run(&args),
        Command::Generate(args) => generate::run(&args, context),
        Command::Completions(args) => completions::run(&args),
    }
    .map(|()| ExitCode::SUCCESS)
    .map_err(|error| match &copy {
        Some(copy) => copy.named(error),
        None => error,
    })
}

/// Prints what clap has to say: help and version on stdout, errors on stderr.
fn clap_exit(error: &clap::Error) -> ExitCode {
    // A closed pipe is no reason to fail.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
