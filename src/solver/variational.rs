//! The mean-field posterior of a row: its mean and its covariance.
//!
//! ```text
//! A = Σ w (ỹỹᵀ + [T 0; 0 0]) + Λ/α,   x̃ = A⁻¹ (Σ t ỹ − Σ w [c; 0] + Λm/α),   S = A⁻¹ / α,   ỹ = [y, 1]
//! ```
//!
//! with `T` the covariance of the other side's vector `y` and `c` that of `y` and its bias (Lim and Teh
//! 2007, Variational Bayesian approach to movie rating prediction, with the biases as one more coordinate).
//!
//! Both sides' matrices hold a row's mean and, behind it, its covariance ([`Layout`]).

use super::{RowProblem, Solver};
use crate::linalg::simd::{Kernels, LANES};
use crate::linalg::{CHUNK, NormalEquations, NotPositiveDefinite, Solution, invert_symmetric};

/// Where a row's numbers stand: the mean from 0 on, padded, then the covariance of the vector's entries
/// (upper triangle by rows), then, with biases, theirs with the bias, and the bias's variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Entries of a vector.
    pub rank: usize,
    /// Whether biases are fitted.
    pub biases: bool,
}

impl Layout {
    /// First position of the covariance.
    #[must_use]
    pub const fn covariance(self) -> usize {
        self.rank.next_multiple_of(LANES)
    }

    /// First position of the covariance of the vector with the bias; the bias's variance is behind it.
    #[must_use]
    pub const fn with_bias(self) -> usize {
        self.covariance() + self.rank * (self.rank + 1) / 2
    }

    /// Numbers of a row.
    #[must_use]
    pub const fn cols(self) -> usize {
        self.with_bias() + if self.biases { self.rank + 1 } else { 0 }
    }

    /// Unknowns of a row.
    #[must_use]
    pub const fn order(self) -> usize {
        self.rank + self.biases as usize
    }
}

/// The variational solver of one half-sweep. A solution's minimum is the expected squared error of the
/// row's cells, weighted.
#[derive(Debug, Clone, Copy)]
pub struct Variational<'a> {
    /// The instruction set.
    pub kernels: Kernels,
    /// Where the rows of both sides hold what.
    pub layout: Layout,
    /// Precision `α` of the noise.
    pub precision: f64,
    /// How much of the covariance of each row of the other side counts.
    pub shares: &'a [f32],
    /// `Λ/α` and `Λm/α`, row-major.
    pub prior: (&'a [f64], &'a [f64]),
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub struct Scratch {
    system: NormalEquations,
    /// Sums of the other side's rows.
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
        // Σ E[(t − x̃·ỹ)²] over both sides' distributions.
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
    /// The expected sums over the row's cells: the matrix, the right side; and the expected square that no
    /// solution explains, the variance of the other side's biases.
    fn expected_sums(&self, problem: &RowProblem<'_>, scratch: &mut Scratch) -> f64 {
        let Layout { rank, biases } = self.layout;
        let Scratch { system, rows, part, nothing, dots, shares, data, right, .. } = scratch;
        let RowProblem { fixed, indices, weights, targets, .. } = *problem;
        system.set_columns(self.kernels, (fixed, 0), indices, weights, targets);
        system.write_dense(biases, data, right);
        rows.fill(0.0);
        for (nth, chunk) in indices.chunks(CHUNK).enumerate() {
            part.fill(0.0);
            let weight = |at: usize| weights.map_or(1.0, |w| w[nth * CHUNK + at]);
            shares.clear();
            let share = |(at, &row): (usize, &u32)| weight(at) * self.shares[row as usize];
            shares.extend(chunk.iter().enumerate().map(share));
            // With the vector zero and a shift of one, the sum of the rows.
            let (zero, kernels) = ((&nothing[..], 1.0), self.kernels);
            kernels.combine(zero, fixed, chunk, Some(shares), None, dots, part);
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

    /// Writes a row's mean and covariance.
    fn write(&self, mean: &[f64], inverse: &[f64], x: &mut [f32]) {
        let (Layout { rank, biases }, order) = (self.layout, self.layout.order());
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
