//! How ratings were encoded for the fit of published factors.

use crate::job::Job;
use crate::model::{Model, Scale};
use crate::pair::Pair;
use crate::ratings::Ratings;
use crate::settings::Plan;
use crate::store::Manifest;
use crate::train::Stored;

/// The encoding of ratings in a fit, for solving rows against its factors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    /// μ of the score; 0 without standardisation.
    pub mean: f64,
    /// The deviation `s` of standardised ratings; 1 without standardisation.
    pub deviation: f64,
    /// Mean numbers of training ratings per user and per item.
    pub mean_counts: Pair<f64>,
}

impl Encoding {
    /// The encoding that a manifest records.
    pub(crate) const fn recorded(manifest: &Manifest) -> Self {
        let model = &manifest.model;
        Self {
            mean: model.global_mean,
            deviation: model.scale,
            mean_counts: Pair::new(model.mean_user_ratings, model.mean_item_ratings),
        }
    }

    /// The encoding that a fit of these ratings by this plan uses.
    pub(crate) fn of(training: &Ratings, plan: &Plan) -> Self {
        let moments = training.moments();
        let standardised = plan.facts().standardises;
        Self {
            mean: if standardised { moments.mean } else { 0.0 },
            deviation: if standardised { moments.deviation } else { 1.0 },
            mean_counts: Pair::new(training.by_user.mean_count(), training.by_item.mean_count()),
        }
    }

    /// The model with its encoding, for solving further rows against it.
    pub(crate) fn stored<'a>(&self, model: &'a Model, job: &Job<'a>) -> Stored<'a> {
        let Self { deviation, mean_counts, .. } = *self;
        let (kernels, stop) = (job.kernels, job.stop);
        Stored { model, deviation, mean_counts, kernels, stop }
    }

    /// The scale of factors that were fitted to these ratings.
    ///
    /// Deviation and biases are those of `like`. A scale of preferences is `like`, unchanged.
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
