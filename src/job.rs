//! What every long command gets in addition to its settings: threads, a stop flag, an observer.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::param::Threads;

/// What is told while a command runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Bytes read, and in all where known.
    Reading(u64, Option<u64>),
    /// All inputs are read: ratings, users, items.
    Read(usize, usize, usize),
    /// A phase begins, in a few words.
    Phase(&'static str),
    /// Iterations will be counted from 1 to the first number, each over the second number of ratings.
    Fitting(u32, usize),
    /// An iteration is done.
    Iteration(CurvePoint),
    /// A trial of a search is done: how many are, of how many, and its value.
    Trial(usize, usize, Option<f64>),
    /// A fold of a cross-validation is done: its number from 1, their number, its RMSE.
    Fold(u32, u32, Option<f64>),
    /// Lists are made for so many keys, of so many.
    Ranked(usize, usize),
    /// A fit goes on after this iteration, of this stage of the training.
    Resumed(&'static str, u32),
    /// The state after an iteration of a stage is on disk, after so many seconds of writing.
    Checkpoint(&'static str, u32, f64),
    /// What a person should know although nothing failed.
    Warning(String),
}

/// Receives the events.
pub type Observer<'o> = dyn Fn(&Event) + Sync + 'o;

/// What every long call gets in addition to its settings.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Set from outside to end the call at the next unit of work.
    pub stop: &'a AtomicBool,
    /// Told about the progress.
    pub observer: &'a Observer<'a>,
    /// The instruction set to use.
    pub kernels: Kernels,
}

impl<'a> Job<'a> {
    /// A job on the best instruction set of this machine.
    #[must_use]
    pub fn new(stop: &'a AtomicBool, observer: &'a Observer<'a>) -> Self {
        Self { stop, observer, kernels: Kernels::detect() }
    }

    /// The same job, which tells nobody.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { observer: &|_| {}, ..self }
    }

    /// Tells the observer.
    pub fn tell(&self, event: &Event) {
        (self.observer)(event);
    }

    /// Tells the observer that a phase begins.
    pub fn phase(&self, phase: &'static str) {
        self.tell(&Event::Phase(phase));
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the call if a stop was asked for.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn check_stop(&self) -> Result<()> {
        check_stop(self.stop)
    }
}

/// Ends a call if a stop was asked for.
pub(crate) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// Runs `work` on a pool of the given number of threads, all cores if none is given.
///
/// # Errors
/// Those of `work`; [`Error::Internal`] if no thread can be started.
pub fn with_threads<T: Send>(
    threads: Option<Threads>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let threads = threads.map_or(0, |threads| threads.get() as usize);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Internal(format!("no threads: {e}")))?.install(work)
}

/// One iteration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// From 1.
    pub iteration: u32,
    /// The objective per training cell, on standardised ratings.
    pub objective: f64,
    /// RMSE on the training ratings, predictions as they are.
    pub train_rmse_raw: Option<f64>,
    /// Clipped errors on the holdout, cold cells included.
    pub holdout_rmse: Option<f64>,
    /// See `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// The criterion on the validation part, with `--patience`: clipped RMSE, or a ranking metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Seconds of solving.
    pub seconds: f64,
}
