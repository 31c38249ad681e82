//! From a measured fit to the model that is published.

use super::checkpoint::Checkpoints;
use super::dataset::Inputs;
use super::fit::{Fitted, refit};
use super::hints;
use super::notes::Notes;
use super::sets::{Prepared, Sets};
use super::warm::WarmStart;
use crate::error::Result;
use crate::job::Job;
use crate::linalg::simd::Kernels;
use crate::metric::Bin;
use crate::model::Model;
use crate::pair::Pair;
use crate::ratings::Moments;
use crate::settings::Plan;
use crate::train::{Fit, Start, StopReason};

/// Everything that is published besides the metrics.
pub(crate) struct Outcome {
    /// The plan, with all that was decided from the ratings.
    pub plan: Plan,
    pub published: Factorised,
    /// The model that was measured, where the published one was refitted on all ratings.
    pub measured: Option<Model>,
    pub iteration: u32,
    pub stop_reason: StopReason,
    pub kernels: Kernels,
    pub inputs: Inputs,
    /// Histogram of all ratings, held-out ones included.
    pub histogram: Vec<Bin>,
    pub counts: Counts,
}

/// A model, and what only its training knows.
pub(crate) struct Factorised {
    pub model: Model,
    /// Samples of the posterior that are kept.
    pub samples: Vec<Model>,
    /// Standard deviation of a rating around its prediction, where it is known.
    pub noise: Option<f64>,
    /// `s` of the factors.
    pub deviation: f64,
    /// Moments of the training ratings.
    pub moments: Moments,
    /// Mean numbers of training ratings of a user, and of an item.
    pub mean_counts: Pair<f64>,
}

/// How many of everything there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub rows: Pair<usize>,
    pub ratings: usize,
    pub training: usize,
    pub validation: usize,
}

impl Factorised {
    fn new(mut fit: Fit, sets: &Sets) -> Self {
        let Sets { ids, ratings, moments, .. } = sets;
        let samples = kept_samples(&mut fit, sets);
        fit.factors.rescale(fit.scale.deviation);
        let uncertainty = fit.averaged.as_mut().and_then(|a| a.uncertainty.take());
        let model = Model::new(&fit.factors, &ids.users, &ids.items, ratings, &fit.scale);
        Self {
            model: Model { uncertainty, ..model },
            samples,
            noise: fit.averaged.as_ref().map(|a| a.noise),
            deviation: fit.scale.deviation,
            moments: *moments,
            mean_counts: Pair::new(ratings.by_user.mean_count(), ratings.by_item.mean_count()),
        }
    }
}

/// The samples that a fit kept, on the rating scale.
fn kept_samples(fit: &mut Fit, sets: &Sets) -> Vec<Model> {
    let scale = fit.scale;
    let kept = fit.averaged.as_mut().map(|a| std::mem::take(&mut a.kept)).unwrap_or_default();
    kept.into_iter()
        .map(|mut factors| {
            factors.rescale(scale.deviation);
            Model::new(&factors, &sets.ids.users, &sets.ids.items, &sets.ratings, &scale)
        })
        .collect()
}

/// Makes the model of a fit, and fits it again on all ratings where that was asked for. A warm start
/// leads from the measured factors to the published ones.
pub(crate) fn finish(
    prepared: Prepared,
    fitted: Fitted,
    warm: bool,
    checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Outcome> {
    let Prepared { sets, all, inputs, histogram, n_ratings } = prepared;
    let Fitted { plan, fit, iteration, .. } = fitted;
    let stop_reason = fit.stop_reason;
    let published = Factorised::new(fit, &sets);
    notes.warn(hints::of_model(&plan, &published.model));
    let counts = Counts {
        rows: (*sets.ids).as_ref().map(crate::ids::Ids::len),
        ratings: n_ratings,
        training: sets.ratings.len(),
        validation: sets.validation.len(),
    };
    let (ids, keys) = (sets.ids.clone(), sets.keys.clone());
    drop(sets);
    let mut outcome = Outcome {
        plan,
        published,
        measured: None,
        iteration,
        stop_reason,
        kernels: job.kernels,
        inputs,
        histogram,
        counts,
    };
    let Some(cells) = all else { return Ok(outcome) };
    job.phase("refitting on all ratings");
    let sets = notes.timed(|s| &mut s.csr, |_| Sets::of_training(&ids, &keys, &cells));
    drop(cells);
    let refitted = notes.timed(
        |s| &mut s.train,
        |_| -> Result<Factorised> {
            let model = &outcome.published.model;
            let warm = warm.then(|| WarmStart::new(model, &outcome.plan, &sets));
            let start = warm.as_ref().map_or(Start::Random, WarmStart::start);
            // As many iterations as were chosen.
            let mut exact = outcome.plan.fit.clone();
            exact.run_exactly(outcome.iteration);
            let fit = refit(&*exact.algorithm(), &sets, start, checkpoints, job)?;
            Ok(Factorised::new(fit, &sets))
        },
    )?;
    outcome.measured = Some(std::mem::replace(&mut outcome.published, refitted).model);
    Ok(outcome)
}
