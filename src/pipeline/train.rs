//! The main job: rating files in, a model directory out.

mod auto;
mod input;

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub(super) use input::Inputs;

use super::publish::{Outcome, publish};
use super::report::{Baselines, CurvePoint, Durations, Errors, Metrics, PosteriorMetrics, Report};
use super::{AlgorithmName, Event, Observer, TrainConfig, now, with_threads};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::linalg::simd::Kernels;
use crate::load::prepare::{Duplicates, Prepared, merge};
use crate::metric::{
    HoldoutErrors, PosteriorMean, RatingErrors, TrainingErrors, holdout_errors, mae, rmse,
    training_errors,
};
use crate::model::{Factors, Model};
use crate::param::Automatic;
use crate::ratings::{Cell, Moments, Ratings};
use crate::split::Split;
use crate::store::OutDir;
use crate::train::{Algorithm, Fit, Iteration, Problem};

/// Trains a model as `config` says and publishes it.
///
/// # Errors
/// Every failure leaves what was there before as it was, and nothing half-written.
pub fn train(config: &TrainConfig, stop: &AtomicBool, observer: &Observer<'_>) -> Result<Report> {
    let out = OutDir::create(config.check()?, config.force)?;
    let config = &config.resolved();
    let threads = config.threads.map(|t| t.get() as usize);
    with_threads(threads, || {
        let mut run = Run {
            config: config.clone(),
            stop,
            observer,
            kernels: Kernels::detect(),
            started: Instant::now(),
            durations: Durations::default(),
            warnings: Vec::new(),
        };
        let started_at = now();
        let (outcome, metrics) = run.train()?;
        observer(&Event::Phase("writing"));
        publish(
            config,
            out,
            outcome,
            metrics,
            run.warnings,
            run.durations,
            (run.started, started_at),
        )
    })
}

/// One training from start to end.
struct Run<'a> {
    config: TrainConfig,
    stop: &'a AtomicBool,
    observer: &'a Observer<'a>,
    kernels: Kernels,
    started: Instant,
    durations: Durations,
    warnings: Vec<String>,
}

/// The ratings that one fit works on and is measured with.
struct Sets<'a> {
    ratings: &'a Ratings,
    moments: &'a Moments,
    holdout: &'a [Cell],
    validation: &'a [Cell],
    user_keys: &'a [u64],
    item_keys: &'a [u64],
}

/// A fit, the iteration that its factors are of, and all iterations.
struct Fitted {
    fit: Fit,
    iteration: u32,
    curve: Vec<CurvePoint>,
    /// Of the predictions averaged over samples, on the holdout.
    posterior: Option<PosteriorMetrics>,
}

impl Run<'_> {
    fn train(&mut self) -> Result<(Outcome, Metrics)> {
        let (inputs, prepared) = self.load()?;
        let Prepared { cells, test, users, items, .. } = prepared;
        let n_ratings = cells.len() + test.len();
        let since = Instant::now();
        (self.observer)(&Event::Phase("splitting"));
        let (training, holdout) = match test.is_empty() {
            true => self.config.split().apply(cells, &users, &items),
            false => (cells, test),
        };
        self.check_holdout(&holdout);
        let duplicates = self.config.load.duplicates();
        let all = (self.config.refit && (!holdout.is_empty() || self.config.patience.is_some()))
            .then(|| union(&training, &holdout, duplicates));
        let (training, validation) = self.validation_split(training, &users, &items);
        if training.is_empty() {
            return Err(Error::NothingLeft { after: "the holdout was taken off".into() });
        }
        self.durations.csr += since.elapsed().as_secs_f64();
        if self.config.regularization == Some(Automatic::Auto) {
            let named = |error| name_row(error, &users, &items);
            let chosen = self.choose_regularization(&training, &users, &items).map_err(named)?;
            self.config.regularization = Some(Automatic::Value(chosen));
        }
        let since = Instant::now();
        let ratings = Ratings::from_sorted(users.len(), items.len(), &training);
        drop(training);
        let moments = ratings.moments();
        self.durations.csr += since.elapsed().as_secs_f64();
        if moments.min == moments.max && self.config.algorithm != AlgorithmName::Ials {
            self.warnings.push("all training ratings are equal: there is nothing to learn".into());
        }

        let (user_keys, item_keys) = (users.keys("user"), items.keys("item"));
        let sets = Sets {
            ratings: &ratings,
            moments: &moments,
            holdout: &holdout,
            validation: &validation,
            user_keys: &user_keys,
            item_keys: &item_keys,
        };
        let algorithm = self.config.algorithm(None);
        let iterations = self.config.iterations();
        (self.observer)(&Event::Fitting(iterations, ratings.len()));
        let named = |error| name_row(error, &users, &items);
        let Fitted { mut fit, iteration, curve, posterior } =
            self.fit(&sets, &*algorithm).map_err(named)?;
        let (training, errors, baselines) = self.measure(&sets, &fit).map_err(named)?;
        let metrics =
            Metrics::new(&training, &errors, baselines, fit.scale.rates(), (iteration, curve));
        let metrics = Metrics { posterior, ..metrics };
        let samples = kept_samples(&mut fit, &users, &items, &ratings);
        fit.factors.rescale(fit.scale.deviation);
        let mut outcome = Outcome {
            config: self.config.clone(),
            model: Model::new(&fit.factors, &users, &items, &ratings, &fit.scale),
            samples,
            noise: fit.averaged.as_ref().map(|a| a.noise),
            measured: None,
            inputs,
            deviation: fit.scale.deviation,
            moments,
            mean_counts: (ratings.by_user.mean_count(), ratings.by_item.mean_count()),
            iteration,
            stop_reason: fit.stop_reason,
            kernels: self.kernels,
            n_users: users.len(),
            n_items: items.len(),
            n_ratings,
            n_train: ratings.len(),
            n_validation: validation.len(),
        };
        drop(ratings);
        if let Some(cells) = all {
            self.refit(&mut outcome, &cells, (&users, &items), (&user_keys, &item_keys))?;
        }
        Ok((outcome, metrics))
    }

    fn check_holdout(&mut self, holdout: &[Cell]) {
        let wanted =
            !matches!(self.config.split(), Split::None) || !self.config.test_file.is_empty();
        if holdout.is_empty() && wanted {
            self.warnings.push("the holdout is empty: its metrics are null".into());
        }
    }

    /// With patience, cuts the validation part off the training cells, by another salt.
    fn validation_split(
        &self,
        cells: Vec<Cell>,
        users: &Ids,
        items: &Ids,
    ) -> (Vec<Cell>, Vec<Cell>) {
        let split = match self.config.patience {
            Some(_) => Split::Hash {
                ratio: self.config.test_ratio.get(),
                salt: format!("{}/validation", self.config.holdout_salt),
            },
            None => Split::None,
        };
        split.apply(cells, users, items)
    }

    fn problem<'s>(&'s self, sets: &Sets<'s>) -> Problem<'s> {
        Problem {
            ratings: sets.ratings,
            moments: sets.moments,
            user_keys: sets.user_keys,
            item_keys: sets.item_keys,
            start: None,
            stop: self.stop,
            kernels: self.kernels,
        }
    }

    /// Fits, measuring each iteration; with patience, the best iteration's factors are kept.
    fn fit(&mut self, sets: &Sets<'_>, algorithm: &dyn Algorithm) -> Result<Fitted> {
        let since = Instant::now();
        let (mut evaluation, mut solving) = (0.0, 0.0);
        let mut curve: Vec<CurvePoint> = Vec::new();
        let mut best: Option<(f64, u32, Factors)> = None;
        let mut posterior = PosteriorMean::new(sets.ratings, sets.holdout);
        let mut watch = |it: &Iteration<'_>| {
            let elapsed = since.elapsed().as_secs_f64() - evaluation;
            // Preferences have no errors in ratings.
            let rates = it.scorer.scale.rates();
            let measured = |cells| rates.then(|| holdout_errors(&it.scorer, sets.ratings, cells));
            let holdout = match it.sample {
                Some(sample) => {
                    posterior.add(&it.scorer, sample.noise);
                    posterior.errors(&it.scorer)
                }
                None => measured(sets.holdout).unwrap_or_default(),
            };
            let validation = rmse(&measured(sets.validation).unwrap_or_default().clipped);
            let point = CurvePoint {
                iteration: it.number,
                objective: it.objective,
                train_rmse_raw: it.train_rmse_raw,
                holdout_rmse: rmse(&holdout.clipped),
                holdout_mae: mae(&holdout.clipped),
                validation_rmse: validation,
                seconds: elapsed - solving,
            };
            curve.push(point);
            (self.observer)(&Event::Iteration(point));
            solving = elapsed;
            let flow = match (self.config.patience, validation) {
                (Some(patience), Some(now)) => {
                    if best.as_ref().is_none_or(|(least, ..)| now < *least) {
                        best = Some((now, it.number, it.scorer.factors.clone()));
                    }
                    let best_at = best.as_ref().map_or(it.number, |b| b.1);
                    if it.number - best_at >= patience.get() {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                }
                _ => ControlFlow::Continue(()),
            };
            evaluation = since.elapsed().as_secs_f64() - elapsed;
            flow
        };
        let mut fit = algorithm.fit(&self.problem(sets), &mut watch)?;
        self.durations.train += since.elapsed().as_secs_f64() - evaluation;
        self.durations.eval += evaluation;
        let posterior = fit.averaged.as_ref().map(|averaged| {
            PosteriorMetrics::new(averaged, &posterior.errors(&fit.scorer()), posterior.coverage())
        });
        let mut iteration = fit.iterations;
        if let Some((_, best_iteration, factors)) = best {
            (iteration, fit.factors) = (best_iteration, factors);
        }
        Ok(Fitted { fit, iteration, curve, posterior })
    }

    /// The errors of the fit on the training cells and on the holdout, beside the baselines'.
    fn measure(
        &mut self,
        sets: &Sets<'_>,
        fit: &Fit,
    ) -> Result<(TrainingErrors, HoldoutErrors, Baselines)> {
        let since = Instant::now();
        (self.observer)(&Event::Phase("measuring"));
        let errors = |fit: &Fit| holdout_errors(&fit.scorer(), sets.ratings, sets.holdout);
        if !fit.scale.rates() {
            let holdout = errors(fit);
            self.durations.eval += since.elapsed().as_secs_f64();
            return Ok((TrainingErrors::default(), holdout, Baselines::default()));
        }
        let bias_only = self.config.bias_only();
        let bias_only = bias_only.fit(&self.problem(sets), &mut |_| ControlFlow::Continue(()))?;
        let mut constant = RatingErrors::default();
        for cell in sets.holdout {
            constant.push(f64::from(cell.value) - sets.moments.mean);
        }
        let baselines = Baselines {
            global_mean: Errors::from(&constant),
            bias_only: Errors::from(&errors(&bias_only).clipped),
        };
        let (training, holdout) = (training_errors(&fit.scorer(), sets.ratings), errors(fit));
        self.durations.eval += since.elapsed().as_secs_f64();
        Ok((training, holdout, baselines))
    }

    /// Fits the published factors on all ratings, as many iterations as were chosen.
    fn refit(
        &mut self,
        outcome: &mut Outcome,
        cells: &[Cell],
        (users, items): (&Ids, &Ids),
        (user_keys, item_keys): (&[u64], &[u64]),
    ) -> Result<()> {
        (self.observer)(&Event::Phase("refitting on all ratings"));
        let since = Instant::now();
        let ratings = Ratings::from_sorted(users.len(), items.len(), cells);
        let moments = ratings.moments();
        self.durations.csr += since.elapsed().as_secs_f64();
        let since = Instant::now();
        let sets = Sets {
            ratings: &ratings,
            moments: &moments,
            holdout: &[],
            validation: &[],
            user_keys,
            item_keys,
        };
        let algorithm = self.config.algorithm(Some(outcome.iteration));
        let mut fit = algorithm.fit(&self.problem(&sets), &mut |_| ControlFlow::Continue(()))?;
        fit.factors.rescale(fit.scale.deviation);
        let model = Model::new(&fit.factors, users, items, &ratings, &fit.scale);
        outcome.samples = kept_samples(&mut fit, users, items, &ratings);
        outcome.noise = fit.averaged.as_ref().map(|a| a.noise);
        outcome.measured = Some(std::mem::replace(&mut outcome.model, model));
        outcome.deviation = fit.scale.deviation;
        outcome.moments = moments;
        outcome.mean_counts = (ratings.by_user.mean_count(), ratings.by_item.mean_count());
        self.durations.train += since.elapsed().as_secs_f64();
        Ok(())
    }
}

/// The samples that a fit kept, on the rating scale.
fn kept_samples(fit: &mut Fit, users: &Ids, items: &Ids, ratings: &Ratings) -> Vec<Model> {
    let scale = fit.scale;
    let kept = fit.averaged.as_mut().map(|a| std::mem::take(&mut a.kept)).unwrap_or_default();
    kept.into_iter()
        .map(|mut factors| {
            factors.rescale(scale.deviation);
            Model::new(&factors, users, items, ratings, &scale)
        })
        .collect()
}

/// Replaces the position of a row that could not be solved by its id.
fn name_row(error: Error, users: &Ids, items: &Ids) -> Error {
    match error {
        Error::Numeric { side, row, message } => {
            let ids = if side == "user" { users } else { items };
            let known = row.parse().ok().filter(|&at: &usize| at < ids.len());
            let row = known.map_or(row, |at| format!("\"{}\"", ids.get(at)));
            Error::Numeric { side, row, message }
        }
        other => other,
    }
}

/// Two sets of cells as one, sorted; a cell in both (after a split by time) is resolved as duplicates
/// are.
fn union(first: &[Cell], second: &[Cell], duplicates: Duplicates) -> Vec<Cell> {
    let mut all = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    let key = |c: &Cell| (c.user, c.item);
    while let (Some(&x), Some(&y)) = (a.peek(), b.peek()) {
        match key(x).cmp(&key(y)) {
            Ordering::Less => all.extend(a.next().copied()),
            Ordering::Greater => all.extend(b.next().copied()),
            Ordering::Equal => {
                all.push(merge(&[*x, *y], duplicates));
                a.next();
                b.next();
            }
        }
    }
    all.extend(a);
    all.extend(b);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_is_sorted_and_resolves_duplicates() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let all = union(
            &[cell(0, 1, 1.0), cell(0, 3, 1.0), cell(2, 0, 1.0)],
            &[cell(0, 0, 2.0), cell(0, 3, 2.0), cell(3, 0, 2.0)],
            Duplicates::Mean,
        );
        let of: Vec<_> = all.iter().map(|c| (c.user, c.item, c.value)).collect();
        assert_eq!(of, [(0, 0, 2.0), (0, 1, 1.0), (0, 3, 1.5), (2, 0, 1.0), (3, 0, 2.0)]);
    }
}
