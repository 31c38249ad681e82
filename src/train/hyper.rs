//! The normal prior that the rows of one side share, drawn from its Normal–Wishart posterior.
//!
//! ```text
//! Λ ~ W(W*, ν*),  m ~ N(μ*, (β* Λ)⁻¹),   ν* = ν₀ + N,  β* = β₀ + N,  μ* = N x̄ / β*
//! W*⁻¹ = W₀⁻¹ + Σ (x − x̄)(x − x̄)ᵀ + (β₀ N / β*) x̄ x̄ᵀ
//! ```
//!
//! The formulas are those of Salakhutdinov and Mnih 2008, eq. 14, with their `μ₀ = 0`, `β₀ = 2`,
//! `ν₀ = d`, `W₀ = I`, for `N` rows of `d` unknowns. The Wishart draw is Bartlett's.

use nalgebra::{Cholesky, DMatrix, DVector};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use super::State;
use super::sums::Sums;
use crate::error::{Error, Result};

/// `β₀`.
const BETA: f64 = 2.0;

/// A normal distribution with precision `Λ` and mean `m`.
#[derive(Debug, Clone)]
pub(super) struct Prior {
    precision: DMatrix<f64>,
    mean: DVector<f64>,
}

impl Prior {
    /// The prior with mean 0 and the same precision for every unknown.
    pub(super) fn isotropic(order: usize, precision: f64) -> Self {
        let precision = DMatrix::identity(order, order) * precision;
        Self { precision, mean: DVector::zeros(order) }
    }

    /// Draws a prior from its posterior under the sums over the rows; none if they are not finite.
    pub(super) fn draw(sums: &Sums, rng: &mut impl Rng) -> Option<Self> {
        let (order, rows) = (sums.first.len(), sums.rows);
        let first = DVector::from_row_slice(&sums.first);
        let second = DMatrix::from_row_slice(order, order, &sums.second);
        let beta = BETA + rows;
        // Σ x xᵀ − N x̄ x̄ᵀ + (β₀ N / β*) x̄ x̄ᵀ simplifies to Σ x xᵀ − (Σ x)(Σ x)ᵀ / β*.
        let scatter = DMatrix::identity(order, order) + second - &first * first.transpose() / beta;
        let scale = Cholesky::new(scatter)?.inverse();
        let lower = Cholesky::new(scale)?.unpack();
        let mut bartlett = DMatrix::zeros(order, order);
        for i in 0..order {
            let degrees = order as f64 + rows - i as f64;
            bartlett[(i, i)] = ChiSquared::new(degrees).ok()?.sample(rng).sqrt();
            for j in 0..i {
                bartlett[(i, j)] = StandardNormal.sample(rng);
            }
        }
        let factor = lower * bartlett;
        let precision = &factor * factor.transpose();
        // Λ = F Fᵀ with F lower triangular, so F⁻ᵀ z has covariance Λ⁻¹.
        let noise = DVector::from_fn(order, |_, _| StandardNormal.sample(rng));
        let noise = factor.transpose().solve_upper_triangular(&noise)?;
        let mean = first / beta + noise / beta.sqrt();
        Some(Self { precision, mean })
    }

    /// The most likely prior for normal distributions of the rows (empirical Bayes).
    ///
    /// `m` is the mean of the rows' means, and `Λ⁻¹ = (I + Σ (S + (x − m)(x − m)ᵀ)) / (N + d)`.
    /// `sums` is over the means, and `covariances` is the sum of the `S`, row-major. None if they
    /// are not finite.
    pub(super) fn fitted(sums: &Sums, covariances: &[f64]) -> Option<Self> {
        let (order, rows) = (sums.first.len(), sums.rows.max(1.0));
        let first = DVector::from_row_slice(&sums.first);
        let second = DMatrix::from_row_slice(order, order, &sums.second);
        let covariances = DMatrix::from_row_slice(order, order, covariances);
        let identity = DMatrix::identity(order, order);
        let scatter = identity + covariances + second - &first * first.transpose() / rows;
        let covariance = scatter / (rows + order as f64);
        let precision = Cholesky::new(covariance)?.inverse();
        Some(Self { precision, mean: first / rows })
    }

    /// Adds the prior to a state.
    pub(super) fn save(&self, state: &mut State, name: &str) {
        let numbers = self.precision.iter().chain(&self.mean).copied();
        state.put_numbers(name, numbers.collect());
    }

    /// Restores a saved prior.
    pub(super) fn restored(state: &State, name: &str, order: usize) -> Result<Self> {
        let numbers = state.numbers(name)?;
        if numbers.len() != order * (order + 1) {
            return Err(Error::Checkpoint(format!("it is of another fit: \"{name}\"")));
        }
        let (precision, mean) = numbers.split_at(order * order);
        let precision = DMatrix::from_column_slice(order, order, precision);
        Ok(Self { precision, mean: DVector::from_column_slice(mean) })
    }

    /// `mᵀΛm`.
    pub(super) fn constant(&self) -> f64 {
        self.mean.dot(&(&self.precision * &self.mean))
    }

    /// `Λ`, row-major, and `m`.
    pub(super) fn numbers(&self) -> (Vec<f64>, Vec<f64>) {
        (self.precision.as_slice().to_vec(), self.mean.as_slice().to_vec())
    }

    /// The inverse of [`Prior::numbers`].
    pub(super) fn from_numbers(precision: &[f64], mean: &[f64]) -> Self {
        let precision = DMatrix::from_row_slice(mean.len(), mean.len(), precision);
        Self { precision, mean: DVector::from_column_slice(mean) }
    }

    /// `Λ` (row-major) and `Λ m`, both divided by the precision of the noise.
    pub(super) fn over(&self, noise_precision: f64) -> (Vec<f64>, Vec<f64>) {
        let matrix = &self.precision / noise_precision;
        let rhs = &matrix * &self.mean;
        // The matrix is symmetric, so its column-major order is also its row-major order.
        (matrix.as_slice().to_vec(), rhs.as_slice().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, generator};

    /// Many rows determine the posterior: the draw has the rows' own mean and precision.
    #[test]
    fn many_rows_determine_the_prior() {
        // x = m + B z has covariance B Bᵀ.
        let (m, b) = ([0.5, -1.0], [[0.8, 0.0], [0.3, 0.4]]);
        let mut rng = generator(1, Stream::Split);
        let rows = 200_000;
        let mut sums = Sums { rows: f64::from(rows), first: vec![0.0; 2], second: vec![0.0; 4] };
        for _ in 0..rows {
            let z: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            let x: [f64; 2] = std::array::from_fn(|i| m[i] + b[i][0] * z[0] + b[i][1] * z[1]);
            for i in 0..2 {
                sums.first[i] += x[i];
                (0..2).for_each(|j| sums.second[i * 2 + j] += x[i] * x[j]);
            }
        }
        let prior = Prior::draw(&sums, &mut rng).expect("finite");
        // The inverse of the covariance [[0.64, 0.24], [0.24, 0.25]], whose determinant is 0.1024.
        let want = [2.441_4, -2.343_75, -2.343_75, 6.25];
        for (got, want) in prior.precision.iter().zip(want) {
            // Relative standard deviation of a Wishart draw: about √(2 / rows).
            assert!((got / want - 1.0).abs() < 0.02, "{got} {want}");
        }
        assert!((prior.mean[0] - 0.5).abs() < 0.01 && (prior.mean[1] + 1.0).abs() < 0.01);
    }

    /// Without rows, the posterior is the hyper-prior: E Λ = ν₀ W₀ = d I.
    #[test]
    fn no_rows_leave_the_hyper_prior() {
        let sums = Sums { rows: 0.0, first: vec![0.0; 3], second: vec![0.0; 9] };
        let (mut rng, draws) = (generator(2, Stream::Split), 20_000);
        let mut mean = DMatrix::<f64>::zeros(3, 3);
        for _ in 0..draws {
            mean += Prior::draw(&sums, &mut rng).expect("finite").precision / f64::from(draws);
        }
        // A diagonal entry is χ² with 3 degrees of freedom. The standard deviation of its mean is
        // √6 / √20000.
        for (at, &got) in mean.iter().enumerate() {
            let want = if at % 4 == 0 { 3.0 } else { 0.0 };
            assert!((got - want).abs() < 0.1, "{at}: {got}");
        }
        assert!(Prior::draw(&Sums { rows: f64::NAN, ..sums }, &mut rng).is_none());
    }
}
