//! The log of a run: one line per event, for people and for machines.
//!
//! A line of JSON has the keys `ts` (UTC), `level` (`info`, `warn`, `error`), `event`, `run_id`,
//! `phase`, `msg`, `traceparent` if the environment has one, and the numbers of the event. The
//! names of the events are stable: `run_start`, `waiting`, `input_scanned`, `rows_rejected`,
//! `csr_built`, `gate`, `warm_start`, `resumed`, `sweep`, `checkpoint_saved`, `eval`, `aligned`,
//! `exported`, `published`, `pruned`, `warning`, `run_end`, `exit_error`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::run_id::precise_timestamp;
use crate::error::{Error, Result};
use crate::job::Event;

/// The severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything is as expected.
    Info,
    /// Something that a person should know.
    Warn,
    /// A failed gate that rejects the run, or the error that ends it.
    Error,
}

/// One line of the log: an event of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// The severity of the event.
    pub level: Level,
    /// The name of the event.
    pub event: &'static str,
    /// The event in one sentence.
    pub message: String,
    /// Whether the line repeats an event of the training, which the observer of the job also
    /// receives.
    pub of_training: bool,
    /// The whole line as JSON.
    pub json: Value,
}

/// Receives the lines of a run.
pub type Sink<'s> = dyn Fn(&LogLine) + Sync + 's;

/// The log of one run. Every line goes to the sink and, while a file is open, into that file.
pub(super) struct Log<'s> {
    run_id: String,
    traceparent: Option<String>,
    sink: &'s Sink<'s>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: &'static str,
    file: Option<File>,
    lines: Vec<String>,
}

impl<'s> Log<'s> {
    pub(super) fn new(run_id: String, traceparent: Option<String>, sink: &'s Sink<'s>) -> Self {
        let state = Mutex::new(State { phase: "start", ..State::default() });
        Self { run_id, traceparent, sink, state }
    }

    /// Opens the log file. It receives the lines so far and all later ones.
    pub(super) fn open(&self, path: &Path) -> Result<()> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let mut file = File::create(path).map_err(failed)?;
        // A poisoned lock means a panic elsewhere: there is nothing left to log.
        let Ok(mut state) = self.state.lock() else { return Ok(()) };
        for line in state.lines.drain(..) {
            writeln!(file, "{line}").map_err(failed)?;
        }
        state.file = Some(file);
        Ok(())
    }

    /// Closes the log file. Later lines go to the sink only.
    pub(super) fn close(&self, path: &Path) -> Result<()> {
        let file = self.state.lock().ok().and_then(|mut state| state.file.take());
        let synced = file.map_or(Ok(()), |file| file.sync_all());
        synced.map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// Sets the phase of the run.
    pub(super) fn phase(&self, phase: &'static str) {
        if let Ok(mut state) = self.state.lock() {
            state.phase = phase;
        }
    }

    /// The phase of the run.
    pub(super) fn current_phase(&self) -> &'static str {
        self.state.lock().map_or("", |state| state.phase)
    }

    pub(super) fn info(&self, event: &'static str, message: &str, numbers: Value) {
        self.line(Level::Info, event, message.to_owned(), numbers, false);
    }

    pub(super) fn warn(&self, message: &str) {
        self.line(Level::Warn, "warning", message.to_owned(), json!({}), false);
    }

    pub(super) fn event(&self, level: Level, event: &'static str, message: &str, numbers: Value) {
        self.line(level, event, message.to_owned(), numbers, false);
    }

    fn line(
        &self,
        level: Level,
        event: &'static str,
        message: String,
        numbers: Value,
        of_training: bool,
    ) {
        let Ok(mut state) = self.state.lock() else { return };
        let mut all = Map::new();
        let name = match level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        all.insert("ts".into(), precise_timestamp().into());
        all.insert("level".into(), name.into());
        all.insert("event".into(), event.into());
        all.insert("run_id".into(), self.run_id.clone().into());
        all.insert("phase".into(), state.phase.into());
        all.insert("msg".into(), message.clone().into());
        if let Some(traceparent) = &self.traceparent {
            all.insert("traceparent".into(), traceparent.clone().into());
        }
        if let Value::Object(numbers) = numbers {
            all.extend(numbers);
        }
        let json = Value::Object(all);
        match &mut state.file {
            // A failed write is ignored here: the same fault shows when the run is published.
            Some(file) => drop(writeln!(file, "{json}")),
            None => state.lines.push(json.to_string()),
        }
        drop(state);
        (self.sink)(&LogLine { level, event, message, of_training, json });
    }

    /// Logs an event of the training.
    pub(super) fn training(&self, event: &Event) {
        let line = |event, message: String, numbers| {
            self.line(Level::Info, event, message, numbers, true);
        };
        match event {
            Event::Read(ratings, users, items) => line(
                "input_scanned",
                format!("read {ratings} ratings of {users} users and {items} items"),
                json!({ "ratings": ratings, "users": users, "items": items }),
            ),
            Event::Iteration(point) => {
                let rmse = point.train_rmse_raw.map(|v| format!(", rmse {v:.4}"));
                let holdout = point.holdout.rmse().map(|v| format!(", holdout {v:.4}"));
                let message = format!(
                    "iteration {}{}{}",
                    point.iteration,
                    rmse.unwrap_or_default(),
                    holdout.unwrap_or_default()
                );
                let numbers = json!({
                    "sweep": point.iteration,
                    "objective": point.objective,
                    "train_rmse": point.train_rmse_raw,
                    "holdout_rmse": point.holdout.rmse(),
                    "seconds": point.seconds,
                });
                line("sweep", message, numbers);
            }
            Event::Resumed(stage, iteration) => line(
                "resumed",
                format!("{stage}: resumed after iteration {iteration}"),
                json!({ "stage": stage, "sweep": iteration }),
            ),
            Event::Checkpoint(stage, iteration, seconds) => line(
                "checkpoint_saved",
                format!("saved the checkpoint of {stage} after iteration {iteration}"),
                json!({ "stage": stage, "sweep": iteration, "seconds": seconds }),
            ),
            Event::Warning(message) => {
                self.line(Level::Warn, "warning", message.clone(), json!({}), true);
            }
            _ => {}
        }
    }
}
