//! What stored factors were fitted with.

use std::sync::atomic::AtomicBool;

use super::TrainConfig;
use crate::linalg::simd::Kernels;
use crate::model::{Model, Scale};
use crate::ratings::Ratings;
use crate::store::Manifest;
use crate::train::Stored;

/// What the factors were fitted with, for solving rows against them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    /// μ of the score, and `s`.
    pub mean: f64,
    pub deviation: f64,
    pub mean_counts: (f64, f64),
}

impl Basis {
    pub(super) const fn recorded(manifest: &Manifest) -> Self {
        let model = &manifest.model;
        Self {
            mean: model.global_mean,
            deviation: model.scale,
            mean_counts: (model.mean_user_ratings, model.mean_item_ratings),
        }
    }

    pub(super) fn of(training: &Ratings, settings: &TrainConfig) -> Self {
        let moments = training.moments();
        let standardised = settings.standardises();
        Self {
            mean: if standardised { moments.mean } else { 0.0 },
            deviation: if standardised { moments.deviation } else { 1.0 },
            mean_counts: (training.by_user.mean_count(), training.by_item.mean_count()),
        }
    }

    /// The model, for solving further rows against it.
    pub(super) fn stored<'a>(&self, model: &'a Model, stop: &'a AtomicBool) -> Stored<'a> {
        let Self { deviation, mean_counts, .. } = *self;
        Stored { model, deviation, mean_counts, kernels: Kernels::detect(), stop }
    }

    /// The scale of factors that were fitted to these cells.
    pub(super) fn scale(&self, training: &Ratings, like: &Scale) -> Scale {
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
