//! The mean-field posterior of a row: its mean and its covariance.
//!
//! ```text
//! A = Σ w (ỹỹᵀ + [T 0; 0 0]) + Λ/α,   x̃ = A⁻¹ (Σ t ỹ − Σ w [c; 0] + Λm/α),
//! S = A⁻¹ / α,   ỹ = [y, 1]
//! ```
//!
//! `T` is the covariance of the other side's vector `y`, and `c` the covariance of `y` with its
//! bias (Lim and Teh 2007, Variational Bayesian approach to movie rating prediction; here the
//! biases are one more coordinate).
//!
//! Each row of a side's matrix holds the mean, followed by the covariance ([`RowLayout`]).

use super::{RowProblem, Solver};
use crate::linalg::simd::{Kernels, LANES, Shifted};
use crate::linalg::{CHUNK, NormalEquations, NotPositiveDefinite, Solution, invert_symmetric};

/// The positions of the numbers of a row.
///
/// The mean comes first, padded. The covariance of the vector's entries follows (upper triangle by
/// rows). With biases, the covariances of the vector with the bias and the variance of the bias
/// come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowLayout {
    /// Number of entries of a vector.
    pub rank: usize,
    /// Whether biases are fitted.
    pub biases: bool,
}

impl RowLayout {
    /// First position of the covariance.
    #[must_use]
    pub(crate) const fn covariance(self) -> usize {
        self.rank.next_multiple_of(LANES)
    }

    /// First position of the covariances of the vector with the bias; the variance of the bias
    /// follows them.
    #[must_use]
    pub(crate) const fn with_bias(self) -> usize {
        self.covariance() + self.rank * (self.rank + 1) / 2
    }

    /// Number of stored values per row.
    #[must_use]
    pub(crate) const fn cols(self) -> usize {
        self.with_bias() + if self.biases { self.rank + 1 } else { 0 }
    }

    /// Number of unknowns of a row.
    #[must_use]
    pub(crate) const fn order(self) -> usize {
        self.rank + self.biases as usize
    }
}

/// The variational solver of one half-sweep.
///
/// The minimum in a solution is the weighted sum of the expected squared errors of the row's cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variational<'a> {
    /// The instruction set.
    pub kernels: Kernels,
    /// The layout of the rows of both sides.
    pub layout: RowLayout,
    /// Precision `α` of the noise.
    pub precision: f64,
    /// The share of the covariance that counts, for each row of the other side.
    pub shares: &'a [f32],
    /// `Λ/α` (row-major) and `Λm/α`.
    pub prior: (&'a [f64], &'a [f64]),
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    system: NormalEquations,
    /// Weighted sum over the rows of the other side.
    rows: Vec<f64>,
    part: Vec<f32>,
    nothing: Vec<f32>,
    dots: Vec<f32>,
    shares: Vec<f32>,
    data: Vec<f64>,
    inverse: Vec<f64>,
    right: Vec<f64>,
    row: Vec<f64>,
}

impl Solver for Variational<'_> {
    type Scratch = Scratch;

    fn scratch(&self, _: usize) -> Scratch {
        let (order, stride) = (self.layout.order(), self.layout.cols().next_multiple_of(LANES));
        Scratch {
            system: NormalEquations::new(self.layout.rank),
            rows: vec![0.0; stride],
            part: vec![0.0; stride],
            nothing: vec![0.0; stride],
            dots: vec![0.0; CHUNK],
            shares: Vec::with_capacity(CHUNK),
            data: vec![0.0; order * order],
            inverse: vec![0.0; order * order],
            right: vec![0.0; order],
            row: vec![0.0; order],
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let (rank, order) = (self.layout.rank, self.layout.order());
        let variance = self.expected_sums(problem, scratch);
        let Scratch { data, inverse, right, row, .. } = scratch;
        for ((a, data), prior) in inverse.iter_mut().zip(&*data).zip(self.prior.0) {
            *a = data + prior;
        }
        invert_symmetric(inverse, order, row)?;
        let right_of = |i: usize| right[i] + self.prior.1[i];
        for (i, mean) in row.iter_mut().enumerate() {
            *mean = (0..order).map(|j| inverse[i * order + j] * right_of(j)).sum();
        }
        // The sum of `E[(t − x̃·ỹ)²]` over the distributions of both sides.
        let mut error = problem.at_zero + variance;
        for i in 0..order {
            let image: f64 = (0..order).map(|j| data[i * order + j] * row[j]).sum();
            let spread: f64 =
                (0..order).map(|j| data[i * order + j] * inverse[i * order + j]).sum();
            error += row[i] * (image - 2.0 * right[i]) + spread / self.precision;
        }
        self.write(row, inverse, x);
        let bias = if self.layout.biases { row[rank] as f32 } else { 0.0 };
        Ok(Some(Solution { bias, minimum: Some(error.max(0.0)) }))
    }
}

impl Variational<'_> {
    /// Writes the expected sums over the row's cells: the matrix to `data` and the right-hand side
    /// to `right`. Returns the part of the expected squared error that no solution explains: the
    /// variance of the other side's biases.
    fn expected_sums(&self, problem: &RowProblem<'_>, scratch: &mut Scratch) -> f64 {
        let RowLayout { rank, biases } = self.layout;
        let Scratch { system, rows, part, nothing, dots, shares, data, right, .. } = scratch;
        let RowProblem { fixed, indices, weights, targets, .. } = *problem;
        system.set_columns(self.kernels, fixed, 0, indices, weights, targets);
        system.write_dense(biases, data, right);
        rows.fill(0.0);
        for (nth, chunk) in indices.chunks(CHUNK).enumerate() {
            part.fill(0.0);
            let weight = |at: usize| weights.map_or(1.0, |w| w[nth * CHUNK + at]);
            shares.clear();
            let share = |(at, &row): (usize, &u32)| weight(at) * self.shares[row as usize];
            shares.extend(chunk.iter().enumerate().map(share));
            // A zero vector and a shift of one make this the weighted sum of the rows.
            let (from, kernels) = (Shifted { x: nothing, shift: 1.0 }, self.kernels);
            kernels.combine(from, fixed, chunk, Some(shares), None, dots, part);
            rows.iter_mut().zip(&*part).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        let order = self.layout.order();
        let mut at = self.layout.covariance();
        for i in 0..rank {
            for j in i..rank {
                data[i * order + j] += rows[at];
                if j > i {
                    data[j * order + i] += rows[at];
                }
                at += 1;
            }
        }
        if !biases {
            return 0.0;
        }
        for (right, covariance) in right.iter_mut().zip(&rows[at..at + rank]) {
            *right -= covariance;
        }
        rows[at + rank]
    }

    /// Writes the mean and the covariance of a row to `x`.
    fn write(&self, mean: &[f64], inverse: &[f64], x: &mut [f32]) {
        let (RowLayout { rank, biases }, order) = (self.layout, self.layout.order());
        for (x, &mean) in x.iter_mut().zip(&mean[..rank]) {
            *x = mean as f32;
        }
        let mut at = self.layout.covariance();
        let covariance = |i: usize, j: usize| (inverse[i * order + j] / self.precision) as f32;
        for i in 0..rank {
            for j in i..rank {
                x[at] = covariance(i, j);
                at += 1;
            }
        }
        if biases {
            for i in 0..=rank {
                x[at + i] = covariance(i, rank);
            }
        }
    }
}
