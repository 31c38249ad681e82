//! The predictions of test cells, one by one.

use serde::Serialize;

use crate::linalg::simd::Kernels;
use crate::metric::{Calibration, Interval, RatingErrors, bootstrap_rmse, rmse};
use crate::model::Scorer;
use crate::ratings::Known;
use crate::training::{Errors, HeldOut};

/// Errors of predicted ratings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatingMetrics {
    /// Clipped, cold cells included.
    pub rmse: Option<f64>,
    /// Bootstrap interval of 95 % for it, over users.
    pub rmse_interval: Option<Interval>,
    /// Clipped, cold cells included.
    pub mae: Option<f64>,
    /// Predictions as they are.
    pub rmse_raw: Option<f64>,
    /// Clipped, without cold cells.
    pub rmse_warm: Option<f64>,
    /// Ratings whose user or item has no training rating.
    pub n_cold: u64,
    /// Slope of ratings on predictions; 1 is calibrated, below 1 predictions spread too far (too little
    /// regularised), above 1 too little (too strongly regularised).
    pub calibration_slope: Option<f64>,
}

/// The clipped error of every test cell, and the calibration of all predictions.
pub(super) struct Predicted {
    /// In the order of the cells.
    pub errors: Vec<f64>,
    calibration: Calibration,
    per_user: Vec<RatingErrors>,
}

impl Predicted {
    pub(super) fn new(held: &HeldOut<'_>, scorer: &Scorer<'_>, kernels: Kernels) -> Self {
        let known = Known::new(held.seen(), &held.ratings.by_item);
        let mut calibration = Calibration::default();
        let (mut errors, mut per_user) = (Vec::with_capacity(held.cells.len()), Vec::new());
        for cells in held.cells.chunk_by(|a, b| a.user == b.user) {
            let mut own = RatingErrors::default();
            for cell in cells {
                let (user, item) = known.rows(cell);
                let (score, value) = (scorer.score(kernels, user, item), f64::from(cell.value));
                calibration.push(score, value);
                let error = value - scorer.clip(score);
                own.push(error);
                errors.push(error);
            }
            per_user.push(own);
        }
        Self { errors, calibration, per_user }
    }

    pub(super) fn metrics(
        &self,
        held: &HeldOut<'_>,
        scorer: &Scorer<'_>,
        seed: u64,
    ) -> RatingMetrics {
        let errors = held.errors(scorer);
        RatingMetrics {
            rmse: rmse(&errors.clipped),
            rmse_interval: bootstrap_rmse(&self.per_user, seed),
            mae: Errors::from(&errors.clipped).mae,
            rmse_raw: rmse(&errors.raw),
            rmse_warm: rmse(&errors.warm),
            n_cold: errors.cold(),
            calibration_slope: self.calibration.slope(),
        }
    }
}
