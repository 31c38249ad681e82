//! Progress: bars on a terminal, plain lines elsewhere, and nothing with --quiet.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::context::OutputArgs;
use super::terminal;
use crate::job::{CurvePoint, Event};
use crate::serving::Destination;

/// Shows the events of a job on standard error.
pub(super) struct Progress {
    mode: Mode,
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
    Silent,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    ratings: usize,
    iterations: u32,
    last_line: Option<Instant>,
    ranking: bool,
}

impl Progress {
    pub(super) fn new(output: &OutputArgs) -> Self {
        let mode = match () {
            () if output.quiet => Mode::Silent,
            () if std::io::stderr().is_terminal() => Mode::Bars,
            () => Mode::Lines,
        };
        Self { mode, verbose: output.verbose, state: Mutex::default() }
    }

    /// Like [`Progress::new`], but silent if rows are written to a terminal.
    pub(super) fn without_bars_over(output: &OutputArgs, to: &Destination) -> Self {
        let rows = to.is_stream() && std::io::stdout().is_terminal();
        let quiet = output.quiet || rows;
        Self::new(&OutputArgs { quiet, ..output.clone() })
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Ok(mut state) = self.state.lock()
            && let Some(bar) = state.bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// Prints a line above the bar.
    pub(super) fn say(&self, text: &str) {
        if let Ok(state) = self.state.lock() {
            state.line(text);
        }
    }

    /// Prints a warning above the bar.
    pub(super) fn warn(&self, text: &str) {
        if let Ok(state) = self.state.lock() {
            match &state.bar {
                Some(bar) => bar.suspend(|| terminal::warning(text)),
                None => terminal::warning(text),
            }
        }
    }

    pub(super) fn show(&self, event: &Event) {
        // A poisoned lock means a panic elsewhere: there is nothing left to show.
        let Ok(mut state) = self.state.lock() else { return };
        match (self.mode, event) {
            (Mode::Silent, Event::Warning(message)) => terminal::warning(message),
            (Mode::Silent, _) => {}
            (Mode::Bars, event) => state.bars(event),
            (Mode::Lines, event) => state.lines(event, self.verbose),
        }
    }
}

impl State {
    fn bars(&mut self, event: &Event) {
        match event {
            Event::Reading(done, total) => {
                let bar = self.bar.get_or_insert_with(|| reading_bar(*total));
                bar.set_position(*done);
            }
            Event::Read(..) => {
                self.clear();
            }
            Event::Phase(name) => {
                self.clear();
                let style = ProgressStyle::with_template("{spinner} {msg}");
                let bar = ProgressBar::new_spinner()
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_message(*name);
                bar.enable_steady_tick(Duration::from_millis(100));
                self.bar = Some(bar);
            }
            Event::Fitting(iterations, ratings) => {
                self.ratings = *ratings;
                self.clear();
                let style =
                    ProgressStyle::with_template("training {bar:12} {pos}/{len} {msg}, eta {eta}");
                let bar = ProgressBar::new(u64::from(*iterations))
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.enable_steady_tick(Duration::from_millis(200));
                self.bar = Some(bar);
            }
            Event::Iteration(point) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(u64::from(point.iteration));
                    bar.set_message(describe(point, self.ratings));
                }
            }
            Event::Trial(done, of, value) => {
                self.clear();
                let bar = ProgressBar::new(*of as u64).with_style(
                    ProgressStyle::with_template("tuning {bar:24} {pos}/{len} {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_bar()),
                );
                bar.set_position(*done as u64);
                bar.set_message(describe_trial(*value));
                self.bar = Some(bar);
            }
            Event::Ranked(done, of) => {
                if !self.ranking {
                    self.ranking = true;
                    self.clear();
                    let style =
                        ProgressStyle::with_template("ranking {bar:24} {pos}/{len} eta {eta}");
                    let bar = ProgressBar::new(*of as u64)
                        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    self.bar = Some(bar);
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(*done as u64);
                }
            }
            Event::Resumed(stage, iteration) => {
                self.line(&format!("{stage}: resuming after iteration {iteration}"));
            }
            Event::Warning(message) => {
                self.clear();
                terminal::warning(message);
            }
            Event::Checkpoint(..) => {}
            Event::Fold(number, folds, rmse) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(describe_fold(*number, *folds, *rmse));
                }
            }
        }
    }

    fn lines(&mut self, event: &Event, verbose: bool) {
        match event {
            Event::Reading(done, total) => {
                // At most one line in ten seconds keeps logs short.
                let due = self.last_line.is_none_or(|at| at.elapsed() > Duration::from_secs(10));
                if due && self.last_line.is_some() {
                    let of = total.map_or_else(String::new, |t| format!(" of {}", HumanBytes(t)));
                    terminal::note(&format!("reading: {}{of}", HumanBytes(*done)));
                }
                if due {
                    self.last_line = Some(Instant::now());
                }
            }
            Event::Read(ratings, users, items) => {
                terminal::note(&format!(
                    "read {ratings} ratings of {users} users and {items} items"
                ));
            }
            Event::Checkpoint(stage, iteration, _) if verbose => {
                terminal::note(&format!(
                    "saved the checkpoint of {stage} after iteration {iteration}"
                ));
            }
            Event::Phase(name) if verbose => terminal::note(name),
            Event::Phase(_) | Event::Checkpoint(..) => {}
            Event::Fitting(iterations, ratings) => {
                (self.iterations, self.ratings) = (*iterations, *ratings);
            }
            Event::Ranked(done, of) => {
                let due = self.last_line.is_none_or(|at| at.elapsed() > Duration::from_secs(10));
                if due && self.last_line.is_some() {
                    terminal::note(&format!("ranked {done} of {of} lists"));
                }
                if due {
                    self.last_line = Some(Instant::now());
                }
            }
            Event::Resumed(stage, iteration) => {
                terminal::note(&format!("{stage}: resuming after iteration {iteration}"));
            }
            Event::Warning(message) => terminal::warning(message),
            Event::Trial(done, of, value) => {
                terminal::note(&format!("{done} of {of} trials{}", describe_trial(*value)));
            }
            Event::Fold(number, folds, rmse) => {
                terminal::note(&describe_fold(*number, *folds, *rmse));
            }
            Event::Iteration(point) => {
                let text = describe(point, self.ratings);
                terminal::note(&format!(
                    "iteration {}/{}: {text}",
                    point.iteration, self.iterations
                ));
            }
        }
    }

    /// Prints a line above the bar, if there is one.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::note(text)),
            None => terminal::note(text),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn reading_bar(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => {
            let style = ProgressStyle::with_template(
                "reading  {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  eta {eta}",
            );
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        }
        None => ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("reading  {spinner} {bytes}  {bytes_per_sec}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        ),
    }
}

/// Describes the value of a trial: `: 0.8571` or `: failed`.
fn describe_trial(value: Option<f64>) -> String {
    value.map_or_else(|| ": failed".to_owned(), |v| format!(": {v:.4}"))
}

/// Describes a fold: `fold 2/5: holdout 0.8571`.
fn describe_fold(number: u32, folds: u32, rmse: Option<f64>) -> String {
    let rmse = rmse.map_or_else(String::new, |v| format!(": holdout {v:.4}"));
    format!("fold {number}/{folds}{rmse}")
}

/// Describes an iteration: `rmse 0.6123 holdout 0.8571, 12.3M/s`, in ratings per second.
fn describe(point: &CurvePoint, ratings: usize) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let speed = ratings as f64 / point.seconds.max(1e-9) / 1e6;
    match point.train_rmse_raw {
        Some(_) => format!(
            "rmse {} holdout {}, {speed:.1}M/s",
            number(point.train_rmse_raw),
            number(point.holdout.rmse())
        ),
        None => format!("objective {:.4}, {speed:.1}M/s", point.objective),
    }
}
