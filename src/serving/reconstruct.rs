//! The whole predicted matrix of a small model.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::linalg::simd::Kernels;
use crate::store::read_model;

/// Largest number of cells. Nobody reads a larger table.
const MOST_CELLS: usize = 10_000;

/// The settings of a reconstruction.
#[derive(Debug, Clone)]
pub struct ReconstructConfig {
    /// Model directory.
    pub model: PathBuf,
    /// Whether predictions are clipped to the range of the training ratings.
    pub clip: bool,
}

/// The predicted matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reconstructed {
    /// The users, sorted. They are the rows.
    pub users: Vec<String>,
    /// The items, sorted. They are the columns.
    pub items: Vec<String>,
    /// A row of predictions per user.
    pub ratings: Vec<Vec<f64>>,
}

/// Predicts every cell of a small model.
///
/// # Errors
/// [`Error::Usage`] for a model of more than 10,000 cells, [`Error::Model`] for a damaged one.
pub fn reconstruct(config: &ReconstructConfig) -> Result<Reconstructed> {
    let (model, _) = read_model(&config.model)?;
    let (users, items) = (&model.users.ids, &model.items.ids);
    if users.len() * items.len() > MOST_CELLS {
        return Err(Error::Usage(format!(
            "{} users x {} items are too many to print (at most {MOST_CELLS} cells); \
             use predict --pairs for the cells you need",
            users.len(),
            items.len()
        )));
    }
    let (scorer, kernels) = (model.scorer(), Kernels::detect());
    let predict = |user, item| {
        let score = scorer.score(kernels, Some(user), Some(item));
        if config.clip { scorer.clip(score) } else { score }
    };
    let row = |user| (0..items.len()).map(|item| predict(user, item)).collect();
    let names = |ids: &Ids| (0..ids.len()).map(|at| ids.get(at).to_string()).collect();
    Ok(Reconstructed {
        users: names(users),
        items: names(items),
        ratings: (0..users.len()).map(row).collect(),
    })
}
