//! The context of a long call: threads, a stop flag, and an observer of its progress.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::metric::Errors;
use crate::param::Threads;

/// An event that is reported while a command runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Bytes read so far, and the total if it is known.
    Reading(u64, Option<u64>),
    /// All inputs are read: numbers of ratings, users and items.
    Read(usize, usize, usize),
    /// A phase begins; its name.
    Phase(&'static str),
    /// A fit begins: its maximum number of iterations, and the number of ratings in each.
    Fitting(u32, usize),
    /// An iteration is done; its measurements.
    Iteration(CurvePoint),
    /// A trial of a search is done: trials done, all trials, and the value of this one.
    Trial(usize, usize, Option<f64>),
    /// A fold of a cross-validation is done: its number from 1, the number of folds, its RMSE.
    Fold(u32, u32, Option<f64>),
    /// Lists are ranked: keys done, all keys.
    Ranked(usize, usize),
    /// A fit resumes: the stage of the training, and the iteration of its checkpoint.
    Resumed(&'static str, u32),
    /// A checkpoint is on disk: its stage, its iteration, and the seconds of writing.
    Checkpoint(&'static str, u32, f64),
    /// A warning; nothing failed.
    Warning(String),
}

/// A function that receives the events.
pub type Observer<'o> = dyn Fn(&Event) + Sync + 'o;

/// The context that every long call gets in addition to its settings.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Another thread sets this flag to end the call at the next unit of work.
    pub stop: &'a AtomicBool,
    /// Receives the progress.
    pub observer: &'a Observer<'a>,
    /// The instruction set to use.
    pub kernels: Kernels,
}

impl<'a> Job<'a> {
    /// A job that uses the best instruction set of this machine.
    #[must_use]
    pub fn new(stop: &'a AtomicBool, observer: &'a Observer<'a>) -> Self {
        Self { stop, observer, kernels: Kernels::detect() }
    }

    /// The same job without an observer.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { observer: &|_| {}, ..self }
    }

    /// Reports an event to the observer.
    pub fn report(&self, event: &Event) {
        (self.observer)(event);
    }

    /// Reports to the observer that a phase begins.
    pub fn phase(&self, phase: &'static str) {
        self.report(&Event::Phase(phase));
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the call if a stop was requested.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn check_stop(&self) -> Result<()> {
        check_stop(self.stop)
    }
}

/// Ends a call if a stop was requested.
pub(crate) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// Runs `work` on a pool of `threads` threads; `None` means one thread per core.
///
/// # Errors
/// Those of `work`; [`Error::Internal`] if no thread can be started.
pub fn with_threads<T: Send>(
    threads: Option<Threads>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let threads = threads.map_or(0, |threads| threads.get() as usize);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?.install(work)
}

/// The measurements of one iteration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Number of the iteration, from 1.
    pub iteration: u32,
    /// The objective per training cell, on standardised ratings.
    pub objective: f64,
    /// RMSE on the training ratings, without clipping the predictions.
    pub train_rmse_raw: Option<f64>,
    /// Errors of clipped predictions on the holdout, including unknown users and items; unknown if
    /// this iteration was not measured. Serialised as `holdout_rmse`, `holdout_mae`.
    #[serde(flatten, with = "crate::metric::rating::holdout")]
    pub holdout: Errors,
    /// The criterion on the validation ratings (`--patience`): clipped RMSE or a ranking metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Seconds of the iteration itself, without measuring.
    pub seconds: f64,
}
