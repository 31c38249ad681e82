//! The course of a fit: one iteration after the other until enough are done.

use std::ops::ControlFlow;

use super::{Iteration, Observer, Problem, Sample, Snapshot, State, StopReason, check_stop};
use crate::error::Result;
use crate::model::Scorer;

/// An algorithm between two of its iterations.
pub(super) trait Process {
    /// Does the iteration of this number, from 1.
    fn step(&mut self, number: u32) -> Result<Step>;

    /// The objective before the first iteration, where it is known.
    fn before(&self) -> f64 {
        f64::INFINITY
    }

    /// Predicts with the factors as they stand.
    fn scorer(&self) -> Scorer<'_>;

    /// Adds all that the next iteration depends on.
    fn save(&self, state: &mut State);
}

/// What an iteration came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The objective, over all cells.
    pub total: f64,
    pub train_rmse_raw: Option<f64>,
    pub sample: Option<Sample>,
    /// Whether the objective is that of the iteration before, so that its improvement says something.
    pub comparable: bool,
}

/// Most iterations, and the relative improvement below which they end (0 never does).
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub iterations: u32,
    pub tolerance: f64,
}

/// Name of the course's own numbers in a state.
pub(super) const COURSE: &str = "course";

/// Does iterations until the limits, the tolerance or the observer end them; how many are done, and
/// why they ended. From a state on, its iteration is shown to the observer again first.
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
