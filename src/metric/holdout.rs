//! The errors of a model on held-out cells.

use rayon::prelude::*;

use super::RatingErrors;
use crate::linalg::simd::Kernels;
use crate::model::Scorer;
use crate::ratings::{CELLS_PER_CHUNK, Cell, Known};

/// Cells per task. The number is fixed so that sums do not depend on the number of threads.
const CHUNK: usize = CELLS_PER_CHUNK / 16;

/// Errors on held-out cells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HoldoutErrors {
    /// Predictions clipped to the range of the training ratings; cold cells included.
    pub clipped: RatingErrors,
    /// Predictions without clipping; cold cells included.
    pub raw: RatingErrors,
    /// Clipped predictions of the cells whose user and item both have training ratings.
    pub warm: RatingErrors,
}

impl HoldoutErrors {
    /// Number of cells whose user or item has no training rating.
    #[must_use]
    pub const fn cold(&self) -> u64 {
        self.clipped.count - self.warm.count
    }
}

/// Errors on held-out cells. For a cold user or item, the prediction falls back as
/// [`Scorer::score`] describes.
#[must_use]
pub fn holdout_errors(scorer: &Scorer<'_>, training: Known<'_>, cells: &[Cell]) -> HoldoutErrors {
    let kernels = Kernels::detect();
    errors_of(scorer, training, cells, |_, user, item| scorer.score(kernels, user, item))
}

/// Errors of the predictions from `predict`, clipped by `scorer`. `predict` receives the position
/// of a cell, its user and its item; a cold user or item is `None`.
pub(super) fn errors_of(
    scorer: &Scorer<'_>,
    training: Known<'_>,
    cells: &[Cell],
    predict: impl Fn(usize, Option<usize>, Option<usize>) -> f64 + Sync,
) -> HoldoutErrors {
    let sums: Vec<HoldoutErrors> = cells
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, cells)| {
            let mut sums = HoldoutErrors::default();
            for (at, cell) in cells.iter().enumerate() {
                let (user, item) = training.rows(cell);
                let predicted = predict(chunk * CHUNK + at, user, item);
                let value = f64::from(cell.value);
                let clipped = value - scorer.clip(predicted);
                sums.raw.push(value - predicted);
                sums.clipped.push(clipped);
                if user.is_some() && item.is_some() {
                    sums.warm.push(clipped);
                }
            }
            sums
        })
        .collect();
    sums.iter().fold(HoldoutErrors::default(), |mut total, part| {
        total.raw.add(&part.raw);
        total.clipped.add(&part.clipped);
        total.warm.add(&part.warm);
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;
    use crate::model::{Embedding, Factors, Scale};
    use crate::ratings::Ratings;

    #[test]
    fn cold_cells_fall_back_and_are_counted() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let training = Ratings::from_sorted(2, 2, &[cell(0, 0, 5.0)]);
        let factors = Factors {
            users: Embedding {
                vectors: Matrix::from_rows(2, 1, &[2.0, 0.0]),
                biases: vec![0.5, 0.0],
            },
            items: Embedding {
                vectors: Matrix::from_rows(2, 1, &[3.0, 0.0]),
                biases: vec![0.25, 0.0],
            },
        };
        let scorer = Scorer {
            factors: &factors,
            scale: Scale {
                mean: 3.0,
                deviation: 1.0,
                biases: true,
                fallback: 3.0,
                range: (1.0, 5.0),
            },
        };
        // Predictions: 9.75 (clipped to 5), 3.5, 3.25, 3.
        let cells = [cell(0, 0, 4.0), cell(0, 1, 3.0), cell(1, 0, 3.0), cell(1, 1, 3.0)];
        let errors = holdout_errors(&scorer, training.known(), &cells);
        assert_eq!((errors.cold(), errors.warm.count), (3, 1));
        assert_eq!(errors.clipped.rmse(), Some((1.3125_f64 / 4.0).sqrt()));
        assert_eq!(errors.raw.metrics().get("mae"), Some((5.75 + 0.5 + 0.25) / 4.0));
        assert_eq!(errors.warm.rmse(), Some(1.0));
        assert_eq!(holdout_errors(&scorer, training.known(), &[]).clipped.rmse(), None);
    }
}
