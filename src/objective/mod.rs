//! What one row minimises.
//!
//! One row's problem, the other side fixed, is the linear system
//!
//! ```text
//! (G + Σⱼ wⱼ ỹⱼỹⱼᵀ + diag d) x̃ = g₀ + Σⱼ tⱼ ỹⱼ,     ỹ = [y, 1] where biases are fitted
//! ```
//!
//! An [`Objective`] says what `w`, `t`, `d` and the shared part `G`, `g₀` are; a
//! [solver](crate::solver) solves the system; neither knows the other.

mod explicit;
mod implicit;
mod posterior;

pub use explicit::{Explicit, Regularization};
pub use implicit::{Confidence, Implicit};
pub use posterior::Posterior;

use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations};
use crate::ratings::Row;

/// The diagonal `d` of one row, which is also its penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ridge {
    /// Of each entry of the vector.
    pub vector: f32,
    /// Of the bias, or none where no bias is fitted.
    pub bias: Option<f64>,
}

/// What a row contributes to the losses once it is solved.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowLoss {
    /// To the data term of the objective: squared errors times weights.
    pub objective: f64,
    /// Squared errors without weights, on the objective's scale.
    pub squared: f64,
    /// The row's penalty, `d` times the squares of its vector and bias.
    pub penalty: f64,
}

impl RowLoss {
    /// Adds another row's share.
    pub fn add(&mut self, other: &Self) {
        self.objective += other.objective;
        self.squared += other.squared;
        self.penalty += other.penalty;
    }
}

/// What a row minimises; see the module.
pub trait Objective: Sync {
    /// What all rows of `axis` share, given the vectors of the other side: `G` and `g₀`, the bias's entries included.
    fn shared(&self, axis: Axis, fixed: &Matrix) -> Option<NormalEquations>;

    /// Writes one weight and one target per cell, and returns what the row's cells contribute to the
    /// objective where its vector and bias are zero. Weights may stay empty where all are 1.
    fn terms(
        &self,
        row: Row<'_>,
        fixed_biases: &[f32],
        weights: &mut Vec<f32>,
        targets: &mut Vec<f32>,
    ) -> f64;

    /// The diagonal of a row of `axis` with `count` cells.
    fn ridge(&self, axis: Axis, count: usize) -> Ridge;

    /// Whether the squared errors of a row follow from its objective's minimum, or mean nothing.
    fn minimum_suffices(&self, weighted: bool) -> bool {
        !weighted
    }

    /// The losses of a solved row over its cells: `dots[j]` is `x · yⱼ`.
    fn loss(&self, row: Row<'_>, fixed_biases: &[f32], bias: f32, dots: &[f32]) -> RowLoss;
}
