//! Squared error over the observed cells, with biases.
//!
//! ```text
//! Σ w (z − b_u − b_i − p_u·q_i)² + λ Σ ρ(n_u) |p_u|² + λ Σ ρ(n_i) |q_i|²
//!                     + Σ (d + λ_b ρ(n_u)) b_u² + Σ (d + λ_b ρ(n_i)) b_i²,    z = (r − μ) / s
//! ρ(n) = n̄ (n / n̄)^e
//! ```
//!
//! The damping `d` of the biases is a number of ratings and does not depend on the density (as in
//! the baselines of Koren 2008, section 2.1): the bias of a row with few ratings stays near 0. In
//! contrast, `λ_b` scales with the number of ratings, like the `λ` of the vectors.
//!
//! `e = 1` is ALS-WR (Zhou, Wilkinson, Schreiber, Pan 2008, eq. 3) and `e = 0` is plain ridge
//! regression. Values in between are the frequency scaling of Rendle, Krichene, Zhang, Koren 2021.
//! `n̄` is a side's mean number of ratings per row. It keeps `λ` on one scale for every `e`; `μ`
//! and `s` keep it on one scale for every rating scale.

use super::{Objective, Ridge, RowLoss};
use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations, sum};
use crate::pair::Pair;
use crate::ratings::{Ratings, Row};

/// The strength of the regularisation, as the user specifies it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularization {
    /// `λ` of the user vectors.
    pub users: f64,
    /// `λ` of the item vectors.
    pub items: f64,
    /// `λ_b` of the biases.
    pub biases: f64,
    /// `d` of the biases: acts like this many additional ratings at the mean in every row.
    pub damping: f64,
    /// The exponent `e` of the number of ratings.
    pub exponent: f64,
}

impl Regularization {
    /// `ρ(n)` for a side with `mean` ratings per row; `mean` for a row without ratings.
    #[must_use]
    pub fn scale(&self, mean: f64, count: usize) -> f64 {
        if count == 0 || mean == 0.0 {
            mean
        } else {
            mean * (count as f64 / mean).powf(self.exponent)
        }
    }
}

/// How ratings become the values that are fitted: `(r - mean) / deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standardisation {
    /// The mean that is subtracted.
    pub mean: f64,
    /// The deviation that divides.
    pub deviation: f64,
}

/// The explicit objective of one set of training cells.
#[derive(Debug, Clone)]
pub struct Explicit {
    regularization: Regularization,
    biases: bool,
    mean: f64,
    inverse_deviation: f64,
    mean_counts: Pair<f64>,
}

impl Explicit {
    /// The objective over `ratings`, whose values are standardised.
    #[must_use]
    pub fn new(
        ratings: &Ratings,
        standard: Standardisation,
        regularization: Regularization,
        biases: bool,
    ) -> Self {
        let mean_counts = Pair::new(ratings.by_user.mean_count(), ratings.by_item.mean_count());
        Self::with_counts(mean_counts, standard, regularization, biases)
    }

    /// The objective of training cells with these mean numbers of ratings per user and per item.
    #[must_use]
    pub fn with_counts(
        mean_counts: Pair<f64>,
        standard: Standardisation,
        regularization: Regularization,
        biases: bool,
    ) -> Self {
        let Standardisation { mean, deviation } = standard;
        Self { regularization, biases, mean, inverse_deviation: 1.0 / deviation, mean_counts }
    }

    fn standardised(&self, value: f32) -> f32 {
        // In double precision: ratings may be large relative to their spread.
        ((f64::from(value) - self.mean) * self.inverse_deviation) as f32
    }

    const fn side(&self, axis: Axis) -> (f64, f64) {
        match axis {
            Axis::User => (self.regularization.users, self.mean_counts.users),
            Axis::Item => (self.regularization.items, self.mean_counts.items),
        }
    }
}

impl Objective for Explicit {
    fn shared(&self, _: Axis, _: &Matrix) -> Option<NormalEquations> {
        None
    }

    fn terms(
        &self,
        row: Row<'_>,
        fixed_biases: &[f32],
        weights: &mut Vec<f32>,
        targets: &mut Vec<f32>,
    ) -> f64 {
        weights.clear();
        targets.clear();
        let residual = |(&value, &other): (&f32, &u32)| {
            self.standardised(value) - fixed_biases[other as usize]
        };
        targets.extend(row.values.iter().zip(row.indices).map(residual));
        let Some(own) = row.weights else { return sum(targets, |t| t * t) };
        weights.extend_from_slice(own);
        let mut at_zero = 0.0;
        for (target, &weight) in targets.iter_mut().zip(own) {
            at_zero += f64::from(weight) * f64::from(*target).powi(2);
            *target *= weight;
        }
        at_zero
    }

    fn ridge(&self, axis: Axis, count: usize) -> Ridge {
        let (lambda, mean) = self.side(axis);
        let rho = self.regularization.scale(mean, count);
        let Regularization { biases, damping, .. } = self.regularization;
        Ridge { vector: (lambda * rho) as f32, bias: self.biases.then_some(damping + biases * rho) }
    }

    fn loss(&self, row: Row<'_>, fixed_biases: &[f32], bias: f32, dots: &[f32]) -> RowLoss {
        let mut loss = RowLoss::default();
        for (p, (&value, &dot)) in row.values.iter().zip(dots).enumerate() {
            let known = bias + fixed_biases[row.indices[p] as usize];
            let squared = f64::from(self.standardised(value) - known - dot).powi(2);
            loss.objective += row.weights.map_or(1.0, |w| f64::from(w[p])) * squared;
            loss.squared += squared;
        }
        loss
    }
}
