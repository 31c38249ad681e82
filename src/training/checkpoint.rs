//! Checkpoints of the fits of a training.
//!
//! The state is kept in memory after every iteration and written to disk from time to time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::job::{CurvePoint, Event, Job};
use crate::store::CheckpointDir;
use crate::train::{Iteration, State};

/// What to do with the checkpoint of an interrupted run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// Resume from it if it belongs to the same ratings and settings; otherwise start anew.
    #[default]
    Auto,
    /// Ignore it and start anew.
    Never,
    /// Resume from it, or fail.
    Require,
}

/// Checkpoints of one training.
pub(crate) struct Checkpoints {
    dir: CheckpointDir,
    every: Duration,
    /// Whether fits resume from existing checkpoints.
    resume: Resume,
    written: Instant,
    pending: Option<Pending>,
    /// Whether a failure to write was reported already.
    warned: bool,
}

/// The state after the last finished iteration.
struct Pending {
    stage: &'static str,
    iteration: u32,
    measured: String,
    state: State,
    written: bool,
}

/// The measurements that are kept alongside the state of a fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The iterations before the iteration of the state.
    pub curve: Vec<CurvePoint>,
    /// Value and number of the best iteration, with `--patience`. Its factors are in the state.
    pub best: Option<(f64, u32)>,
    /// Seconds of training so far.
    pub seconds: f64,
}

impl Checkpoints {
    /// Keeps checkpoints in a directory. `resume` says whether fits resume from existing ones.
    pub(crate) fn new(dir: CheckpointDir, every: Duration, resume: Resume) -> Self {
        Self { dir, every, resume, written: Instant::now(), pending: None, warned: false }
    }

    /// Returns the measurements and the state of an interrupted fit, if there are any.
    ///
    /// Warns about a checkpoint that cannot be used.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the record of a required checkpoint cannot be read.
    pub(crate) fn interrupted(
        &self,
        stage: &str,
        job: &Job<'_>,
    ) -> Result<Option<(Measured, State)>> {
        if self.resume == Resume::Never {
            return Ok(None);
        }
        let damaged = |path: &std::path::Path, why: &str| {
            job.report(&Event::Warning(format!("{}: {why}", path.display())));
        };
        let Some((measured, state)) = self.dir.latest(stage, damaged) else { return Ok(None) };
        match serde_json::from_str(&measured) {
            Ok(measured) => Ok(Some((measured, state))),
            Err(error) if self.resume == Resume::Require => {
                Err(Error::Checkpoint(format!("its record cannot be read: {error}")))
            }
            Err(error) => {
                job.report(&Event::Warning(format!(
                    "the fit starts anew: the record of its checkpoint cannot be read: {error}"
                )));
                Ok(None)
            }
        }
    }

    /// Keeps the state after an iteration, and writes it to disk if that is due.
    ///
    /// A failure to write does not end the fit.
    pub(crate) fn hold(
        &mut self,
        stage: &'static str,
        iteration: &Iteration<'_>,
        measured: &Measured,
        job: &Job<'_>,
        more: impl FnOnce(&mut State),
    ) {
        if self.pending.as_ref().is_some_and(|pending| pending.stage != stage) {
            // The previous stage is complete. Its last state is needed to start this stage.
            self.flush(job);
        }
        // States are large, so the old one is dropped before the new one is taken.
        self.pending = None;
        let mut state = iteration.snapshot.take();
        more(&mut state);
        let measured = serde_json::to_string(measured).unwrap_or_default();
        let number = iteration.number;
        self.pending = Some(Pending { stage, iteration: number, measured, state, written: false });
        if self.written.elapsed() >= self.every {
            self.flush(job);
        }
    }

    /// Writes the pending state to disk unless it is there already.
    ///
    /// Returns the iteration of the state on disk; `None` if nothing is pending or the write fails.
    pub(crate) fn flush(&mut self, job: &Job<'_>) -> Option<u32> {
        let pending = self.pending.as_mut()?;
        if pending.written {
            return Some(pending.iteration);
        }
        let since = Instant::now();
        let written =
            self.dir.write(pending.stage, pending.iteration, &pending.measured, &pending.state);
        self.written = Instant::now();
        match written {
            Ok(()) => {
                pending.written = true;
                let seconds = since.elapsed().as_secs_f64();
                job.report(&Event::Checkpoint(pending.stage, pending.iteration, seconds));
                Some(pending.iteration)
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(|e| format!(": {e}"));
                let why = why.unwrap_or_default();
                if !std::mem::replace(&mut self.warned, true) {
                    job.report(&Event::Warning(format!("no checkpoint: {error}{why}")));
                }
                None
            }
        }
    }

    /// Returns the regularisation that was chosen from the data before the fit was interrupted.
    pub(crate) fn chosen(&self) -> Option<f64> {
        let kept = || self.dir.latest("chosen", |_, _| {});
        (self.resume != Resume::Never).then(kept).flatten().and_then(|(text, _)| text.parse().ok())
    }

    /// Keeps the chosen regularisation.
    pub(crate) fn choose(&self, regularization: f64) {
        // If the write fails, a resumed run chooses the value again.
        let _ = self.dir.write("chosen", 0, &regularization.to_string(), &State::default());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_told_of() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let of = |resume| {
            let place = CheckpointDir::new(dir.path().to_owned());
            Checkpoints::new(place, Duration::ZERO, resume)
        };
        let written = of(Resume::Auto).dir.write("train", 3, r#"{"best":null}"#, &State::default());
        written.expect("writes");
        let warnings = Mutex::new(Vec::new());
        let stop = std::sync::atomic::AtomicBool::new(false);
        let observer = |event: &Event| {
            if let Event::Warning(text) = event {
                warnings.lock().expect("a lock").push(text.clone());
            }
        };
        let found = |resume| of(resume).interrupted("train", &Job::new(&stop, &observer));
        assert!(matches!(found(Resume::Never), Ok(None)));
        assert!(warnings.lock().expect("a lock").is_empty());
        assert!(matches!(found(Resume::Auto), Ok(None)));
        assert!(warnings.lock().expect("a lock")[0].contains("the fit starts anew"));
        assert!(matches!(found(Resume::Require), Err(Error::Checkpoint(_))));
    }
}
