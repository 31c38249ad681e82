//! Predictions of single test cells.

use serde::Serialize;

use crate::linalg::simd::Kernels;
use crate::metric::{Calibration, Errors, Interval, RatingErrors, bootstrap_rmse};
use crate::model::Scorer;
use crate::ratings::Known;
use crate::training::HeldOut;

/// Errors of predicted ratings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatingMetrics {
    /// Errors with clipped predictions and cold cells included.
    #[serde(flatten)]
    pub errors: Errors,
    /// 95 % bootstrap interval of the RMSE, over users.
    pub rmse_interval: Option<Interval>,
    /// RMSE with unclipped predictions and cold cells included.
    pub rmse_raw: Option<f64>,
    /// RMSE with clipped predictions and without cold cells.
    pub rmse_warm: Option<f64>,
    /// Number of cold cells: their user or item has no training rating.
    pub n_cold: u64,
    /// Slope of the regression of ratings on predictions. At 1, predictions are calibrated. Below
    /// 1, they spread too far (too little regularisation). Above 1, they spread too little (too
    /// much regularisation).
    pub calibration_slope: Option<f64>,
}

/// The clipped error of every test cell, and the calibration of all predictions.
pub(super) struct Predicted {
    /// Errors in the order of the cells.
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
            errors: errors.clipped.metrics(),
            rmse_interval: bootstrap_rmse(&self.per_user, seed),
            rmse_raw: errors.raw.rmse(),
            rmse_warm: errors.warm.rmse(),
            n_cold: errors.cold(),
            calibration_slope: self.calibration.slope(),
        }
    }
}
