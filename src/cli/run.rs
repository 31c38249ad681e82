//! `lacuna run` and `lacuna validate`.

use super::task::Task;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::job::Event;
use crate::run::{Level, LogLine, Mode, RunConfig, RunReport, run as run_once};

/// Format of the log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) config: RunConfig,
    /// Only print what would be done, with an estimate of memory and time.
    #[arg(long, help_heading = "Every night")]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
Reads the ratings as a run would, checks the gates of the ratings and the
estimated memory, and writes nothing. Exit code 0 if a run could start.

Examples:
  lacuna validate --config nightly.toml")]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    config: RunConfig,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Configuration file (TOML). Its keys are the long flags with _ for -, and input = [...] lists
    /// the rating files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Format of the log on standard error.
    #[arg(long, value_name = "FORM", default_value = "auto", help_heading = "Terminal")]
    log_format: LogFormat,
    #[command(flatten)]
    output: OutputArgs,
}

const EXAMPLES: &str = "\
Reads the ratings, checks their gates, trains from the factors of the latest
run, measures the model, checks its gates and publishes it. DIR/latest leads to
the published run. If anything fails, the published run does not change. Start
with
  lacuna config example > nightly.toml

Examples:
  lacuna run ratings.csv -o runs
  lacuna run --config nightly.toml
  lacuna run --config nightly.toml --dry-run
  lacuna run 'logs/*.parquet' -o runs --refit --export npy:dot --max-age 36h
  lacuna recommend runs/latest --user 42
  lacuna run s3://lake/ratings/ -o s3://lake/models --work-dir /var/lib/lacuna

Exit codes: 0 published, or nothing new; 2 usage, or memory limit; 3 input; 4 a
gate of the ratings failed; 5 a gate of the model failed (the model is in
DIR/rejected); 6 numeric failure; 7 output; 11 another run is at work or
published in the meantime; 75 time limit; 130, 143 stopped by a signal. After
75, 130 and 143, run again to resume from the checkpoint.";

impl Task for RunArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context)
    }
}

fn run(args: &RunArgs, context: &Context) -> Result<ExitCode> {
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Run };
    once(&args.config, mode, &args.common, context)
}

impl Task for ValidateArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        validate(self, context)
    }
}

fn validate(args: &ValidateArgs, context: &Context) -> Result<ExitCode> {
    once(&args.config, Mode::Validate, &args.common, context)
}

fn once(config: &RunConfig, mode: Mode, args: &Common, context: &Context) -> Result<ExitCode> {
    let json = match args.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let quiet = OutputArgs { quiet: true, ..args.output.clone() };
    let progress = Progress::new(if json { &quiet } else { &args.output });
    let sink = |line: &LogLine| match json {
        true if args.output.quiet && line.level == Level::Info => {}
        // If standard error cannot be written, nothing can be done.
        true => drop(writeln!(std::io::stderr().lock(), "{}", line.json)),
        false => tell(line, &progress, &args.output),
    };
    let observer = |event: &Event| {
        if !json {
            progress.show(event);
        }
    };
    let code = |error: &Error| context.exit_code(error);
    let ended = run_once(config, mode, &context.job(&observer), &sink, &code);
    progress.finish();
    if let (Some(error), false) = (&ended.error, json) {
        terminal::error(error);
    }
    print(&ended.report, mode, &args.output)?;
    Ok(ExitCode::from(ended.report.exit_code))
}

/// Prints a line of the log as text, above the progress.
fn tell(line: &LogLine, progress: &Progress, output: &OutputArgs) {
    // The summary is printed on standard output at the end.
    if line.of_training || line.event == "run_end" {
        return;
    }
    match line.level {
        // The error itself is printed at the end.
        Level::Error => {}
        Level::Warn => progress.warn(&line.message),
        Level::Info if output.quiet => {}
        Level::Info => progress.say(&line.message),
    }
}

fn print(report: &RunReport, mode: Mode, output: &OutputArgs) -> Result<()> {
    if output.json {
        return terminal::print(&format!("{}\n", report.line()));
    }
    if output.quiet || report.exit_code != 0 && report.gates.is_empty() {
        return Ok(());
    }
    terminal::print(&show::run_summary(report, mode))
}
