//! Squared error over the observed cells under a normal prior: the posterior of one row.
//!
//! ```text
//! α Σ (z − b_u − b_i − p_u·q_i)² + (x̃ − m)ᵀ Λ (x̃ − m),     x̃ = [p, b]
//! ```
//!
//! The objective is divided by `α`. The system of a row thus has `G = Λ / α` and `g₀ = Λ m / α`,
//! including the entries of the bias, and no other ridge. The source is Salakhutdinov and Mnih 2008
//! (Bayesian probabilistic matrix factorization using Markov chain Monte Carlo, eq. 11 to 13). Here
//! the biases are one more coordinate.

use super::{Explicit, Objective, Ridge, RowLoss};
use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations};
use crate::ratings::Row;

/// The posterior of the rows of one side under the prior that they share.
#[derive(Debug, Clone)]
pub struct Posterior<'a> {
    explicit: &'a Explicit,
    prior: NormalEquations,
}

impl<'a> Posterior<'a> {
    /// The objective of `explicit` under a prior: `Λ / α` with the right-hand side `Λ m / α`. The
    /// regularisation of `explicit` is ignored.
    #[must_use]
    pub const fn new(explicit: &'a Explicit, prior: NormalEquations) -> Self {
        Self { explicit, prior }
    }
}

impl Objective for Posterior<'_> {
    fn shared(&self, _: Axis, _: &Matrix) -> Option<NormalEquations> {
        Some(self.prior.clone())
    }

    fn terms(
        &self,
        row: Row<'_>,
        fixed_biases: &[f32],
        weights: &mut Vec<f32>,
        targets: &mut Vec<f32>,
    ) -> f64 {
        self.explicit.terms(row, fixed_biases, weights, targets)
    }

    fn ridge(&self, axis: Axis, count: usize) -> Ridge {
        let Ridge { bias, .. } = self.explicit.ridge(axis, count);
        Ridge { vector: 0.0, bias: bias.map(|_| 0.0) }
    }

    fn minimum_suffices(&self, _: bool) -> bool {
        true
    }

    fn loss(&self, row: Row<'_>, fixed_biases: &[f32], bias: f32, dots: &[f32]) -> RowLoss {
        self.explicit.loss(row, fixed_biases, bias, dots)
    }
}
