//! Predictions of a published model.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::Job;
use crate::linalg::simd::Kernels;
use crate::load::pairs::Pairs;
use crate::model::Model;
use crate::pair::Pair;
use crate::store::{Manifest, Predictions, RowTarget, read_model, read_samples, write_predictions};

/// Pairs between the one that is scored and the one whose vectors are fetched.
const AHEAD: usize = 16;

/// How far ratings lie from a model's predictions, from samples of the posterior, or from its covariances.
#[derive(Debug, Clone)]
pub struct Intervals {
    /// Samples; the model itself, and its vectors on standardised ratings, where there are none.
    samples: Vec<Model>,
    posterior: Option<(Model, f64)>,
    /// Standard deviation of a rating around its prediction, in ratings.
    noise: f64,
}

impl Intervals {
    /// The samples that a model directory keeps, or else its posterior.
    ///
    /// # Errors
    /// [`Error::Usage`] where it keeps neither, and those of reading them.
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
                "--interval: {} keeps no posterior; train it by bayes, and with --inference gibbs keep \
                 samples (--keep-samples N)",
                path.display()
            ))),
        }
    }

    /// Predictive standard deviation of one rating: `√(variance of the prediction + noise²)`. Users and
    /// items are positions in the model; none where one is unknown, for the samples say nothing of it.
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
            let users = (&model.factors.users, user, model.users.counts[user] as usize);
            let items = (&model.factors.items, item, model.items.counts[item] as usize);
            let variance = model.uncertainty.as_ref()?.variance(users, items);
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

/// Which rating is predicted.
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
    /// Whether the predictive standard deviation is wanted.
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
    /// Whether the model knows the user. The prediction falls back without it.
    pub known_user: bool,
    /// Whether the model knows the item.
    pub known_item: bool,
    /// Predictive standard deviation, if it was asked for; none inside where user or item are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Option<f64>>,
}

/// A published model as predictions need it.
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

/// Predicts one rating. Without the user or the item the mean and the known bias are left.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for settings that do not go with it.
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

/// Which file of pairs is predicted.
#[derive(Debug, Clone)]
pub struct PairsConfig {
    /// Model directory.
    pub model: PathBuf,
    /// The pairs: CSV with header, or Parquet.
    pub pairs: PathBuf,
    /// Column of the user ids, recognised where none is named.
    pub user_col: Option<String>,
    /// Column of the item ids, recognised where none is named.
    pub item_col: Option<String>,
    /// Whether predictions are clipped to the range of the training ratings.
    pub clip: bool,
    /// Whether predictive standard deviations are wanted.
    pub interval: bool,
}

/// What came of predicting a file of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PairsOutcome {
    /// Pairs predicted.
    pub pairs: usize,
    /// Pairs whose user the model does not know.
    pub unknown_users: usize,
    /// Pairs whose item the model does not know.
    pub unknown_items: usize,
}

/// Predicts every pair of a file and writes the pairs with their predictions, in their order.
///
/// # Errors
/// Those of reading the model and the pairs, and of writing the result.
pub fn predict_pairs(config: &PairsConfig, to: RowTarget, job: &Job<'_>) -> Result<PairsOutcome> {
    let predictor = Predictor::read(&config.model, config.clip, config.interval)?;
    let columns = (config.user_col.as_deref(), config.item_col.as_deref());
    let pairs = Pairs::read(&config.pairs, columns.0, columns.1)?;
    let (model, kernels) = (&predictor.model, job.kernels);
    let Pair { users, items } = pairs.positions(Pair::new(&model.users.ids, &model.items.ids));
    // Vectors are read in no order: those of a few pairs ahead are fetched in the meantime.
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
    })
}
