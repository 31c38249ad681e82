//! One fit, measured while it runs and at its end.

use std::ops::ControlFlow;
use std::time::Instant;

use super::super::Criterion;
use super::super::checkpoint::{Beside, Checkpoints};
use super::super::measure::{Held, Ranked, Relevance};
use super::super::report::{Baselines, Errors, Metrics, PosteriorMetrics};
use super::super::segments::Segments;
use super::Training;
use crate::error::{Error, Result};
use crate::job::{CurvePoint, Event};
use crate::metric::ranking::RankingMetric;
use crate::metric::{
    HoldoutErrors, PosteriorMean, RatingErrors, TrainingErrors, mae, rmse, training_errors,
};
use crate::model::{Factors, RankBy, Scorer};
use crate::param::Count;
use crate::ratings::{Cell, Moments, Ratings, Side};
use crate::train::{Algorithm, Fit, Iteration, Problem, Start, State};

/// Most users that a ranking criterion looks at after an iteration.
const VALIDATION_USERS: usize = 10_000;

/// Most held-out ratings whose predictive intervals are computed: shares of them are known to a tenth of
/// a per cent.
const MOST_INTERVALS: usize = 200_000;

/// Stages of a training whose state is kept.
const FIT: &str = "train";
const REFIT: &str = "refit";

/// What is kept of the measuring beside the state of a fit.
const POSTERIOR: &str = "measured.posterior";
const BEST: &str = "measured.best";

/// The ratings that one fit works on and is measured with.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Sets<'a> {
    /// Where the fit begins.
    pub start: Start<'a>,
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

/// Value, number and factors of the best iteration.
type Best = (f64, u32, Factors);

/// What is known of a fit's iterations.
#[derive(Default)]
struct Watched {
    curve: Vec<CurvePoint>,
    best: Option<Best>,
    /// Seconds of training before it was interrupted.
    seconds: f64,
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

impl Training<'_> {
    pub(in crate::pipeline) fn problem<'s>(&'s self, sets: &Sets<'s>) -> Problem<'s> {
        Problem {
            ratings: sets.ratings,
            moments: sets.moments,
            user_keys: sets.user_keys,
            item_keys: sets.item_keys,
            start: sets.start,
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
        let mut checkpoints = self.setup.checkpoints.take();
        let found = |c: &Checkpoints| c.interrupted(FIT, self.observer);
        let interrupted = checkpoints.as_ref().map(found).transpose()?.flatten();
        let mut posterior = PosteriorMean::new(sets.ratings.known(), sets.holdout);
        let mut problem = self.problem(sets);
        let Watched { mut curve, mut best, seconds: before } = match &interrupted {
            Some((beside, state)) => {
                problem.start = Start::State(state);
                self.go_on(sets, beside, state, &mut posterior)?
            }
            None => Watched::default(),
        };
        let (every, patience) = (self.config.eval_every.get(), self.config.patience);
        let aside = self.set_aside(sets);
        let mut failed = None;
        let mut watch = |it: &Iteration<'_>| {
            let elapsed = since.elapsed().as_secs_f64() - evaluation;
            if let Some(checkpoints) = &mut checkpoints {
                let seconds = before + elapsed;
                self.hold(checkpoints, it, (&curve, best.as_ref(), seconds), &posterior);
            }
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
        let fitted = algorithm.fit(&problem, &mut watch);
        if fitted.is_err()
            && let Some(checkpoints) = &mut checkpoints
        {
            checkpoints.flush(self.observer);
        }
        self.setup.checkpoints = checkpoints;
        let mut fit = fitted?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.durations.train += before + since.elapsed().as_secs_f64() - evaluation;
        self.durations.eval += evaluation;
        let posterior = averaged(&mut fit, sets.ratings, posterior);
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

    /// What was measured until a fit was interrupted.
    fn go_on(
        &self,
        sets: &Sets<'_>,
        beside: &Beside,
        state: &State,
        posterior: &mut PosteriorMean<'_>,
    ) -> Result<Watched> {
        if let Ok(numbers) = state.numbers(POSTERIOR)
            && !posterior.restore(numbers)
        {
            return Err(Error::Checkpoint("it is of another holdout".into()));
        }
        let shape = (sets.ratings.users(), sets.ratings.items());
        let factors =
            |(value, number)| Ok((value, number, state.factors(BEST, shape, self.config.rank())?));
        let best = beside.best.map(factors).transpose()?;
        (self.observer)(&Event::Resumed(FIT, state.iteration()?));
        Ok(Watched { curve: beside.curve.clone(), best, seconds: beside.seconds })
    }

    /// Keeps the state after an iteration, as it is before the iteration is measured.
    fn hold(
        &self,
        checkpoints: &mut Checkpoints,
        it: &Iteration<'_>,
        (curve, best, seconds): (&[CurvePoint], Option<&Best>, f64),
        posterior: &PosteriorMean<'_>,
    ) {
        let best_of = best.map(|(value, number, _)| (*value, *number));
        let beside = Beside { curve: curve.to_vec(), best: best_of, seconds };
        checkpoints.hold(FIT, it, &beside, self.observer, |state| {
            if let Some(numbers) = posterior.numbers() {
                state.put_numbers(POSTERIOR, numbers);
            }
            if let Some((.., factors)) = best {
                state.put_factors(BEST, factors);
            }
        });
    }

    /// The fit that is published after another one was measured.
    pub(super) fn refitted(&mut self, sets: &Sets<'_>, algorithm: &dyn Algorithm) -> Result<Fit> {
        let mut checkpoints = self.setup.checkpoints.take();
        let found = |c: &Checkpoints| c.interrupted(REFIT, self.observer);
        let interrupted = checkpoints.as_ref().map(found).transpose()?.flatten();
        let mut problem = self.problem(sets);
        if let Some((_, state)) = &interrupted {
            problem.start = Start::State(state);
            (self.observer)(&Event::Resumed(REFIT, state.iteration()?));
        }
        let fitted = algorithm.fit(&problem, &mut |it| {
            if let Some(checkpoints) = &mut checkpoints {
                checkpoints.hold(REFIT, it, &Beside::default(), self.observer, |_| {});
            }
            ControlFlow::Continue(())
        });
        if fitted.is_err()
            && let Some(checkpoints) = &mut checkpoints
        {
            checkpoints.flush(self.observer);
        }
        self.setup.checkpoints = checkpoints;
        fitted
    }

    /// Keeps the best measured iteration, and ends the fit when `patience` more have not been better.
    fn patient(
        &self,
        best: &mut Option<Best>,
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
                let ranked_by = ranked.items(items, &scorer.scale);
                let vectors = (&users.vectors, ranked_by.as_ref().unwrap_or(items));
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
        // What bayes folds in by is known at the end of the fit.
        if held.fold_in.is_some() && algorithm.name() == "variational" {
            return Ok(HoldoutErrors::default());
        }
        let fitted = (scorer.factors, scorer.scale, None);
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
        let uncertainty = fit.averaged.as_ref().and_then(|a| a.uncertainty.as_ref());
        let fitted = (&fit.factors, fit.scale, uncertainty);
        let folded = held.folded(algorithm, fitted, self.kernels, self.stop)?;
        let factors = folded.as_ref().unwrap_or(&fit.factors);
        let holdout = held.errors(&Scorer { factors, scale: fit.scale });
        let rates = fit.scale.rates();
        let (mut training, mut baselines) = (TrainingErrors::default(), Baselines::default());
        if rates {
            training = training_errors(&fit.scorer(), sets.ratings);
            let bias_only = self.config.bias_only();
            let problem = Problem { start: Start::Random, ..self.problem(sets) };
            let simple = bias_only.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
            let mut constant = RatingErrors::default();
            for cell in sets.holdout {
                constant.push(f64::from(cell.value) - sets.moments.mean);
            }
            baselines.global_mean = Errors::from(&constant);
            let errors = self.errors(sets, &bias_only, &simple.scorer())?;
            baselines.bias_only = Errors::from(&errors.clipped);
        }
        let mut metrics = Metrics::new(&training, &holdout, baselines, rates);
        if rates {
            let scorer = Scorer { factors, scale: fit.scale };
            let [users, items] = Segments::of_holdout(&held, &scorer);
            (metrics.by_activity_decile, metrics.by_popularity_decile) = (users, items);
        }
        if !self.config.metrics.is_empty() && !sets.holdout.is_empty() {
            // Measured unasked, on a sample.
            let sample = self.unasked_metrics.then_some((VALIDATION_USERS, sets.user_keys));
            let relevance = Relevance { from: self.config.relevant_from, sample };
            let ranked = Ranked::new(held, &relevance);
            let items = held.ranked_items(&factors.items, &fit.scale, RankBy::Relevance);
            let vectors = (&factors.users.vectors, items.as_ref().unwrap_or(&factors.items));
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

/// What the predictions averaged over samples are worth, or those of known variance.
fn averaged(
    fit: &mut Fit,
    ratings: &Ratings,
    mut posterior: PosteriorMean<'_>,
) -> Option<PosteriorMetrics> {
    if let Some(averaged) = fit.averaged.as_ref().filter(|a| a.uncertainty.is_some()) {
        let scale = fit.scale.deviation * fit.scale.deviation;
        let variance = |user, item| {
            averaged.variance(&fit.factors, ratings, (user, item)).map_or(0.0, |v| scale * v)
        };
        let scorer = Scorer { factors: &fit.factors, scale: fit.scale };
        posterior.thin(MOST_INTERVALS);
        posterior.set(&scorer, variance, averaged.noise);
    }
    if let Some(averaged) = &mut fit.averaged {
        averaged.spread = None;
    }
    fit.averaged.as_ref().map(|averaged| {
        PosteriorMetrics::new(averaged, &posterior.errors(&fit.scorer()), posterior.coverage())
    })
}
