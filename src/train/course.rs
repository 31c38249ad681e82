//! The iteration loop that all fits share.

use std::ops::ControlFlow;

use super::state::COURSE;
use super::{Iteration, Observer, Problem, Sample, Snapshot, State, StopReason, check_stop};
use crate::error::Result;
use crate::model::Scorer;

/// An algorithm that runs iteration by iteration.
pub(super) trait Process {
    /// Runs iteration `number`, counted from 1.
    fn step(&mut self, number: u32) -> Result<Step>;

    /// The objective before the first iteration; infinite where it is unknown.
    fn before(&self) -> f64 {
        f64::INFINITY
    }

    /// Predicts with the current factors.
    fn scorer(&self) -> Scorer<'_>;

    /// Adds everything to `state` that the next iteration depends on.
    fn save(&self, state: &mut State);
}

/// The result of one iteration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The total objective; [`Iteration::objective`] is this divided by the number of cells.
    pub total: f64,
    pub train_rmse_raw: Option<f64>,
    pub sample: Option<Sample>,
    /// Whether a small improvement over the previous iteration may end the fit.
    pub comparable: bool,
}

/// The limits of a fit.
///
/// The fit ends after `iterations` iterations, or when the relative improvement of the objective
/// falls below `tolerance`; 0 disables the latter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub iterations: u32,
    pub tolerance: f64,
}

/// Runs iterations until the limits or the observer end the fit.
///
/// Returns the number of completed iterations and why the fit ended. A resumed fit first shows the
/// observer the iteration of its state again.
pub(super) fn run(
    process: &mut impl Process,
    problem: &Problem<'_>,
    limits: Limits,
    observer: &mut Observer<'_>,
) -> Result<(u32, StopReason)> {
    let cells = problem.ratings.len().max(1) as f64;
    let mut previous = process.before();
    let (mut done, mut last) = (0, None);
    if let Some(state) = problem.start.state() {
        let [number, before, total, rmse, sample, noise, comparable] = state.some(COURSE)?;
        (done, previous) = (number as u32, before);
        last = Some(Step {
            total,
            train_rmse_raw: (!rmse.is_nan()).then_some(rmse),
            sample: (sample > 0.0).then_some(Sample { number: sample as u32, noise }),
            comparable: comparable != 0.0,
        });
    }
    loop {
        let step = match last.take() {
            Some(step) => step,
            None if done >= limits.iterations => return Ok((done, StopReason::Iterations)),
            None => {
                let step = process.step(done + 1)?;
                done += 1;
                step
            }
        };
        let capture = || {
            let mut state = State::default();
            let sample = step.sample.map_or([0.0; 2], |s| [f64::from(s.number), s.noise]);
            let rmse = step.train_rmse_raw.unwrap_or(f64::NAN);
            let comparable = f64::from(u8::from(step.comparable));
            let own = [f64::from(done), previous, step.total, rmse];
            let course = own.into_iter().chain(sample).chain([comparable]).collect();
            state.put_numbers(COURSE, course);
            process.save(&mut state);
            state
        };
        let iteration = Iteration {
            number: done,
            objective: step.total / cells,
            train_rmse_raw: step.train_rmse_raw,
            sample: step.sample,
            scorer: process.scorer(),
            snapshot: Snapshot(&capture),
        };
        if observer(&iteration) == ControlFlow::Break(()) {
            return Ok((done, StopReason::Observer));
        }
        check_stop(problem.stop)?;
        let judged = limits.tolerance > 0.0 && step.comparable;
        if judged && previous - step.total < limits.tolerance * step.total {
            return Ok((done, StopReason::Tolerance));
        }
        previous = step.total;
    }
}
