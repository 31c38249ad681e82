//! The program: signals, settings, commands and exit codes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use clap::FromArgMatches;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::command::Cli;
use super::context::Context;
use super::definition::command;
use super::places::places;
use super::{layers, terminal};
use crate::error::{Error, Result};
use crate::load::is_decoding;

/// Runs the program and returns its exit code.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let signal = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch_signals(&stop, &signal) {
        terminal::error(&Error::Internal(format!("cannot watch for signals: {error}")));
        return ExitCode::FAILURE;
    }
    quiet_decoders();
    let origins = BTreeMap::new();
    let mut context = Context { stop, signal, origins, command: command() };
    // A panic is a defect. It becomes exit code 1 with a message, not an abort in mid-line.
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(arguments, &mut context)));
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

/// Keeps panics of decoders from being printed, because they become errors.
fn quiet_decoders() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_decoding() {
            print(panic);
        }
    }));
}

/// Checks that arguments can be parsed, with the environment and the configuration file they name.
///
/// # Errors
/// The error that the program would print.
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

/// Watches for SIGINT, SIGTERM and SIGHUP. The first requests a clean stop; the second ends the
/// program at once.
fn watch_signals(stop: &Arc<AtomicBool>, which: &Arc<AtomicUsize>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register_usize(signal, which.clone(), signal.unsigned_abs() as usize)?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(())
}

fn dispatch(arguments: Vec<OsString>, context: &mut Context) -> Result<ExitCode> {
    let command = context.command.clone();
    let arguments = match layers::resolve(&command, arguments)? {
        layers::Resolved::Arguments(arguments, origins) => {
            context.origins = origins;
            arguments
        }
        layers::Resolved::Clap(error) => return Ok(clap_exit(&error)),
    };
    let cli = command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return Ok(clap_exit(&error)),
    };
    let context = &*context;
    let mut task = cli.command.task();
    let copy = places(&mut *task, &context.stop)?;
    task.run(context).map_err(|error| match &copy {
        Some(copy) => copy.named(error),
        None => error,
    })
}

/// Prints a message of clap: help and version on stdout, errors on stderr.
fn clap_exit(error: &clap::Error) -> ExitCode {
    // A closed pipe is not a failure.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
