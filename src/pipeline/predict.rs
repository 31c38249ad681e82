//! Predictions of a stored model.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::load::pairs::Pairs;
use crate::model::Model;
use crate::store::{Manifest, read_samples, write_predictions};

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

/// What came of predicting a file of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PairsOutcome {
    /// Pairs predicted.
    pub pairs: usize,
    /// Pairs whose user the model does not know.
    pub unknown_users: usize,
    /// Pairs whose item the model does not know.
    pub unknown_items: usize,
}

/// Predicts every pair of a file and writes the pairs with their predictions (and, with `intervals`,
/// their deviations), in their order.
///
/// # Errors
/// Those of reading the pairs and writing the result.
pub fn predict_pairs(
    model: &Model,
    pairs: &Pairs,
    clip: bool,
    intervals: Option<&Intervals>,
    to: Option<(&Path, bool)>,
    stop: &AtomicBool,
) -> Result<PairsOutcome> {
    let (users, items) = pairs.positions(&model.users.ids, &model.items.ids);
    let kernels = Kernels::detect();
    let scorer = model.scorer();
    // Vectors are read in no order: those of a few pairs on are fetched meanwhile.
    let predict = |at: usize| {
        for (rows, side) in [(&users, &model.factors.users), (&items, &model.factors.items)] {
            if let Some(Some(row)) = rows.get(at + AHEAD) {
                kernels.prefetch(&side.vectors, &[*row as u32]);
            }
        }
        let score = scorer.score(kernels, users[at], items[at]);
        if clip { scorer.clip(score) } else { score }
    };
    let predictions: Vec<f64> = (0..users.len()).into_par_iter().map(predict).collect();
    let known = |rows: &[Option<usize>]| rows.iter().map(Option::is_some).collect::<Vec<bool>>();
    let (known_users, known_items) = (known(&users), known(&items));
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    let deviations: Option<Vec<Option<f64>>> = intervals.map(|intervals| {
        let deviation = |(&user, &item): (&Option<usize>, &Option<usize>)| {
            intervals.deviation(kernels, user, item)
        };
        users.par_iter().zip(&items).map(deviation).collect()
    });
    let deviations = deviations.as_deref();
    write_predictions(pairs, &predictions, deviations, (&known_users, &known_items), to)?;
    let unknown = |known: &[bool]| known.iter().filter(|&&k| !k).count();
    Ok(PairsOutcome {
        pairs: predictions.len(),
        unknown_users: unknown(&known_users),
        unknown_items: unknown(&known_items),
    })
}
