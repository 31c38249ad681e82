//! The problem that each row minimises.
//!
//! With the other side fixed, the problem of one row is the linear system
//!
//! ```text
//! (G + Σⱼ wⱼ ỹⱼỹⱼᵀ + diag d) x̃ = g₀ + Σⱼ tⱼ ỹⱼ,     ỹ = [y, 1] where biases are fitted
//! ```
//!
//! An [`Objective`] defines `w`, `t`, `d` and the shared part `G`, `g₀`. A solver
//! (`src/solver`) solves the system. Neither depends on the other.

mod explicit;
mod implicit;
mod posterior;

pub use explicit::{Explicit, Regularization, Standardisation};
pub use implicit::{Confidence, Implicit};
pub use posterior::Posterior;

use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations};
use crate::ratings::Row;

/// The diagonal `d` of one row's system, which is also the penalty of the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ridge {
    /// The ridge on each entry of the vector.
    pub vector: f32,
    /// The ridge on the bias, or `None` where no bias is fitted.
    pub bias: Option<f64>,
}

/// The contribution of a solved row to the losses.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowLoss {
    /// Contribution to the data term of the objective: squared errors times weights.
    pub objective: f64,
    /// Squared errors without weights, on the scale of the objective.
    pub squared: f64,
    /// The penalty of the row: `d` times the squares of its vector and bias.
    pub penalty: f64,
    /// 1 for a row that was solved with sums in double precision.
    pub dense: u64,
}

impl RowLoss {
    /// Adds the contribution of another row.
    pub fn add(&mut self, other: &Self) {
        self.objective += other.objective;
        self.squared += other.squared;
        self.penalty += other.penalty;
        self.dense += other.dense;
    }
}

/// Defines the problem that each row minimises; see the module.
pub trait Objective: Sync {
    /// The part of the system that all rows of `axis` share, for these vectors of the other side:
    /// `G` and `g₀`, including the entries of the bias.
    fn shared(&self, axis: Axis, fixed: &Matrix) -> Option<NormalEquations>;

    /// Writes one weight and one target per cell. Returns the contribution of the row's cells to
    /// the objective where its vector and bias are zero. `weights` may stay empty if all weights
    /// are 1.
    fn terms(
        &self,
        row: Row<'_>,
        fixed_biases: &[f32],
        weights: &mut Vec<f32>,
        targets: &mut Vec<f32>,
    ) -> f64;

    /// The diagonal of a row of `axis` with `count` cells.
    fn ridge(&self, axis: Axis, count: usize) -> Ridge;

    /// Whether the minimum of a row's objective determines its losses. True also where squared
    /// errors have no meaning.
    fn minimum_suffices(&self, weighted: bool) -> bool {
        !weighted
    }

    /// The losses of a solved row over its cells; `dots[j]` is `x · yⱼ`.
    fn loss(&self, row: Row<'_>, fixed_biases: &[f32], bias: f32, dots: &[f32]) -> RowLoss;
}
