//! Measures a fit while it runs, and ends it when patience is exhausted.

use std::ops::ControlFlow;

use super::held_out::{Estimates, HeldOut};
use super::ranked::{Ranked, Relevance, Vectors};
use super::sets::Sets;
use crate::error::Result;
use crate::job::Job;
use crate::metric::HoldoutErrors;
use crate::metric::ranking::RankingMetric;
use crate::model::{Factors, Scorer};
use crate::settings::{Criterion, Watch};
use crate::train::{Algorithm, Iteration};

/// Largest number of users in a sample: for a ranking criterion after an iteration, and for metrics
/// that nobody requested.
pub(super) const VALIDATION_USERS: usize = 10_000;

/// The best iteration so far.
pub(super) struct Best {
    /// Value of the criterion.
    pub value: f64,
    pub iteration: u32,
    pub factors: Factors,
}

/// How the criterion is computed on the validation cells.
pub(crate) enum Validation<'a> {
    Errors(HeldOut<'a>),
    Ranking(Box<Ranked<'a>>, RankingMetric),
}

impl<'a> Validation<'a> {
    /// Prepares the criterion on the validation cells; `None` if there are none.
    pub(crate) fn new(watch: &Watch, sets: &'a Sets) -> Option<Self> {
        let relevance = Relevance {
            from: watch.relevant_from,
            sample: Some((VALIDATION_USERS, &sets.keys.users)),
        };
        let validation = || match watch.criterion {
            Criterion::Rmse => Self::Errors(sets.validation()),
            Criterion::Ranking(metric) => {
                Self::Ranking(Box::new(Ranked::new(sets.validation(), &relevance)), metric)
            }
        };
        (!sets.validation.is_empty()).then(validation)
    }

    /// Measures the criterion; `None` if it has no value.
    pub(crate) fn measure(&self, scorer: &Scorer<'_>, job: &Job<'_>) -> Result<Option<f64>> {
        match self {
            Self::Errors(held_out) => Ok(held_out.errors(scorer).clipped.rmse()),
            Self::Ranking(ranked, metric) => {
                let Factors { users, items } = scorer.factors;
                let ranked_by = ranked.items(items, &scorer.scale);
                let items = ranked_by.as_ref().unwrap_or(items);
                let vectors = Vectors { users: &users.vectors, items };
                let ranking = ranked.measure(vectors, &[*metric], job)?;
                Ok(ranking.values.first().and_then(|(_, value)| *value))
            }
        }
    }
}

/// Measures the errors on the holdout. They are all zero if there is no holdout or scores are not
/// ratings.
pub(super) fn holdout_errors(
    sets: &Sets,
    algorithm: &dyn Algorithm,
    scorer: &Scorer<'_>,
    job: &Job<'_>,
) -> Result<HoldoutErrors> {
    if !scorer.scale.rates() || sets.holdout.is_empty() {
        return Ok(HoldoutErrors::default());
    }
    let held_out = sets.held_out();
    let estimates = Estimates { factors: scorer.factors, scale: scorer.scale, uncertainty: None };
    let folded = held_out.folded(algorithm, &estimates, job)?;
    let factors = folded.as_ref().unwrap_or(scorer.factors);
    Ok(held_out.errors(&Scorer { factors, ..*scorer }))
}

/// Keeps the best measured iteration, and ends the fit when patience is exhausted.
pub(super) fn keep_best(
    watch: &Watch,
    best: &mut Option<Best>,
    it: &Iteration<'_>,
    validation: Option<f64>,
) -> ControlFlow<()> {
    let Some(value) = validation else { return ControlFlow::Continue(()) };
    if best.as_ref().is_none_or(|best| watch.criterion.better(value, best.value)) {
        let factors = it.scorer.factors.clone();
        *best = Some(Best { value, iteration: it.number, factors });
    }
    let best_at = best.as_ref().map_or(it.number, |best| best.iteration);
    match (it.number - best_at) / watch.every >= watch.patience.unwrap_or(u32::MAX) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}
