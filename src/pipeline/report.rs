//! What a training reports.

use std::path::PathBuf;

use serde::Serialize;

use crate::metric::{Coverage, HoldoutErrors, RatingErrors, TrainingErrors, mae, rmse};
use crate::store::Manifest;
use crate::train::Averaged;

/// RMSE and MAE of one set of predictions; null over no predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Errors {
    /// Root mean squared error.
    pub rmse: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
}

impl From<&RatingErrors> for Errors {
    fn from(errors: &RatingErrors) -> Self {
        Self { rmse: rmse(errors), mae: mae(errors) }
    }
}

/// One iteration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// From 1.
    pub iteration: u32,
    /// The objective per training cell, on standardised ratings.
    pub objective: f64,
    /// RMSE on the training ratings, predictions as they are.
    pub train_rmse_raw: Option<f64>,
    /// Clipped errors on the holdout, cold cells included.
    pub holdout_rmse: Option<f64>,
    /// See `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// Clipped RMSE on the validation part, with `--patience`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_rmse: Option<f64>,
    /// Seconds of solving.
    pub seconds: f64,
}

/// What simpler models reach on the same holdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// The mean of the training ratings for every cell.
    pub global_mean: Errors,
    /// Mean and biases, no factors, the same `λ_b`.
    pub bias_only: Errors,
}

/// The errors of the published settings; holdout errors are of the factors fitted on training ratings.
/// All are null where scores are no ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Clipped to the range of the training ratings.
    pub train_rmse: Option<f64>,
    /// See `train_rmse`.
    pub train_mae: Option<f64>,
    /// Predictions as they are.
    pub train_rmse_raw: Option<f64>,
    /// Clipped, cold cells included.
    pub holdout_rmse: Option<f64>,
    /// See `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// Predictions as they are, cold cells included.
    pub holdout_rmse_raw: Option<f64>,
    /// See `holdout_rmse_raw`.
    pub holdout_mae_raw: Option<f64>,
    /// Clipped, without cold cells.
    pub holdout_rmse_warm: Option<f64>,
    /// Held-out cells.
    pub n_holdout: u64,
    /// Of them, cells whose user or item has no training rating.
    pub n_holdout_cold: u64,
    /// Simpler models.
    pub baselines: Baselines,
    /// Predictions averaged over samples, before they are compressed to the published vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posterior: Option<PosteriorMetrics>,
    /// The iteration that the factors are of.
    pub iteration: u32,
    /// All iterations.
    pub curve: Vec<CurvePoint>,
}

impl Metrics {
    /// Puts the pieces together; `rates` says whether scores are ratings.
    #[must_use]
    pub(super) fn new(
        training: &TrainingErrors,
        holdout: &HoldoutErrors,
        baselines: Baselines,
        rates: bool,
        (iteration, curve): (u32, Vec<CurvePoint>),
    ) -> Self {
        // Errors of preferences mean nothing.
        let known = |value: Option<f64>| value.filter(|_| rates);
        Self {
            train_rmse: rmse(&training.clipped),
            train_mae: mae(&training.clipped),
            train_rmse_raw: rmse(&training.raw),
            holdout_rmse: known(rmse(&holdout.clipped)),
            holdout_mae: known(mae(&holdout.clipped)),
            holdout_rmse_raw: known(rmse(&holdout.raw)),
            holdout_mae_raw: known(mae(&holdout.raw)),
            holdout_rmse_warm: known(rmse(&holdout.warm)),
            n_holdout: holdout.clipped.count,
            n_holdout_cold: holdout.cold(),
            baselines,
            posterior: None,
            iteration,
            curve,
        }
    }
}

/// The predictions averaged over samples of the posterior, on the holdout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PosteriorMetrics {
    /// Number of samples.
    pub samples: u32,
    /// Standard deviation of a rating around its prediction, in ratings.
    pub noise: f64,
    /// Clipped, cold cells included.
    pub holdout_rmse: Option<f64>,
    /// See `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// Clipped, without cold cells.
    pub holdout_rmse_warm: Option<f64>,
    /// Shares of the holdout inside the predictive intervals.
    pub coverage: Option<Coverage>,
}

impl PosteriorMetrics {
    pub(super) fn new(
        averaged: &Averaged,
        holdout: &HoldoutErrors,
        coverage: Option<Coverage>,
    ) -> Self {
        Self {
            samples: averaged.samples,
            noise: averaged.noise,
            holdout_rmse: rmse(&holdout.clipped),
            holdout_mae: mae(&holdout.clipped),
            holdout_rmse_warm: rmse(&holdout.warm),
            coverage,
        }
    }
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Durations {
    /// Reading, checking and numbering the ids.
    pub parse: f64,
    /// Duplicates, split, both orientations.
    pub csr: f64,
    /// Sweeps with their solves.
    pub train: f64,
    /// Training, holdout and validation errors, and the bias-only baseline.
    pub eval: f64,
    /// Writing.
    pub export: f64,
    /// From start to publication.
    pub total: f64,
}

/// The outcome of a training.
#[derive(Debug, Clone)]
pub struct Report {
    /// The model directory.
    pub output: PathBuf,
    /// What was written there.
    pub manifest: Manifest,
    /// Errors.
    pub metrics: Metrics,
    /// Seconds.
    pub durations: Durations,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
}
