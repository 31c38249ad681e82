//! The results that a training reports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::ranked::RankingMetrics;
use super::segments::Segment;
use crate::job::CurvePoint;
use crate::metric::{Coverage, Errors, HoldoutErrors, TrainingErrors};
use crate::store::Manifest;
use crate::train::Averaged;

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
    /// Errors on the training ratings and on the holdout.
    #[serde(flatten)]
    pub errors: ModelErrors,
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
        let errors = ModelErrors {
            training: training.clipped.metrics(),
            training_raw: training.raw.metrics(),
            // Errors of preferences mean nothing.
            holdout: holdout.clipped.metrics().filter(rates),
            holdout_raw: holdout.raw.metrics().filter(rates),
            holdout_warm: holdout.warm.metrics().filter(rates),
        };
        Self {
            errors,
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

/// The errors of a model on its training ratings and on its holdout.
///
/// Serialised with one key per metric: `train_rmse`, `holdout_rmse`, `holdout_rmse_raw` and so on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ModelErrors {
    /// On the training ratings, with predictions clipped to their range: `train_NAME`.
    pub training: Errors,
    /// On the training ratings, without clipping. Only the first metric is reported:
    /// `train_rmse_raw`.
    pub training_raw: Errors,
    /// On the holdout, with clipped predictions and cold cells included: `holdout_NAME`.
    pub holdout: Errors,
    /// On the holdout, without clipping, cold cells included: `holdout_NAME_raw`.
    pub holdout_raw: Errors,
    /// On the holdout, with clipped predictions and without cold cells. Only the first metric is
    /// reported: `holdout_rmse_warm`.
    pub holdout_warm: Errors,
}

impl Serialize for ModelErrors {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.training.write(&mut map, "train_", "")?;
        map.serialize_entry("train_rmse_raw", &self.training_raw.rmse())?;
        self.holdout.write(&mut map, "holdout_", "")?;
        self.holdout_raw.write(&mut map, "holdout_", "_raw")?;
        map.serialize_entry("holdout_rmse_warm", &self.holdout_warm.rmse())?;
        map.end()
    }
}

/// Metrics of the posterior's mean predictions on the holdout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PosteriorMetrics {
    /// Number of samples; 0 for variational inference, which publishes the mean itself.
    pub samples: u32,
    /// Standard deviation of a rating around its prediction, on the rating scale.
    pub noise: f64,
    /// Errors with clipped predictions and cold cells included; null without samples.
    #[serde(flatten, with = "crate::metric::rating::holdout")]
    pub holdout: Errors,
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
        let sampled = averaged.samples > 0;
        Self {
            samples: averaged.samples,
            noise: averaged.noise,
            holdout: holdout.clipped.metrics().filter(sampled),
            holdout_rmse_warm: holdout.warm.rmse().filter(|_| sampled),
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
