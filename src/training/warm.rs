//! Warm starts of a fit from an earlier model of the same kind.

use super::sets::Sets;
use crate::ids::Axis;
use crate::model::{Embedding, Factors, Model, Uncertainty};
use crate::settings::Plan;
use crate::train::{Start, start};

/// The divisors of vectors and biases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    pub vectors: f64,
    pub biases: f64,
}

/// Puts an earlier model's vectors and biases in the order of `rows`.
///
/// Rows that the earlier model does not have are zero.
pub(super) fn placed(side: &Embedding, rows: &[Option<u32>], units: Units) -> Embedding {
    let mut placed = Embedding::zeros(rows.len(), side.vectors.cols());
    for (to, from) in rows.iter().enumerate() {
        let Some(from) = from.map(|row| row as usize) else { continue };
        placed.vectors.row_mut(to).copy_from_slice(side.vectors.row(from));
        placed.biases[to] = (f64::from(side.biases[from]) / units.biases) as f32;
    }
    placed.vectors.scale((1.0 / units.vectors) as f32);
    placed
}

/// Returns starting factors from an earlier model.
///
/// They are on the scale of ratings standardised by `deviation`. Rows of the earlier model keep its
/// vectors and biases. Other rows start at random vectors, and rows without ratings are zero.
fn start_from(model: &Model, sets: &Sets, deviation: f64, seed: u64) -> Factors {
    let units = Units { vectors: deviation.sqrt(), biases: deviation };
    let side = |axis: Axis| {
        let (earlier, trained) = match axis {
            Axis::User => (&model.factors.users, &model.users),
            Axis::Item => (&model.factors.items, &model.items),
        };
        let cells = match axis {
            Axis::User => &sets.ratings.by_user,
            Axis::Item => &sets.ratings.by_item,
        };
        let rows = sets.ids.of(axis).rows_among(&trained.ids);
        let mut begun = placed(earlier, &rows, units);
        let random = start(seed, axis, sets.keys.of(axis), earlier.vectors.cols());
        for (row, known) in rows.iter().enumerate() {
            if cells.count(row) == 0 {
                begun.vectors.row_mut(row).fill(0.0);
                begun.biases[row] = 0.0;
            } else if known.is_none() {
                begun.vectors.row_mut(row).copy_from_slice(random.row(row));
            }
        }
        begun
    };
    Factors { users: side(Axis::User), items: side(Axis::Item) }
}

/// The starting point of a warm start.
pub(super) struct WarmStart<'m> {
    factors: Factors,
    posterior: Option<&'m Uncertainty>,
}

impl<'m> WarmStart<'m> {
    /// Starts from an earlier model's vectors, and from its posterior if the algorithm needs it.
    pub(super) fn new(model: &'m Model, plan: &Plan, sets: &Sets) -> Self {
        let facts = plan.facts();
        let deviation = if facts.standardises { sets.moments.deviation } else { 1.0 };
        let factors = start_from(model, sets, deviation, plan.record.seed);
        let posterior = model.uncertainty.as_ref().filter(|_| facts.starts_from_posterior);
        Self { factors, posterior }
    }

    /// Returns the start in the form that an algorithm takes.
    pub(super) const fn start(&self) -> Start<'_> {
        match self.posterior {
            Some(posterior) => Start::Posterior(&self.factors, posterior),
            None => Start::Factors(&self.factors),
        }
    }
}
