//! One fit, measured while it runs and at its end.

use std::ops::ControlFlow;
use std::time::Instant;

use super::super::measure::{Held, Ranked, Relevance};
use super::super::report::{Baselines, CurvePoint, Errors, Metrics, PosteriorMetrics};
use super::super::{Criterion, Event};
use super::Run;
use crate::error::Result;
use crate::metric::ranking::RankingMetric;
use crate::metric::{
    HoldoutErrors, PosteriorMean, RatingErrors, TrainingErrors, mae, rmse, training_errors,
};
use crate::model::{Factors, Scorer};
use crate::param::Count;
use crate::ratings::{Cell, Moments, Ratings, Side};
use crate::train::{Algorithm, Fit, Iteration, Problem, Start};

/// Most users that a ranking criterion looks at after an iteration.
const VALIDATION_USERS: usize = 10_000;

/// The ratings that one fit works on and is measured with.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Sets<'a> {
    pub ratings: &'a Ratings,
    pub moments: &'a Moments,
    pub holdout: &'a [Cell],
    pub fold_in: Option<&'a Side>,
    pub validation: &'a [Cell],
    /// Training and validation cells by user, where rankings are measured and there are validation cells.
    pub looked_at: Option<&'a Side>,
    pub user_keys: &'a [u64],
    pub item_keys: &'a [u64],
}

impl<'a> Sets<'a> {
    pub(in crate::pipeline) const fn held(&self) -> Held<'a> {
        Held {
            ratings: self.ratings,
            cells: self.holdout,
            fold_in: self.fold_in,
            looked_at: self.looked_at,
        }
    }

    const fn set_aside(&self) -> Held<'a> {
        Held { ratings: self.ratings, cells: self.validation, fold_in: None, looked_at: None }
    }
}

/// How the criterion is computed on the validation cells.
enum Aside<'a> {
    Errors(Held<'a>),
    Ranking(Box<Ranked<'a>>, RankingMetric),
}

/// A fit, the iteration that its factors are of, and all iterations.
pub(in crate::pipeline) struct Fitted {
    pub fit: Fit,
    pub iteration: u32,
    pub curve: Vec<CurvePoint>,
    /// Of the predictions averaged over samples, on the holdout.
    pub posterior: Option<PosteriorMetrics>,
    /// The best value of the criterion on the validation part, with patience.
    pub validation: Option<f64>,
}

impl Run<'_> {
    pub(in crate::pipeline) fn problem<'s>(&'s self, sets: &Sets<'s>) -> Problem<'s> {
        Problem {
            ratings: sets.ratings,
            moments: sets.moments,
            user_keys: sets.user_keys,
            item_keys: sets.item_keys,
            start: Start::Random,
            stop: self.stop,
            kernels: self.kernels,
        }
    }

    /// Fits, measuring the iterations; with patience, the best iteration's factors are kept.
    pub(in crate::pipeline) fn fit(
        &mut self,
        sets: &Sets<'_>,
        algorithm: &dyn Algorithm,
    ) -> Result<Fitted> {
        let since = Instant::now();
        let (mut evaluation, mut solving) = (0.0, 0.0);
        let mut curve: Vec<CurvePoint> = Vec::new();
        let mut best: Option<(f64, u32, Factors)> = None;
        let mut posterior = PosteriorMean::new(sets.ratings.known(), sets.holdout);
        let (every, patience) = (self.config.eval_every.get(), self.config.patience);
        let aside = self.set_aside(sets);
        let mut failed = None;
        let mut watch = |it: &Iteration<'_>| {
            let elapsed = since.elapsed().as_secs_f64() - evaluation;
            let mut point = CurvePoint {
                iteration: it.number,
                objective: it.objective,
                train_rmse_raw: it.train_rmse_raw,
                holdout_rmse: None,
                holdout_mae: None,
                validation: None,
                seconds: elapsed - solving,
            };
            solving = elapsed;
            let due = it.number.is_multiple_of(every);
            let measured = match it.sample {
                Some(sample) => {
                    posterior.add(&it.scorer, sample.noise);
                    Ok(due.then(|| posterior.errors(&it.scorer)))
                }
                None if due => self.errors(sets, algorithm, &it.scorer).map(Some),
                None => Ok(None),
            };
            let validation = match aside.as_ref().filter(|_| due) {
                Some(aside) => self.criterion_of(aside, &it.scorer),
                None => Ok(None),
            };
            let flow = match (measured, validation) {
                (Ok(holdout), Ok(validation)) => {
                    let holdout = holdout.unwrap_or_default();
                    point.holdout_rmse = rmse(&holdout.clipped);
                    point.holdout_mae = mae(&holdout.clipped);
                    point.validation = validation;
                    curve.push(point);
                    (self.observer)(&Event::Iteration(point));
                    self.patient(&mut best, it, validation, patience.map_or(u32::MAX, Count::get))
                }
                (Err(error), _) | (_, Err(error)) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            };
            evaluation = since.elapsed().as_secs_f64() - elapsed;
            flow
        };
        let mut fit = algorithm.fit(&self.problem(sets), &mut watch)?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.durations.train += since.elapsed().as_secs_f64() - evaluation;
        self.durations.eval += evaluation;
        if let Some(averaged) = &mut fit.averaged
            && let Some(spread) = averaged.spread.take()
        {
            let scale = fit.scale.deviation * fit.scale.deviation;
            let variance = |user, item| scale * spread.variance(user, item);
            let scorer = Scorer { factors: &fit.factors, scale: fit.scale };
            posterior.set(&scorer, variance, averaged.noise);
        }
        let posterior = fit.averaged.as_ref().map(|averaged| {
            PosteriorMetrics::new(averaged, &posterior.errors(&fit.scorer()), posterior.coverage())
        });
        if let Some(aside) = aside.as_ref().filter(|_| !fit.iterations.is_multiple_of(every)) {
            // The last iteration was not due.
            let now = self.criterion_of(aside, &fit.scorer())?;
            if let Some(point) = curve.last_mut() {
                point.validation = now;
            }
            let better =
                |now: f64| best.as_ref().is_none_or(|b| self.config.criterion().better(now, b.0));
            if let Some(now) = now.filter(|now| patience.is_some() && better(*now)) {
                best = Some((now, fit.iterations, fit.factors.clone()));
            }
        }
        let mut iteration = fit.iterations;
        let mut validation = None;
        if let Some((value, best_iteration, factors)) = best {
            (iteration, fit.factors, validation) = (best_iteration, factors, Some(value));
        }
        Ok(Fitted { fit, iteration, curve, posterior, validation })
    }

    /// Keeps the best measured iteration, and ends the fit when `patience` more have not been better.
    fn patient(
        &self,
        best: &mut Option<(f64, u32, Factors)>,
        it: &Iteration<'_>,
        validation: Option<f64>,
        patience: u32,
    ) -> ControlFlow<()> {
        let Some(now) = validation else { return ControlFlow::Continue(()) };
        let criterion = self.config.criterion();
        if best.as_ref().is_none_or(|(before, ..)| criterion.better(now, *before)) {
            *best = Some((now, it.number, it.scorer.factors.clone()));
        }
        let best_at = best.as_ref().map_or(it.number, |b| b.1);
        if (it.number - best_at) / self.config.eval_every.get() >= patience {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// How the validation cells are looked at; none without any.
    fn set_aside<'s>(&self, sets: &Sets<'s>) -> Option<Aside<'s>> {
        let relevance = Relevance {
            from: self.config.relevant_from,
            sample: Some((VALIDATION_USERS, sets.user_keys)),
        };
        let aside = || match self.config.criterion() {
            Criterion::Rmse => Aside::Errors(sets.set_aside()),
            Criterion::Ranking(metric) => {
                Aside::Ranking(Box::new(Ranked::new(sets.set_aside(), &relevance)), metric)
            }
        };
        (!sets.validation.is_empty()).then(aside)
    }

    /// The criterion on the validation cells of a fit that was not watched.
    pub(in crate::pipeline) fn validate(
        &self,
        sets: &Sets<'_>,
        scorer: &Scorer<'_>,
    ) -> Result<Option<f64>> {
        self.set_aside(sets).map_or(Ok(None), |aside| self.criterion_of(&aside, scorer))
    }

    /// The criterion on the validation cells.
    fn criterion_of(&self, aside: &Aside<'_>, scorer: &Scorer<'_>) -> Result<Option<f64>> {
        match aside {
            Aside::Errors(held) => Ok(rmse(&held.errors(scorer).clipped)),
            Aside::Ranking(ranked, metric) => {
                let Factors { users, items } = scorer.factors;
                let vectors = (&users.vectors, items);
                let ranking = ranked.measure(vectors, &[*metric], self.kernels, self.stop)?;
                Ok(ranking.values.first().and_then(|(_, value)| *value))
            }
        }
    }

    /// Errors on the holdout; all zero where scores are no ratings.
    fn errors(
        &self,
        sets: &Sets<'_>,
        algorithm: &dyn Algorithm,
        scorer: &Scorer<'_>,
    ) -> Result<HoldoutErrors> {
        if !scorer.scale.rates() || sets.holdout.is_empty() {
            return Ok(HoldoutErrors::default());
        }
        let held = sets.held();
        let fitted = (scorer.factors, scorer.scale);
        let folded = held.folded(algorithm, fitted, self.kernels, self.stop)?;
        let factors = folded.as_ref().unwrap_or(scorer.factors);
        Ok(held.errors(&Scorer { factors, ..*scorer }))
    }

    /// What the fit is worth on the training cells and on the holdout, beside the baselines.
    pub(in crate::pipeline) fn measure(
        &mut self,
        sets: &Sets<'_>,
        algorithm: &dyn Algorithm,
        fit: &Fit,
    ) -> Result<Metrics> {
        let since = Instant::now();
        (self.observer)(&Event::Phase("measuring"));
        let held = sets.held();
        let folded = held.folded(algorithm, (&fit.factors, fit.scale), self.kernels, self.stop)?;
        let factors = folded.as_ref().unwrap_or(&fit.factors);
        let holdout = held.errors(&Scorer { factors, scale: fit.scale });
        let rates = fit.scale.rates();
        let (mut training, mut baselines) = (TrainingErrors::default(), Baselines::default());
        if rates {
            training = training_errors(&fit.scorer(), sets.ratings);
            let bias_only = self.config.bias_only();
            let simple = bias_only.fit(&self.problem(sets), &mut |_| ControlFlow::Continue(()))?;
            let mut constant = RatingErrors::default();
            for cell in sets.holdout {
                constant.push(f64::from(cell.value) - sets.moments.mean);
            }
            baselines.global_mean = Errors::from(&constant);
            let errors = self.errors(sets, &bias_only, &simple.scorer())?;
            baselines.bias_only = Errors::from(&errors.clipped);
        }
        let mut metrics = Metrics::new(&training, &holdout, baselines, rates);
        if !self.config.metrics.is_empty() {
            let relevance = Relevance { from: self.config.relevant_from, sample: None };
            let ranked = Ranked::new(held, &relevance);
            let vectors = (&factors.users.vectors, &factors.items);
            let (wanted, kernels) = (&self.config.metrics, self.kernels);
            let own = ranked.measure(vectors, wanted, kernels, self.stop)?;
            let popular = ranked.popular(wanted, kernels, self.stop)?;
            metrics.ranking = Some(ranked.summary(&own));
            metrics.baselines.popularity = Some(ranked.summary(&popular));
        }
        self.durations.eval += since.elapsed().as_secs_f64();
        Ok(metrics)
    }
}
