//! Turns a measured fit into the published model.

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

/// Everything that is published in addition to the metrics.
pub(crate) struct Outcome {
    /// The plan, including everything that was decided from the ratings.
    pub plan: Plan,
    pub published: Factorised,
    /// The measured model, if the published model was refitted on all ratings.
    pub measured: Option<Model>,
    pub iteration: u32,
    /// The iteration of the last checkpoint that the training resumed from, if it resumed.
    pub resumed_from: Option<u32>,
    pub stop_reason: StopReason,
    pub kernels: Kernels,
    pub inputs: Inputs,
    /// Histogram of all ratings, held-out ones included.
    pub histogram: Vec<Bin>,
    pub counts: Counts,
}

/// A model, with facts that only its training knows.
pub(crate) struct Factorised {
    pub model: Model,
    /// Kept samples of the posterior.
    pub samples: Vec<Model>,
    /// Standard deviation of a rating around its prediction, if known.
    pub noise: Option<f64>,
    /// Deviation `s` by which the factors were rescaled to the rating scale.
    pub deviation: f64,
    /// Moments of the training ratings.
    pub moments: Moments,
    /// Mean number of training ratings per user and per item.
    pub mean_counts: Pair<f64>,
}

/// Numbers of users and items, and of ratings in each part.
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

/// Returns the samples that a fit kept, on the rating scale.
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

/// Builds the model of a fit, and refits it on all ratings if the plan asks for that.
///
/// With `warm`, the refit starts from the measured factors.
pub(crate) fn finish(
    prepared: Prepared,
    fitted: Fitted,
    warm: bool,
    checkpoints: Option<&mut Checkpoints>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Outcome> {
    let Prepared { sets, all, inputs, histogram, n_ratings } = prepared;
    let Fitted { plan, fit, iteration, resumed_from, .. } = fitted;
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
        resumed_from,
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
        |_| -> Result<(Factorised, Option<u32>)> {
            let model = &outcome.published.model;
            let warm = warm.then(|| WarmStart::new(model, &outcome.plan, &sets));
            let start = warm.as_ref().map_or(Start::Random, WarmStart::start);
            // The refit runs exactly as many iterations as the measured fit chose.
            let mut exact = outcome.plan.fit.clone();
            exact.run_exactly(outcome.iteration);
            let (fit, resumed_from) = refit(&*exact.algorithm(), &sets, start, checkpoints, job)?;
            Ok((Factorised::new(fit, &sets), resumed_from))
        },
    )?;
    let (refitted, resumed_from) = refitted;
    outcome.resumed_from = resumed_from.or(outcome.resumed_from);
    outcome.measured = Some(std::mem::replace(&mut outcome.published, refitted).model);
    Ok(outcome)
}
