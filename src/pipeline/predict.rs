//! Predictions of a stored model.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::load::pairs::Pairs;
use crate::model::Model;
use crate::store::write_predictions;

/// Pairs between the one that is scored and the one whose vectors are fetched.
const AHEAD: usize = 16;

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

/// Predicts every pair of a file and writes the pairs with their predictions, in their order.
///
/// # Errors
/// Those of reading the pairs and writing the result.
pub fn predict_pairs(
    model: &Model,
    pairs: &Pairs,
    clip: bool,
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
    write_predictions(pairs, &predictions, (&known_users, &known_items), to)?;
    let unknown = |known: &[bool]| known.iter().filter(|&&k| !k).count();
    Ok(PairsOutcome {
        pairs: predictions.len(),
        unknown_users: unknown(&known_users),
        unknown_items: unknown(&known_items),
    })
}
