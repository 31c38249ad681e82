//! One fit, measured while it runs.

use crate::pair::Pair;
use std::ops::ControlFlow;
use std::time::Instant;

use super::averaged::averaged;
use super::checkpoint::{Checkpoints, Measured};
use super::notes::Notes;
use super::results::PosteriorMetrics;
use super::search::choose;
use super::sets::Sets;
use super::warm::WarmStart;
use super::watch::{Best, Validation, holdout_errors, keep_best};
use crate::error::{Error, Result};
use crate::job::{CurvePoint, Event, Job};
use crate::metric::{Errors, PosteriorMean};
use crate::model::Model;
use crate::settings::Plan;
use crate::train::{Algorithm, Fit, Iteration, Start, State};

/// The stages of a training that keep checkpoints, by name.
const FIT: &str = "train";
const REFIT: &str = "refit";

/// The measurements in a state, by name.
const POSTERIOR: &str = "measured.posterior";
const BEST: &str = "measured.best";

/// The outcome of a fit.
pub(crate) struct Fitted {
    /// The plan, including everything that was decided from the ratings.
    pub plan: Plan,
    pub algorithm: Box<dyn Algorithm>,
    pub fit: Fit,
    /// The iteration that the factors come from.
    pub iteration: u32,
    /// One point per iteration.
    pub curve: Vec<CurvePoint>,
    /// Metrics of the posterior on the holdout, for a Bayesian fit.
    pub posterior: Option<PosteriorMetrics>,
    /// The best value of the criterion on the validation cells, with `--patience`.
    pub validation: Option<f64>,
    /// The iteration of the checkpoint that the fit resumed from, if it resumed.
    pub resumed_from: Option<u32>,
}

/// Decides the settings that the plan leaves to the ratings, and fits.
///
/// With `--patience`, the factors are those of the best iteration.
///
/// # Errors
/// [`Error::Numeric`], [`Error::Diverged`], [`Error::Stopped`], [`Error::Checkpoint`].
pub(crate) fn fit(
    plan: &Plan,
    sets: &Sets,
    warm: Option<&Model>,
    checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Fitted> {
    let plan = choose(plan, sets, checkpoints.as_deref(), job, notes)?;
    job.report(&Event::Fitting(plan.facts().iterations, sets.ratings.len()));
    let warm = warm.map(|model| WarmStart::new(model, &plan, sets));
    let start = warm.as_ref().map_or(Start::Random, WarmStart::start);
    run(plan, sets, start, checkpoints, job, notes).map_err(|error| sets.named(error))
}

/// Runs a fit whose plan is settled.
pub(crate) fn run(
    plan: Plan,
    sets: &Sets,
    start: Start<'_>,
    mut checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Fitted> {
    let since = Instant::now();
    let (mut evaluation, mut solving) = (0.0, 0.0);
    let algorithm = plan.fit.algorithm();
    let interrupted = match checkpoints.as_deref() {
        Some(checkpoints) => checkpoints.interrupted(FIT, job)?,
        None => None,
    };
    let mut posterior = PosteriorMean::new(sets.ratings.known(), &sets.holdout);
    let mut problem = sets.problem(start, job);
    let (mut curve, mut best, mut before, mut resumed_from) = (Vec::new(), None, 0.0, None);
    if let Some((measured, state)) = &interrupted {
        problem.start = Start::State(state);
        best = restore(&plan, sets, measured, state, &mut posterior)?;
        (curve, before) = (measured.curve.clone(), measured.seconds);
        resumed_from = Some(state.iteration()?);
        job.report(&Event::Resumed(FIT, state.iteration()?));
    }
    let (watch, folds_in_at_end) = (&plan.watch, plan.facts().folds_in_at_end);
    let validation = Validation::new(watch, sets);
    let mut failed = None;
    let mut observe = |it: &Iteration<'_>| {
        let elapsed = since.elapsed().as_secs_f64() - evaluation;
        if let Some(checkpoints) = &mut checkpoints {
            let best_of = best.as_ref().map(|best: &Best| (best.value, best.iteration));
            let measured =
                Measured { curve: curve.clone(), best: best_of, seconds: before + elapsed };
            checkpoints
                .hold(FIT, it, &measured, job, |state| keep(state, &posterior, best.as_ref()));
        }
        let mut point = CurvePoint {
            iteration: it.number,
            objective: it.objective,
            train_rmse_raw: it.train_rmse_raw,
            holdout: Errors::default(),
            validation: None,
            seconds: elapsed - solving,
        };
        solving = elapsed;
        let due = it.number.is_multiple_of(watch.every);
        let measured = match it.sample {
            Some(sample) => {
                posterior.add(&it.scorer, sample.noise);
                Ok(due.then(|| posterior.errors(&it.scorer)))
            }
            // Some algorithms can fold users in only after the last iteration.
            None if due && !(folds_in_at_end && sets.fold_in.is_some()) => {
                holdout_errors(sets, &*algorithm, &it.scorer, job).map(Some)
            }
            None => Ok(None),
        };
        let validated = match validation.as_ref().filter(|_| due) {
            Some(validation) => validation.measure(&it.scorer, job),
            None => Ok(None),
        };
        let flow = match (measured, validated) {
            (Ok(holdout), Ok(validation)) => {
                point.holdout = holdout.unwrap_or_default().clipped.metrics();
                point.validation = validation;
                curve.push(point);
                job.report(&Event::Iteration(point));
                keep_best(watch, &mut best, it, validation)
            }
            (Err(error), _) | (_, Err(error)) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        evaluation = since.elapsed().as_secs_f64() - elapsed;
        flow
    };
    let fitted = algorithm.fit(&problem, &mut observe);
    let mut fit = flushed(fitted, checkpoints, job)?;
    if let Some(error) = failed {
        return Err(error);
    }
    notes.seconds.train += before + since.elapsed().as_secs_f64() - evaluation;
    notes.seconds.eval += evaluation;
    notes.warn(dense_warning(fit.dense_rows));
    let posterior = averaged(&mut fit, &sets.ratings, posterior);
    if let Some(last) = validation.as_ref().filter(|_| !fit.iterations.is_multiple_of(watch.every))
    {
        // The last iteration is not measured on the validation cells yet.
        let value = last.measure(&fit.scorer(), job)?;
        if let Some(point) = curve.last_mut() {
            point.validation = value;
        }
        let better =
            |value: f64| best.as_ref().is_none_or(|b| watch.criterion.better(value, b.value));
        if let Some(value) = value.filter(|value| watch.patience.is_some() && better(*value)) {
            best = Some(Best { value, iteration: fit.iterations, factors: fit.factors.clone() });
        }
    }
    let (mut iteration, mut best_value) = (fit.iterations, None);
    if let Some(best) = best {
        (iteration, fit.factors, best_value) = (best.iteration, best.factors, Some(best.value));
    }
    let validation = best_value;
    Ok(Fitted { plan, algorithm, fit, iteration, curve, posterior, validation, resumed_from })
}

/// A warning about rows that single precision could not solve.
fn dense_warning(rows: u64) -> Option<String> {
    (rows > 0).then(|| {
        format!(
            "solved with sums in double precision, because single precision failed: {rows} times. \
             Very large weights may be the cause: reduce them (for counts: --confidence log)"
        )
    })
}

/// Restores the measurements of an interrupted fit, and returns its best iteration.
fn restore(
    plan: &Plan,
    sets: &Sets,
    measured: &Measured,
    state: &State,
    posterior: &mut PosteriorMean<'_>,
) -> Result<Option<Best>> {
    if let Ok(numbers) = state.numbers(POSTERIOR)
        && !posterior.restore(numbers)
    {
        return Err(Error::Checkpoint("it belongs to another holdout".into()));
    }
    let Some((value, iteration)) = measured.best else { return Ok(None) };
    let rows = Pair::new(sets.ratings.users(), sets.ratings.items());
    let factors = state.factors(BEST, rows, plan.facts().rank as usize)?;
    Ok(Some(Best { value, iteration, factors }))
}

/// Adds the measurements to a state.
fn keep(state: &mut State, posterior: &PosteriorMean<'_>, best: Option<&Best>) {
    if let Some(numbers) = posterior.numbers() {
        state.put_numbers(POSTERIOR, numbers);
    }
    if let Some(best) = best {
        state.put_factors(BEST, &best.factors);
    }
}

/// Writes the last state to disk if the fit failed, and returns the result of the fit.
fn flushed(
    fitted: Result<Fit>,
    checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
) -> Result<Fit> {
    if fitted.is_err()
        && let Some(checkpoints) = checkpoints
    {
        checkpoints.flush(job);
    }
    fitted
}

/// Runs the fit on all ratings. It is published in place of the measured fit.
///
/// Also returns the iteration of the checkpoint that it resumed from, if it resumed.
pub(super) fn refit(
    algorithm: &dyn Algorithm,
    sets: &Sets,
    start: Start<'_>,
    mut checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
) -> Result<(Fit, Option<u32>)> {
    let interrupted = match checkpoints.as_deref() {
        Some(checkpoints) => checkpoints.interrupted(REFIT, job)?,
        None => None,
    };
    let (mut problem, mut resumed_from) = (sets.problem(start, job), None);
    if let Some((_, state)) = &interrupted {
        problem.start = Start::State(state);
        resumed_from = Some(state.iteration()?);
        job.report(&Event::Resumed(REFIT, state.iteration()?));
    }
    let fitted = algorithm.fit(&problem, &mut |it| {
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.hold(REFIT, it, &Measured::default(), job, |_| {});
        }
        ControlFlow::Continue(())
    });
    Ok((flushed(fitted, checkpoints, job)?, resumed_from))
}
