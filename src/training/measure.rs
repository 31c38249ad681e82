//! Measures a finished fit: errors, rankings, and simpler models on the same holdout.

use std::ops::ControlFlow;

use super::compare::compare;
use super::fit::Fitted;
use super::held_out::Estimates;
use super::hints;
use super::notes::Notes;
use super::ranked::{Ranked, Relevance, Vectors};
use super::results::{Baselines, Metrics};
use super::segments::Segments;
use super::sets::Sets;
use super::watch::{VALIDATION_USERS, holdout_errors};
use crate::error::Result;
use crate::job::Job;
use crate::metric::{RatingErrors, TrainingErrors, training_errors};
use crate::model::{Model, RankBy, Scorer};
use crate::train::{Algorithm, Start};

/// Measures a fit and, if one is passed, an earlier model on the same held-out ratings.
pub(crate) fn measure(
    fitted: &Fitted,
    sets: &Sets,
    previous: Option<&Model>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Metrics> {
    let metrics = notes.timed(
        |s| &mut s.eval,
        |_| -> Result<Metrics> {
            let mut metrics = measured(fitted, sets, job).map_err(|error| sets.named(error))?;
            if let Some(model) = previous {
                let scorer = fitted.fit.scorer();
                let compared = compare(&fitted.plan, sets, &scorer, model, job)?;
                metrics.baselines.previous_model = Some(compared);
            }
            Ok(metrics)
        },
    )?;
    notes.warn(hints::of_fit(&fitted.plan, &metrics));
    Ok(Metrics {
        posterior: fitted.posterior,
        iteration: fitted.iteration,
        curve: fitted.curve.clone(),
        ..metrics
    })
}

fn measured(fitted: &Fitted, sets: &Sets, job: &Job<'_>) -> Result<Metrics> {
    let Fitted { plan, algorithm, fit, .. } = fitted;
    job.phase("measuring");
    let held_out = sets.held_out();
    let uncertainty = fit.averaged.as_ref().and_then(|a| a.uncertainty.as_ref());
    let estimates = Estimates { factors: &fit.factors, scale: fit.scale, uncertainty };
    let folded = held_out.folded(&**algorithm, &estimates, job)?;
    let factors = folded.as_ref().unwrap_or(&fit.factors);
    let scorer = Scorer { factors, scale: fit.scale };
    let holdout = held_out.errors(&scorer);
    let rates = fit.scale.rates();
    let (mut training, mut baselines) = (TrainingErrors::default(), Baselines::default());
    if rates {
        training = training_errors(&fit.scorer(), &sets.ratings);
        let problem = sets.problem(Start::Random, job);
        let simple = plan.baseline.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
        let mut constant = RatingErrors::default();
        for cell in &sets.holdout {
            constant.push(f64::from(cell.value) - sets.moments.mean);
        }
        baselines.global_mean = constant.metrics();
        let errors = holdout_errors(sets, &plan.baseline, &simple.scorer(), job)?;
        baselines.bias_only = errors.clipped.metrics();
    }
    let mut metrics = Metrics::new(&training, &holdout, baselines, rates);
    if rates {
        let segments = Segments::of_holdout(&held_out, &scorer);
        metrics.by_activity_decile = segments.users;
        metrics.by_popularity_decile = segments.items;
    }
    let watch = &plan.watch;
    if !watch.metrics.is_empty() && !sets.holdout.is_empty() {
        let sample = watch.sampled.then_some((VALIDATION_USERS, &sets.keys.users[..]));
        let relevance = Relevance { from: watch.relevant_from, sample };
        let ranked = Ranked::new(held_out, &relevance);
        let items = held_out.ranked_items(&factors.items, &fit.scale, RankBy::Relevance);
        let items = items.as_ref().unwrap_or(&factors.items);
        let vectors = Vectors { users: &factors.users.vectors, items };
        let own = ranked.measure(vectors, &watch.metrics, job)?;
        let popular = ranked.popular(&watch.metrics, job)?;
        metrics.ranking = Some(ranked.summary(&own));
        metrics.baselines.popularity = Some(ranked.summary(&popular));
    }
    Ok(metrics)
}
