//! How much each of a user's ratings contributes to a score.
//!
//! An exact row solve is linear in its targets, `x̃ = A⁻¹ Σⱼ tⱼ ỹⱼ` (see [`crate::objective`]). So
//! the score of item `i`, minus the mean and the item's bias, is a sum over the user's ratings (Hu,
//! Koren, Volinsky 2008, section 5):
//!
//! ```text
//! ỹᵢᵀ x̃ = Σⱼ tⱼ (A⁻¹ ỹᵢ)ᵀ ỹⱼ
//! ```
//!
//! The computation is in double precision. It costs `k³/3` flops per user, `2k²` per item and `2k`
//! per item and rating.

use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

use super::fold_in::Fitted;
use super::share::Share;
use super::{SolverChoice, check_stop};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::objective::Objective;
use crate::ratings::{Row, Side};

/// Returns the largest contributions of ratings to scores, at most `most` per score.
///
/// The scores are those of the items listed for each row of `users`.
pub(super) fn explain(
    fitted: &Fitted<'_>,
    objective: &impl Objective,
    solver: SolverChoice,
    users: &Side,
    items: &[Vec<u32>],
    most: usize,
) -> Result<Vec<Vec<Vec<Share>>>> {
    if solver == SolverChoice::Nonnegative {
        let message =
            "scores of nonnegative factors are no sums over ratings: they cannot be explained";
        return Err(Error::Usage(message.into()));
    }
    let bias = objective.ridge(Axis::User, 1).bias.is_some();
    let order = fitted.factors.rank() + usize::from(bias);
    let shared = objective.shared(Axis::User, &fitted.factors.items.vectors);
    let shared = shared.map_or_else(
        || DMatrix::zeros(order, order),
        |system| DMatrix::from_row_slice(order, order, &system.to_dense(bias).0),
    );
    let explain = |(row, items): (usize, &Vec<u32>)| {
        check_stop(fitted.stop)?;
        let shares = row_shares(fitted, objective, &shared, users.row(row), items, most);
        let message = "the system of its ratings is not positive definite";
        shares.ok_or_else(|| Error::numeric(Axis::User, row, message))
    };
    items.par_iter().enumerate().map(|(row, items)| explain((row, items))).collect()
}

fn row_shares(
    fitted: &Fitted<'_>,
    objective: &impl Objective,
    shared: &DMatrix<f64>,
    row: Row<'_>,
    items: &[u32],
    most: usize,
) -> Option<Vec<Vec<Share>>> {
    let (mut weights, mut targets) = (Vec::new(), Vec::new());
    objective.terms(row, &fitted.factors.items.biases, &mut weights, &mut targets);
    let ridge = objective.ridge(Axis::User, row.len());
    let order = shared.nrows();
    // ỹ: the vector, and 1 for the bias.
    let extended = |item: u32| {
        let vector = fitted.factors.items.vectors.row(item as usize);
        let entry = |at: usize, _| vector.get(at).map_or(1.0, |&v| f64::from(v));
        DVector::from_fn(order, entry)
    };
    let mut system = shared.clone();
    for (nth, &item) in row.indices.iter().enumerate() {
        let weight = weights.get(nth).map_or(1.0, |&w| f64::from(w));
        let y = extended(item);
        system.ger(weight, &y, &y, 1.0);
    }
    for at in 0..order {
        let vector = at < fitted.factors.rank();
        system[(at, at)] += if vector { f64::from(ridge.vector) } else { ridge.bias? };
    }
    let factor = Cholesky::new(system)?;
    let share = |item: &u32| {
        let direction = factor.solve(&extended(*item));
        let cells = (0..).zip(row.indices.iter().zip(&targets));
        let share = |(rating, (&rated, &t)): (u32, (&u32, &f32))| Share {
            rating,
            share: f64::from(t) * direction.dot(&extended(rated)),
        };
        let mut shares: Vec<Share> = cells.map(share).collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        shares.truncate(most);
        shares
    };
    Some(items.iter().map(share).collect())
}
