//! The errors of a model on its training cells.

use rayon::prelude::*;

use super::RatingErrors;
use crate::linalg::simd::Kernels;
use crate::model::Scorer;
use crate::ratings::Ratings;

/// Errors on training cells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrainingErrors {
    /// Predictions clipped to the range of the training ratings.
    pub clipped: RatingErrors,
    /// Predictions without clipping.
    pub raw: RatingErrors,
}

/// Users scored by one task.
const USERS_AT_ONCE: usize = 256;

/// Scores every training cell, user by user; `2 k` flops per cell.
#[must_use]
pub fn training_errors(scorer: &Scorer<'_>, ratings: &Ratings) -> TrainingErrors {
    let kernels = Kernels::detect();
    let (users, items) = (&scorer.factors.users, &scorer.factors.items);
    let one_row = |dots: &mut Vec<f32>, sums: &mut TrainingErrors, user: usize| {
        let row = ratings.by_user.row(user);
        dots.resize(dots.len().max(row.len()), 0.0);
        kernels.dots(users.vectors.row(user), &items.vectors, row.indices, dots);
        for ((&value, &item), &dot) in row.values.iter().zip(row.indices).zip(dots.iter()) {
            let biases = f64::from(users.biases[user]) + f64::from(items.biases[item as usize]);
            let predicted = scorer.scale.mean + scorer.scale.deviation * (biases + f64::from(dot));
            let value = f64::from(value);
            sums.raw.push(value - predicted);
            sums.clipped.push(value - scorer.clip(predicted));
        }
    };
    // The parts are in order, so the sums do not depend on the number of threads.
    let parts: Vec<TrainingErrors> = (0..ratings.users().div_ceil(USERS_AT_ONCE))
        .into_par_iter()
        .map_init(Vec::new, |dots, chunk| {
            let mut sums = TrainingErrors::default();
            let end = ratings.users().min((chunk + 1) * USERS_AT_ONCE);
            for user in chunk * USERS_AT_ONCE..end {
                one_row(dots, &mut sums, user);
            }
            sums
        })
        .collect();
    parts.iter().fold(TrainingErrors::default(), |mut total, part| {
        total.clipped.add(&part.clipped);
        total.raw.add(&part.raw);
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;
    use crate::metric::holdout_errors;
    use crate::model::{Embedding, Factors, Scale};
    use crate::ratings::Cell;

    #[test]
    fn training_cells_score_as_held_out_ones_do() {
        let users = 2 * USERS_AT_ONCE as u32 + 3;
        let cells: Vec<Cell> = (0..users)
            .flat_map(|user| {
                let value = move |item: u32| (user % 5 + item) as f32;
                let cell =
                    move |item| Cell { user, item, value: value(item), weight: 1.0, time: 0 };
                (0..=user % 3).map(cell)
            })
            .collect();
        let ratings = Ratings::from_sorted(users as usize, 3, &cells);
        let embedding = |rows: usize| Embedding {
            vectors: Matrix::from_rows(
                rows,
                2,
                &(0..2 * rows).map(|i| (i % 7) as f32 - 3.0).collect::<Vec<_>>(),
            ),
            biases: (0..rows).map(|i| (i % 3) as f32).collect(),
        };
        let factors = Factors { users: embedding(users as usize), items: embedding(3) };
        let scorer = Scorer {
            factors: &factors,
            scale: Scale {
                mean: 2.0,
                deviation: 0.5,
                biases: true,
                fallback: 2.0,
                range: (0.0, 6.0),
            },
        };
        let (own, other) =
            (training_errors(&scorer, &ratings), holdout_errors(&scorer, ratings.known(), &cells));
        assert_eq!(own.raw.count as usize, cells.len());
        // The same exact numbers, summed in another order.
        for (own, other) in [(own.raw, other.raw), (own.clipped, other.clipped)] {
            for ((name, own), (_, other)) in own.metrics().iter().zip(other.metrics().iter()) {
                let (own, other) = (own.expect("cells"), other.expect("cells"));
                assert!((own / other - 1.0).abs() < 1e-12, "{name}: {own} {other}");
            }
        }
    }
}
