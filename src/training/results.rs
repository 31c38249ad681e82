//! The results that a training reports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::ranked::RankingMetrics;
use super::segments::Segment;
use crate::job::CurvePoint;
use crate::metric::{Coverage, HoldoutErrors, RatingErrors, TrainingErrors, mae, rmse};
use crate::store::Manifest;
use crate::train::Averaged;

/// RMSE and MAE of one set of predictions; null if there are none.
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

/// Metrics of this model and of an earlier model on the same held-out cells.
///
/// Both models know the users and items of these cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of compared held-out cells.
    pub n: u64,
    /// Errors of the earlier model, clipped to the range of today's training ratings.
    #[serde(flatten)]
    pub previous: Errors,
    /// Errors of this model on the same cells.
    pub new: Errors,
    /// Ranking metrics of the earlier model on the same cells, if rankings are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingMetrics>,
    /// Ranking metrics of this model on the same cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_ranking: Option<RankingMetrics>,
}

/// Metrics of simpler models on the same holdout.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// Errors if the mean of the training ratings is predicted for every cell.
    pub global_mean: Errors,
    /// Errors of a mean and biases without vectors, fitted the same way for every algorithm and
    /// setting.
    pub bias_only: Errors,
    /// Ranking metrics if every user gets the items with the most training ratings, if rankings are
    /// measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub popularity: Option<RankingMetrics>,
    /// Comparison with the earlier model, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_model: Option<Comparison>,
}

/// Metrics of the published settings.
///
/// Holdout errors are those of the factors fitted to the training ratings. Errors are null if
/// scores are not ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// RMSE on the training ratings, with predictions clipped to their range.
    pub train_rmse: Option<f64>,
    /// MAE on the training ratings; see `train_rmse`.
    pub train_mae: Option<f64>,
    /// RMSE on the training ratings, with unclipped predictions.
    pub train_rmse_raw: Option<f64>,
    /// RMSE on the holdout, with clipped predictions and cold cells included.
    pub holdout_rmse: Option<f64>,
    /// MAE on the holdout; see `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// RMSE on the holdout, with unclipped predictions and cold cells included.
    pub holdout_rmse_raw: Option<f64>,
    /// MAE on the holdout; see `holdout_rmse_raw`.
    pub holdout_mae_raw: Option<f64>,
    /// RMSE on the holdout, with clipped predictions and without cold cells.
    pub holdout_rmse_warm: Option<f64>,
    /// Number of held-out cells.
    pub n_holdout: u64,
    /// Number of cold cells: their user or item has no training rating.
    pub n_holdout_cold: u64,
    /// Ranking metrics over all items that a user has not rated in training. Without `--metrics`
    /// they are measured on a sample of the users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingMetrics>,
    /// Metrics of simpler models.
    pub baselines: Baselines,
    /// Errors on the holdout by the number of training ratings of the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_activity_decile: Vec<Segment>,
    /// Errors on the holdout by the number of training ratings of the item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_popularity_decile: Vec<Segment>,
    /// Results of the cross-validation, with `--folds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<FoldMetrics>,
    /// Metrics of predictions averaged over samples, before they are compressed to the published
    /// vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posterior: Option<PosteriorMetrics>,
    /// The iteration that the factors come from.
    pub iteration: u32,
    /// One point per iteration.
    pub curve: Vec<CurvePoint>,
}

impl Metrics {
    /// Creates the metrics of one fit, without its iterations. `rates` says whether scores are
    /// ratings.
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

/// Metrics of the posterior's mean predictions on the holdout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PosteriorMetrics {
    /// Number of samples; 0 for variational inference, which publishes the mean itself.
    pub samples: u32,
    /// Standard deviation of a rating around its prediction, on the rating scale.
    pub noise: f64,
    /// RMSE with clipped predictions and cold cells included; null without samples.
    pub holdout_rmse: Option<f64>,
    /// MAE; see `holdout_rmse`.
    pub holdout_mae: Option<f64>,
    /// RMSE with clipped predictions and without cold cells; null without samples.
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
        // Without samples, the mean is that of the published factors.
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

/// Mean and standard deviation over the folds of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation over the folds (denominator: number of folds minus one).
    pub std: f64,
}

impl Spread {
    /// Computes the spread of one value per fold.
    ///
    /// Returns `None` if a fold has no value, or if there are fewer than two folds.
    #[must_use]
    pub fn of(values: &[Option<f64>]) -> Option<Self> {
        let values = values.iter().copied().collect::<Option<Vec<f64>>>()?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (n > 1.0).then(|| Self { mean, std: (squares / (n - 1.0)).sqrt() })
    }
}

/// Results of a cross-validation: each fit is measured on the fold that it was not trained on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FoldMetrics {
    /// Number of folds.
    pub folds: u32,
    /// RMSE of each fold, with clipped predictions and cold cells included.
    pub holdout_rmse: Vec<Option<f64>>,
    /// Spread over the folds of `holdout_rmse`, `holdout_mae`, `bias_only_rmse` and the ranking
    /// metrics, by name.
    pub spread: BTreeMap<String, Option<Spread>>,
    /// Duration of the cross-validation, in seconds.
    pub seconds: f64,
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Durations {
    /// Reading and checking the inputs, and numbering the ids.
    pub parse: f64,
    /// Resolving duplicates, splitting, and building both orientations.
    pub csr: f64,
    /// Fitting, including a search for settings and a refit.
    pub train: f64,
    /// Measuring the fit and its baselines.
    pub eval: f64,
    /// Writing the model directory.
    pub export: f64,
    /// From start to publication.
    pub total: f64,
}

/// The outcome of a training.
#[derive(Debug, Clone)]
pub struct Report {
    /// The model directory.
    pub output: PathBuf,
    /// The manifest of that directory.
    pub manifest: Manifest,
    /// The metrics of the model.
    pub metrics: Metrics,
    /// Seconds per stage.
    pub durations: Durations,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
}
