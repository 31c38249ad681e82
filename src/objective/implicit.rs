//! Squared error over all cells, with a confidence for each observed cell: implicit feedback.
//!
//! ```text
//! Σ over observed  [c − 2 t s + w s²]  +  α₀ Σ over all cells s²
//!     +  λ Σ ρ |p_u|² + λ Σ ρ |q_i|²,   s = p_u·q_i
//! ρ = (n_u + α₀ n)^ν for users, (n_i + α₀ m)^ν for items,
//!     with n items and m users that have cells
//! ```
//!
//! | confidence | `c` | `w` | `t` | source |
//! |---|---|---|---|---|
//! | unit | 1 | 1 | 1 | Rendle, Krichene, Zhang, Koren 2021 (iALS), `α₀` over all pairs |
//! | linear | `1 + α r` | `c − α₀` | `c` | Hu, Koren, Volinsky 2008, with `α₀ = 1` |
//! | log | `1 + α ln(1 + r / ε)` | `c − α₀` | `c` | the same paper |
//! | raw | `α r` | `c − α₀` | `c` | the implicit package, with `α₀ = 1` |
//!
//! The system of a row is therefore `(α₀ YᵀY + Σ w y yᵀ + λ ρ) x = Σ t y`. Input weights multiply
//! `c`.

use super::{Objective, Ridge, RowLoss};
use crate::ids::Axis;
use crate::linalg::simd::{Kernels, RowList};
use crate::linalg::{Matrix, NormalEquations};
use crate::pair::Pair;
use crate::ratings::{Ratings, Row};

/// The function that turns a value into a confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Confidence {
    /// 1 for every value, in addition to `α₀` for every pair.
    Unit,
    /// `1 + α r`.
    Linear {
        /// `α`.
        alpha: f64,
    },
    /// `1 + α ln(1 + r / ε)`.
    Log {
        /// `α`.
        alpha: f64,
        /// `ε`.
        epsilon: f64,
    },
    /// `α r`.
    Raw {
        /// `α`.
        alpha: f64,
    },
}

impl Confidence {
    /// `(w, t)` of a value, where `unobserved` is `α₀` and `weight` is the input weight.
    #[must_use]
    pub fn terms(self, value: f64, unobserved: f64, weight: f64) -> (f64, f64) {
        let c = weight
            * match self {
                Self::Unit => return (weight, weight),
                Self::Linear { alpha } => 1.0 + alpha * value,
                Self::Log { alpha, epsilon } => 1.0 + alpha * (value / epsilon).ln_1p(),
                Self::Raw { alpha } => alpha * value,
            };
        (c - unobserved, c)
    }
}

/// The implicit objective of one set of training cells.
#[derive(Debug, Clone)]
pub struct Implicit {
    kernels: Kernels,
    confidence: Confidence,
    unobserved: f64,
    /// `λ` of the users and of the items.
    regularization: Pair<f64>,
    exponent: f64,
    /// Users and items with cells.
    rows: Pair<usize>,
}

impl Implicit {
    /// The objective over `ratings`. `unobserved` is `α₀`, `regularization` holds `λ` of the users
    /// and of the items, and `exponent` is `ν`.
    #[must_use]
    pub fn new(
        kernels: Kernels,
        ratings: &Ratings,
        confidence: Confidence,
        unobserved: f64,
        regularization: Pair<f64>,
        exponent: f64,
    ) -> Self {
        let rows = Pair::new(ratings.by_user.rows_with_cells(), ratings.by_item.rows_with_cells());
        Self::with_rows(kernels, rows, confidence, unobserved, regularization, exponent)
    }

    /// The objective for training cells of this many users and items.
    #[must_use]
    pub const fn with_rows(
        kernels: Kernels,
        rows: Pair<usize>,
        confidence: Confidence,
        unobserved: f64,
        regularization: Pair<f64>,
        exponent: f64,
    ) -> Self {
        Self { kernels, confidence, unobserved, regularization, exponent, rows }
    }
}

impl Objective for Implicit {
    /// `α₀ YᵀY` over all rows of the other side.
    fn shared(&self, _: Axis, fixed: &Matrix) -> Option<NormalEquations> {
        if self.unobserved == 0.0 {
            return None;
        }
        let mut system = NormalEquations::new(fixed.cols());
        let rows: Vec<u32> = (0..fixed.rows() as u32).collect();
        let zeros = vec![0.0; rows.len()];
        system.set_all(self.kernels, fixed, RowList::new(&rows), None, &zeros);
        system.scale(self.unobserved);
        system.without_bias();
        Some(system)
    }

    fn terms(
        &self,
        row: Row<'_>,
        _: &[f32],
        weights: &mut Vec<f32>,
        targets: &mut Vec<f32>,
    ) -> f64 {
        weights.clear();
        targets.clear();
        let mut at_zero = 0.0;
        for (p, &value) in row.values.iter().enumerate() {
            let own = row.weights.map_or(1.0, |w| f64::from(w[p]));
            let (w, t) = self.confidence.terms(f64::from(value), self.unobserved, own);
            weights.push(w as f32);
            targets.push(t as f32);
            at_zero += t;
        }
        // All weights are 1, so the kernels need none.
        if self.confidence == Confidence::Unit && row.weights.is_none() {
            weights.clear();
        }
        at_zero
    }

    fn ridge(&self, axis: Axis, count: usize) -> Ridge {
        let (lambda, others) = match axis {
            Axis::User => (self.regularization.users, self.rows.items),
            Axis::Item => (self.regularization.items, self.rows.users),
        };
        let rho = (count as f64 + self.unobserved * others as f64).powf(self.exponent);
        Ridge { vector: (lambda * rho) as f32, bias: None }
    }

    fn minimum_suffices(&self, _: bool) -> bool {
        true
    }

    fn loss(&self, row: Row<'_>, _: &[f32], _: f32, dots: &[f32]) -> RowLoss {
        let mut loss = RowLoss::default();
        for (p, (&value, &s)) in row.values.iter().zip(dots).enumerate() {
            let own = row.weights.map_or(1.0, |w| f64::from(w[p]));
            let (w, t) = self.confidence.terms(f64::from(value), self.unobserved, own);
            let s = f64::from(s);
            loss.objective += t + s * (w * s - 2.0 * t);
        }
        loss
    }
}
