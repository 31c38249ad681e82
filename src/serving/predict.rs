//! Predictions of a published model.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::Job;
use crate::linalg::simd::Kernels;
use crate::load::pairs::Pairs;
use crate::model::{Model, RatedRow};
use crate::pair::Pair;
use crate::store::{Manifest, Predictions, RowTarget, read_model, read_samples, write_predictions};

/// Distance between the pair that is scored and the pair whose vectors are prefetched.
const AHEAD: usize = 16;

/// Predictive standard deviations of ratings, from samples of the posterior or from its
/// covariances.
#[derive(Debug, Clone)]
pub struct Intervals {
    /// Samples of the posterior; empty if the model keeps none.
    samples: Vec<Model>,
    /// The model with factors on standardised ratings, and the deviation of the ratings. It is used
    /// if there are no samples.
    posterior: Option<(Model, f64)>,
    /// Standard deviation of a rating around its prediction, on the rating scale.
    noise: f64,
}

impl Intervals {
    /// Reads the samples that a model directory keeps, or uses the posterior of the model.
    ///
    /// # Errors
    /// [`Error::Usage`] if the model keeps neither, and the errors of reading.
    pub fn read(path: &Path, model: &Model, manifest: &Manifest) -> Result<Self> {
        let samples = read_samples(path, manifest)?;
        let deviation = manifest.model.scale;
        let posterior = model.uncertainty.is_some().then(|| {
            let mut model = model.clone();
            model.factors.rescale(1.0 / deviation);
            (model, deviation)
        });
        match (samples.is_empty() && posterior.is_none(), manifest.model.noise) {
            (false, Some(noise)) => Ok(Self { samples, posterior, noise }),
            _ => Err(Error::Usage(format!(
                "--interval: {} keeps no posterior; train it with -a bayes, and with --inference \
                 gibbs also keep samples (--keep-samples N)",
                path.display()
            ))),
        }
    }

    /// Returns the predictive standard deviation of one rating.
    ///
    /// It is `√(variance of the prediction + noise²)`. `user` and `item` are positions in the
    /// model. The result is `None` if one of them is unknown, because the posterior does not cover
    /// it.
    #[must_use]
    pub fn deviation(
        &self,
        kernels: Kernels,
        user: Option<usize>,
        item: Option<usize>,
    ) -> Option<f64> {
        let noise = self.noise * self.noise;
        if let (true, Some((model, deviation))) = (self.samples.is_empty(), &self.posterior) {
            let (user, item) = (user?, item?);
            let count = |counts: &[u32], row: usize| counts[row] as usize;
            let (users, items) = (&model.factors.users, &model.factors.items);
            let user_count = count(&model.users.counts, user);
            let user = RatedRow { side: users, row: user, count: user_count };
            let item_count = count(&model.items.counts, item);
            let item = RatedRow { side: items, row: item, count: item_count };
            let variance = model.uncertainty.as_ref()?.variance(user, item);
            return Some((variance * deviation * deviation + noise).sqrt());
        }
        let (user, item) = (Some(user?), Some(item?));
        let count = self.samples.len() as f64;
        let (mut sum, mut squares) = (0.0, 0.0);
        for sample in &self.samples {
            let score = sample.scorer().score(kernels, user, item);
            sum += score;
            squares += score * score;
        }
        let mean = sum / count;
        Some(((squares / count - mean * mean).max(0.0) + noise).sqrt())
    }
}

/// The settings of one prediction.
#[derive(Debug, Clone)]
pub struct PredictConfig {
    /// Model directory.
    pub model: PathBuf,
    /// The user.
    pub user: String,
    /// The item.
    pub item: String,
    /// Whether the prediction is clipped to the range of the training ratings.
    pub clip: bool,
    /// Whether the predictive standard deviation is computed.
    pub interval: bool,
}

/// One prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The user.
    pub user: String,
    /// The item.
    pub item: String,
    /// The predicted score.
    pub prediction: f64,
    /// Whether the model knows the user. For an unknown user, the prediction falls back to mean and
    /// bias.
    pub known_user: bool,
    /// Whether the model knows the item.
    pub known_item: bool,
    /// Predictive standard deviation, if it is requested. The inner value is `None` if the user or
    /// the item is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Option<f64>>,
}

/// A published model, with what predictions need.
struct Predictor {
    model: Model,
    intervals: Option<Intervals>,
    clip: bool,
}

impl Predictor {
    fn read(path: &Path, clip: bool, interval: bool) -> Result<Self> {
        let (model, manifest) = read_model(path)?;
        if clip && !model.scale.rates() {
            let message = "--clip: the scores of this model are preferences, not ratings";
            return Err(Error::Usage(message.into()));
        }
        let intervals = interval.then(|| Intervals::read(path, &model, &manifest)).transpose()?;
        Ok(Self { model, intervals, clip })
    }

    fn score(&self, kernels: Kernels, user: Option<usize>, item: Option<usize>) -> f64 {
        let scorer = self.model.scorer();
        let score = scorer.score(kernels, user, item);
        if self.clip { scorer.clip(score) } else { score }
    }
}

/// Predicts one rating.
///
/// If the user or the item is unknown, the prediction is the mean plus the known bias.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for settings that do not fit the model.
pub fn predict(config: &PredictConfig) -> Result<Prediction> {
    let predictor = Predictor::read(&config.model, config.clip, config.interval)?;
    let user = predictor.model.users.ids.find(&config.user);
    let item = predictor.model.items.ids.find(&config.item);
    let kernels = Kernels::detect();
    Ok(Prediction {
        user: config.user.clone(),
        item: config.item.clone(),
        prediction: predictor.score(kernels, user, item),
        known_user: user.is_some(),
        known_item: item.is_some(),
        deviation: predictor.intervals.map(|i| i.deviation(kernels, user, item)),
    })
}

/// The settings of predictions for a file of pairs.
#[derive(Debug, Clone)]
pub struct PairsConfig {
    /// Model directory.
    pub model: PathBuf,
    /// The pairs: a file in any format of rating files, a pattern or a URL.
    pub pairs: String,
    /// Column of the user ids; with `None`, it is recognised by common names.
    pub user_col: Option<String>,
    /// Column of the item ids; with `None`, it is recognised by common names.
    pub item_col: Option<String>,
    /// Whether predictions are clipped to the range of the training ratings.
    pub clip: bool,
    /// Whether predictive standard deviations are computed.
    pub interval: bool,
}

/// The outcome of predicting a file of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairsOutcome {
    /// Number of predicted pairs.
    pub pairs: usize,
    /// Number of pairs whose user is unknown.
    pub unknown_users: usize,
    /// Number of pairs whose item is unknown.
    pub unknown_items: usize,
    /// Warnings about files that were not read.
    pub warnings: Vec<String>,
}

/// Predicts every pair of a file and writes the pairs with their predictions, in their order.
///
/// # Errors
/// The errors of reading the model and the pairs, and of writing the result.
pub fn predict_pairs(config: &PairsConfig, to: RowTarget, job: &Job<'_>) -> Result<PairsOutcome> {
    let predictor = Predictor::read(&config.model, config.clip, config.interval)?;
    let columns = Pair::new(config.user_col.clone(), config.item_col.clone());
    let pairs = Pairs::read(&config.pairs, columns, job.stop)?;
    let (model, kernels) = (&predictor.model, job.kernels);
    let Pair { users, items } = pairs.positions(Pair::new(&model.users.ids, &model.items.ids));
    // Vectors are read in random order, so the vectors of a later pair are prefetched.
    let predict = |at: usize| {
        for (rows, side) in [(&users, &model.factors.users), (&items, &model.factors.items)] {
            if let Some(Some(row)) = rows.get(at + AHEAD) {
                kernels.prefetch(&side.vectors, &[*row as u32]);
            }
        }
        predictor.score(kernels, users[at], items[at])
    };
    let scores: Vec<f64> = (0..users.len()).into_par_iter().map(predict).collect();
    job.check_stop()?;
    let deviations = predictor.intervals.as_ref().map(|intervals| {
        let deviation = |(&user, &item): (&Option<usize>, &Option<usize>)| {
            intervals.deviation(kernels, user, item)
        };
        users.par_iter().zip(&items).map(deviation).collect()
    });
    let known = |rows: &[Option<usize>]| rows.iter().map(Option::is_some).collect::<Vec<bool>>();
    let known = Pair::new(known(&users), known(&items));
    let predictions = Predictions { scores, deviations, known };
    write_predictions(&pairs, &predictions, to)?;
    let unknown = |known: &[bool]| known.iter().filter(|&&known| !known).count();
    Ok(PairsOutcome {
        pairs: users.len(),
        unknown_users: unknown(&predictions.known.users),
        unknown_items: unknown(&predictions.known.items),
        warnings: pairs.warnings,
    })
}
