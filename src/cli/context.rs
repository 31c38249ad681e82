//! The context of a command: output flags, the stop signal, the origins of its settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use clap::Args;

use super::{show, terminal};
use crate::error::{Error, Result};
use crate::job::{Job, Observer};

/// The output flags that most commands share.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputArgs {
    /// Print one JSON line on standard output instead of text.
    #[arg(long, help_heading = "Terminal")]
    pub(super) json: bool,
    /// Print only errors and warnings (and the JSON line).
    #[arg(short, long, help_heading = "Terminal", conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print more: every input and every phase.
    #[arg(short, long, help_heading = "Terminal")]
    pub(super) verbose: bool,
}

impl OutputArgs {
    /// Prints the warnings, then the outcome in the requested format.
    pub(super) fn print<T: serde::Serialize>(
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

/// The context that a command runs in.
pub(super) struct Context {
    pub(super) stop: Arc<AtomicBool>,
    /// The signal that requested the stop; 0 if there was none.
    pub(super) signal: Arc<AtomicUsize>,
    /// The origins of the settings that are not defaults, by key.
    pub(super) origins: BTreeMap<String, String>,
    /// The definition of the whole command line.
    pub(super) command: clap::Command,
}

impl Context {
    /// A job that the signals stop.
    pub(super) fn job<'c>(&'c self, observer: &'c Observer<'c>) -> Job<'c> {
        Job::new(&self.stop, observer)
    }

    /// The exit code for an error. A stop gives 128 plus the number of its signal.
    pub(super) fn exit_code(&self, error: &Error) -> u8 {
        match error {
            Error::Stopped | Error::StoppedAt { .. } => {
                let signal = self.signal.load(Ordering::Relaxed);
                128 + u8::try_from(signal).ok().filter(|signal| *signal > 0).unwrap_or(2)
            }
            error => error.exit_code(),
        }
    }
}
