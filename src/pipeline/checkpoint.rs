//! Keeps the state of the fits of a training: in memory after every iteration, on disk now and then.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::job::{CurvePoint, Event, Observer};
use crate::store::CheckpointDir;
use crate::train::{Iteration, State};

/// What becomes of the checkpoint of an interrupted run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// Go on from it where it is of the same ratings and settings.
    #[default]
    Auto,
    /// Start anew.
    Never,
    /// Go on from it, or fail.
    Require,
}

/// Checkpoints of one training.
pub(crate) struct Checkpoints {
    dir: CheckpointDir,
    every: Duration,
    /// Whether fits go on from what is there.
    resume: Resume,
    written: Instant,
    held: Option<Held>,
    /// Whether it was said that nothing can be written.
    told: bool,
}

/// The state after the last finished iteration.
struct Held {
    stage: &'static str,
    iteration: u32,
    beside: String,
    state: State,
    written: bool,
}

/// What is kept beside the state of a fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Beside {
    /// The iterations before that of the state.
    pub curve: Vec<CurvePoint>,
    /// Value and number of the best one, with patience; its factors are in the state.
    pub best: Option<(f64, u32)>,
    /// Seconds of training so far.
    pub seconds: f64,
}

impl Checkpoints {
    /// In a directory; `resume` says whether fits go on from what is there.
    pub(crate) fn new(dir: CheckpointDir, every: Duration, resume: Resume) -> Self {
        Self { dir, every, resume, written: Instant::now(), held: None, told: false }
    }

    /// Where a fit was interrupted, if it was. A checkpoint that cannot be used is warned of.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for one whose record cannot be read, where it is required.
    pub(super) fn interrupted(
        &self,
        stage: &str,
        observer: &Observer<'_>,
    ) -> Result<Option<(Beside, State)>> {
        if self.resume == Resume::Never {
            return Ok(None);
        }
        let damaged = |path: &std::path::Path, why: &str| {
            observer(&Event::Warning(format!("{}: {why}", path.display())));
        };
        let Some((beside, state)) = self.dir.latest(stage, damaged) else { return Ok(None) };
        match serde_json::from_str(&beside) {
            Ok(beside) => Ok(Some((beside, state))),
            Err(error) if self.resume == Resume::Require => {
                Err(Error::Checkpoint(format!("its record cannot be read: {error}")))
            }
            Err(error) => {
                observer(&Event::Warning(format!(
                    "the fit starts anew: the record of its checkpoint cannot be read: {error}"
                )));
                Ok(None)
            }
        }
    }

    /// Keeps the state after an iteration, and writes it if that is due. That it cannot be written does
    /// not end the fit.
    pub(super) fn hold(
        &mut self,
        stage: &'static str,
        iteration: &Iteration<'_>,
        beside: &Beside,
        observer: &Observer<'_>,
        more: impl FnOnce(&mut State),
    ) {
        if self.held.as_ref().is_some_and(|held| held.stage != stage) {
            // The stage before is complete: its end is needed to begin this one.
            self.flush(observer);
        }
        // Not two of them at once: they are large.
        self.held = None;
        let mut state = iteration.snapshot.take();
        more(&mut state);
        let beside = serde_json::to_string(beside).unwrap_or_default();
        let number = iteration.number;
        self.held = Some(Held { stage, iteration: number, beside, state, written: false });
        if self.written.elapsed() >= self.every {
            self.flush(observer);
        }
    }

    /// Writes the state that is held, if it is not written yet; the iteration on disk then.
    pub(crate) fn flush(&mut self, observer: &Observer<'_>) -> Option<u32> {
        let held = self.held.as_mut()?;
        if held.written {
            return Some(held.iteration);
        }
        let since = Instant::now();
        let written = self.dir.write(held.stage, held.iteration, &held.beside, &held.state);
        self.written = Instant::now();
        match written {
            Ok(()) => {
                held.written = true;
                let seconds = since.elapsed().as_secs_f64();
                observer(&Event::Checkpoint(held.stage, held.iteration, seconds));
                Some(held.iteration)
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(|e| format!(": {e}"));
                let why = why.unwrap_or_default();
                if !std::mem::replace(&mut self.told, true) {
                    observer(&Event::Warning(format!("no checkpoint: {error}{why}")));
                }
                None
            }
        }
    }

    /// The regularisation that was chosen from the data before the fit was interrupted.
    pub(super) fn chosen(&self) -> Option<f64> {
        let kept = || self.dir.latest("chosen", |_, _| {});
        (self.resume != Resume::Never).then(kept).flatten().and_then(|(text, _)| text.parse().ok())
    }

    /// Keeps the regularisation that was chosen.
    pub(super) fn choose(&self, regularization: f64) {
        // Without it, it is chosen again.
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
        let told = Mutex::new(Vec::new());
        let observer = |event: &Event| {
            if let Event::Warning(text) = event {
                told.lock().expect("a lock").push(text.clone());
            }
        };
        let found = |resume| of(resume).interrupted("train", &observer);
        assert!(matches!(found(Resume::Never), Ok(None)));
        assert!(told.lock().expect("a lock").is_empty());
        assert!(matches!(found(Resume::Auto), Ok(None)));
        assert!(told.lock().expect("a lock")[0].contains("the fit starts anew"));
        assert!(matches!(found(Resume::Require), Err(Error::Checkpoint(_))));
    }
}
