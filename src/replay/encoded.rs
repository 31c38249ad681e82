//! What published factors were fitted with: how ratings were encoded for the fit.

use crate::job::Job;
use crate::model::{Model, Scale};
use crate::pair::Pair;
use crate::ratings::Ratings;
use crate::settings::Plan;
use crate::store::Manifest;
use crate::train::Stored;

/// How ratings were encoded for a fit, for solving rows against its factors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    /// μ of the score, and `s`.
    pub mean: f64,
    pub deviation: f64,
    /// Mean numbers of training ratings of a user, and of an item.
    pub mean_counts: Pair<f64>,
}

impl Encoding {
    pub(crate) const fn recorded(manifest: &Manifest) -> Self {
        let model = &manifest.model;
        Self {
            mean: model.global_mean,
            deviation: model.scale,
            mean_counts: Pair::new(model.mean_user_ratings, model.mean_item_ratings),
        }
    }

    pub(crate) fn of(training: &Ratings, plan: &Plan) -> Self {
        let moments = training.moments();
        let standardised = plan.facts().standardises;
        Self {
            mean: if standardised { moments.mean } else { 0.0 },
            deviation: if standardised { moments.deviation } else { 1.0 },
            mean_counts: Pair::new(training.by_user.mean_count(), training.by_item.mean_count()),
        }
    }

    /// The model, for solving further rows against it.
    pub(crate) fn stored<'a>(&self, model: &'a Model, job: &Job<'a>) -> Stored<'a> {
        let Self { deviation, mean_counts, .. } = *self;
        let (kernels, stop) = (job.kernels, job.stop);
        Stored { model, deviation, mean_counts, kernels, stop }
    }

    /// The scale of factors that were fitted to these cells.
    pub(crate) fn scale(&self, training: &Ratings, like: &Scale) -> Scale {
        let moments = training.moments();
        if !like.rates() {
            return *like;
        }
        Scale {
            mean: self.mean,
            fallback: moments.mean,
            range: (f64::from(moments.min), f64::from(moments.max)),
            ..*like
        }
    }
}
