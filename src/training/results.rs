//! What a training reports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::ranked::RankingMetrics;
use super::segments::Segment;
use crate::job::CurvePoint;
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

/// The errors of this model and of an earlier one on the held-out cells whose user and item both know.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Held-out cells compared.
    pub n: u64,
    /// Errors of the earlier model, clipped to the range of today's training ratings.
    #[serde(flatten)]
    pub previous: Errors,
    /// Errors of this model on the same cells.
    pub new: Errors,
    /// Rankings by the earlier model, of the same cells, where rankings are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingMetrics>,
    /// Rankings by this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_ranking: Option<RankingMetrics>,
}

/// What simpler models reach on the same holdout.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// The mean of the training ratings for every cell.
    pub global_mean: Errors,
    /// Mean and biases, no factors, the same `λ_b`.
    pub bias_only: Errors,
    /// The items with the most training ratings for everyone, where rankings are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub popularity: Option<RankingMetrics>,
    /// The model published before, where there is one to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_model: Option<Comparison>,
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
    /// Ranking of all items that a user has not rated in training, with `--metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingMetrics>,
    /// Simpler models.
    pub baselines: Baselines,
    /// Errors on the holdout by the number of training ratings of the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_activity_decile: Vec<Segment>,
    /// By the number of training ratings of the item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_popularity_decile: Vec<Segment>,
    /// Cross-validation, with `--folds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<FoldMetrics>,
    /// Predictions averaged over samples, before they are compressed to the published vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posterior: Option<PosteriorMetrics>,
    /// The iteration that the factors are of.
    pub iteration: u32,
    /// All iterations.
    pub curve: Vec<CurvePoint>,
}

impl Metrics {
    /// Of one fit, its iterations aside; `rates` says whether scores are ratings.
    #[must_use]
    pub(crate) fn new(
        training: &TrainingErrors,
        holdout: &HoldoutErrors,
        baselines: Baselines,
        rates: bool,
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
            ranking: None,
            by_activity_decile: Vec::new(),
            by_popularity_decile: Vec::new(),
            baselines,
            folds: None,
            posterior: None,
            iteration: 0,
            curve: Vec::new(),
        }
    }
}

/// The predictions averaged over samples of the posterior, on the holdout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PosteriorMetrics {
    /// Number of samples; 0 for variational inference, which publishes the mean itself.
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
    pub(crate) fn new(
        averaged: &Averaged,
        holdout: &HoldoutErrors,
        coverage: Option<Coverage>,
    ) -> Self {
        // Without samples the mean is that of the published factors.
        let sampled = |value: Option<f64>| value.filter(|_| averaged.samples > 0);
        Self {
            samples: averaged.samples,
            noise: averaged.noise,
            holdout_rmse: sampled(rmse(&holdout.clipped)),
            holdout_mae: sampled(mae(&holdout.clipped)),
            holdout_rmse_warm: sampled(rmse(&holdout.warm)),
            coverage,
        }
    }
}

/// Mean and spread over the folds of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation over the folds (denominator: folds less one).
    pub std: f64,
}

impl Spread {
    /// Of values of all folds; none where a fold has no value.
    #[must_use]
    pub fn of(values: &[Option<f64>]) -> Option<Self> {
        let values = values.iter().copied().collect::<Option<Vec<f64>>>()?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (n > 1.0).then(|| Self { mean, std: (squares / (n - 1.0)).sqrt() })
    }
}

/// Cross-validation: fits of their own, each measured on the part that it did not see.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FoldMetrics {
    /// Number of folds.
    pub folds: u32,
    /// Clipped, cold cells included, per fold.
    pub holdout_rmse: Vec<Option<f64>>,
    /// Over the folds: `holdout_rmse`, `holdout_mae`, `bias_only_rmse` and the ranking metrics, by name.
    pub spread: BTreeMap<String, Option<Spread>>,
    /// Seconds that they took.
    pub seconds: f64,
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
