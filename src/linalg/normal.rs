//! The normal equations of one row, with an optional bias as an additional unknown.

use rayon::prelude::*;

use super::matrix::Matrix;
use super::simd::{BLOCK, Buffer, Kernels, RowList, RowSums};

/// A row with more cells than this is summed in chunks of this many cells. The chunks are added in
/// double precision.
pub const CHUNK: usize = 8192;

/// Number of chunks of a long row that are summed at the same time. It bounds the memory for their
/// partial sums.
const CHUNKS_AT_ONCE: usize = 16;

/// A minimum below this share of the objective at zero has lost its digits to cancellation.
const LEFT_OVER: f64 = 1e-2;

/// A function that sets the sums to those of some cells: indices, weights and targets.
type Set<'s> = dyn Fn(&mut NormalEquations, &[u32], Option<&[f32]>, &[f32]) + Sync + 's;

/// The solution of one row's system, except its vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    /// The bias; 0 if none is fitted.
    pub bias: f32,
    /// The row's objective at the solution or draw, including the ridge and shared terms. It is
    /// `None` if too little of the value at zero is left to compute it from the sums.
    pub minimum: Option<f64>,
}

impl Solution {
    /// Creates a solution from the objective at zero and the part that the solution explains,
    /// `2 g·x − x·A x`. The minimum is their difference.
    #[must_use]
    pub fn new(bias: f32, at_zero: f64, explained: f64) -> Self {
        let minimum = at_zero - explained;
        Self { bias, minimum: (minimum > at_zero * LEFT_OVER).then_some(minimum) }
    }
}

/// The system of one row, `[A a; aᵀ d] [x; b] = [g; h]`.
///
/// With the fixed side's vector `y`, the weight `w` and the weighted target `t` of every cell of
/// the row, it contains
///
/// - `A = Σ w y yᵀ` (`rank x rank`, upper triangle), `a = Σ w y` and `d = Σ w`;
/// - `g = Σ t y` and `h = Σ t`;
/// - the objective at zero, from which the minimum is computed.
///
/// Without a bias only `A x = g` is used. The border is eliminated by its Schur complement, so the
/// matrix stays `rank x rank`.
#[derive(Debug, Clone)]
pub struct NormalEquations {
    pub(super) rank: usize,
    pub(super) n: usize,
    pub(super) gram: Buffer,
    pub(super) rhs: Buffer,
    pub(super) sums: Buffer,
    pub(super) weight: f64,
    pub(super) target: f64,
    pub(super) at_zero: f64,
}

impl NormalEquations {
    /// Allocates a system of `rank` unknowns and a bias, with all sums zero.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        let n = rank.next_multiple_of(BLOCK);
        Self {
            rank,
            n,
            gram: Buffer::zeros(n * n),
            rhs: Buffer::zeros(n),
            sums: Buffer::zeros(n),
            weight: 0.0,
            target: 0.0,
            at_zero: 0.0,
        }
    }

    /// The identity matrix with a right-hand side of zeros.
    pub(super) fn identity(rank: usize) -> Self {
        let mut system = Self::new(rank);
        system.add_ridge(1.0, 1.0);
        system
    }

    /// Number of unknowns, without the bias.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Distance between two rows of the Gram matrix: `rank` rounded up to a multiple of 8.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.n
    }

    /// The Gram matrix. Only its upper triangle is meaningful.
    #[must_use]
    pub fn gram(&self) -> &[f32] {
        &self.gram
    }

    /// Sets every sum to zero.
    pub fn reset(&mut self) {
        self.gram.fill(0.0);
        self.rhs.fill(0.0);
        self.sums.fill(0.0);
        self.weight = 0.0;
        self.target = 0.0;
        self.at_zero = 0.0;
    }

    /// Sets the row's objective at the point where vector and bias are zero.
    pub const fn set_at_zero(&mut self, value: f64) {
        self.at_zero = value;
    }

    /// Replaces the sums by those of some cells.
    ///
    /// The result is the same as after [`NormalEquations::reset`] and
    /// [`NormalEquations::accumulate`], but the zeros are not written first.
    pub fn set(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        (self.weight, self.target, self.at_zero) = (0.0, 0.0, 0.0);
        self.add(kernels, fixed, rows, weights, targets, true);
    }

    /// Adds the cells of one row: the vectors `rows` of `fixed`, their weights and weighted
    /// targets.
    ///
    /// Without `weights` every weight is 1. Pass at most [`CHUNK`] cells per call, because longer
    /// sums in single precision lose accuracy.
    pub fn accumulate(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.add(kernels, fixed, rows, weights, targets, false);
    }

    /// The sums as a kernel writes them.
    fn results(&mut self) -> RowSums<'_> {
        RowSums { gram: &mut self.gram, rhs: &mut self.rhs, sums: &mut self.sums }
    }

    fn add(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
        overwrite: bool,
    ) {
        debug_assert_eq!(fixed.cols(), self.rank, "rank of the fixed side");
        if self.rank > 0 {
            let sums = self.results();
            kernels.accumulate(fixed, rows, weights, targets, sums, overwrite);
        }
        self.weight += weights.map_or(rows.indices.len() as f64, |weights| sum(weights, |w| w));
        self.target += sum(targets, |t| t);
    }

    /// Replaces the sums by those of any number of cells.
    ///
    /// More than [`CHUNK`] cells are summed in parallel, in chunks of fixed length. The chunks are
    /// added in order and in double precision.
    pub fn set_all(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.set_chunked(rows.indices, weights, targets, &|part, indices, weights, targets| {
            part.set(kernels, fixed, RowList { indices, ..rows }, weights, targets);
        });
    }

    /// Sets the sums in one step, or in chunks if there are more than [`CHUNK`] cells.
    fn set_chunked(
        &mut self,
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: &[f32],
        set: &Set<'_>,
    ) {
        if indices.len() <= CHUNK {
            return set(self, indices, weights, targets);
        }
        self.reset();
        let cells = indices.len();
        let chunks: Vec<_> = (0..cells).step_by(CHUNK).map(|s| s..cells.min(s + CHUNK)).collect();
        for group in chunks.chunks(CHUNKS_AT_ONCE) {
            let parts: Vec<Self> = group
                .par_iter()
                .map(|range| {
                    let mut part = Self::new(self.rank);
                    let weights = weights.map(|w| &w[range.clone()]);
                    set(&mut part, &indices[range.clone()], weights, &targets[range.clone()]);
                    part
                })
                .collect();
            self.fold(&parts);
        }
    }

    /// Adds several parts to these sums, in order and in double precision.
    fn fold(&mut self, parts: &[Self]) {
        fn fold_into(
            sum: &mut [f32],
            parts: &[NormalEquations],
            of: impl Fn(&NormalEquations) -> &[f32],
        ) {
            for (i, sum) in sum.iter_mut().enumerate() {
                let parts = parts.iter().map(|p| f64::from(of(p)[i]));
                *sum = parts.fold(f64::from(*sum), |total, part| total + part) as f32;
            }
        }
        fold_into(&mut self.gram, parts, |p| &p.gram);
        fold_into(&mut self.rhs, parts, |p| &p.rhs);
        fold_into(&mut self.sums, parts, |p| &p.sums);
        self.weight += parts.iter().map(|p| p.weight).sum::<f64>();
        self.target += parts.iter().map(|p| p.target).sum::<f64>();
    }

    /// Replaces the sums by those over `rank` columns of `fixed`, starting at column `first`.
    ///
    /// More than [`CHUNK`] cells are summed in chunks, as in [`NormalEquations::set_all`].
    pub fn set_columns(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        first: usize,
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.set_chunked(indices, weights, targets, &|part, indices, weights, targets| {
            if part.rank > 0 {
                let (columns, rows) = (first..first + part.rank, RowList::new(indices));
                let sums = part.results();
                kernels.accumulate_columns(fixed, columns, rows, weights, targets, sums, true);
            }
            // Clears the padding, which may contain sums over adjacent columns of `fixed`.
            part.rhs[part.rank..].fill(0.0);
            part.sums[part.rank..].fill(0.0);
            part.weight = weights.map_or(indices.len() as f64, |weights| sum(weights, |w| w));
            part.target = sum(targets, |t| t);
            part.at_zero = 0.0;
        });
    }

    /// Adds the `rank x rank` block of a symmetric matrix that starts at row and column `first`.
    pub fn add_matrix(&mut self, matrix: &Matrix, first: usize) {
        for i in 0..self.rank {
            let row = &matrix.row(first + i)[first..first + self.rank];
            for (sum, &value) in self.gram[i * self.n..].iter_mut().zip(row) {
                *sum += value;
            }
        }
    }

    /// Adds `rhs` to the right-hand side, and `target` to the bias's entry of it.
    pub fn add_right(&mut self, rhs: &[f32], target: f64) {
        for (sum, &value) in self.rhs.iter_mut().zip(rhs) {
            *sum += value;
        }
        self.target += target;
    }

    /// The vector `Σ w y`.
    #[must_use]
    pub fn sums(&self) -> &[f32] {
        &self.sums[..self.rank]
    }

    /// The right-hand side, without the bias's entry.
    #[must_use]
    pub fn right(&self) -> &[f32] {
        &self.rhs[..self.rank]
    }

    /// Writes both triangles of the `rank x rank` Gram matrix.
    pub fn write_symmetric(&self, matrix: &mut Matrix) {
        for i in 0..self.rank {
            for j in i..self.rank {
                let value = self.gram[i * self.n + j];
                matrix.row_mut(i)[j] = value;
                matrix.row_mut(j)[i] = value;
            }
        }
    }

    /// Adds another system of the same rank, except its objective at zero.
    pub fn add_system(&mut self, other: &Self) {
        let add = |to: &mut [f32], from: &[f32]| {
            for (sum, &value) in to.iter_mut().zip(from) {
                *sum += value;
            }
        };
        add(&mut self.gram, &other.gram);
        add(&mut self.rhs, &other.rhs);
        add(&mut self.sums, &other.sums);
        self.weight += other.weight;
        self.target += other.target;
    }

    /// Sets the bias's sums to zero.
    pub fn without_bias(&mut self) {
        self.sums.fill(0.0);
        (self.weight, self.target) = (0.0, 0.0);
    }

    /// Multiplies every sum by `factor`. The objective at zero stays the same.
    pub fn scale(&mut self, factor: f64) {
        for values in [&mut self.gram[..], &mut self.rhs[..], &mut self.sums[..]] {
            for value in values {
                *value = (f64::from(*value) * factor) as f32;
            }
        }
        self.weight *= factor;
        self.target *= factor;
    }

    /// The objective at the vector and bias, minus the objective at zero.
    ///
    /// This is `x̃·Ã x̃ − 2 g̃·x̃` with `x̃ = [x; b]` and the bordered matrix and
    /// right-hand side.
    #[must_use]
    pub fn value(&self, x: &[f32], bias: f32) -> f64 {
        let b = f64::from(bias);
        let mut value = b * (self.weight * b - 2.0 * self.target);
        for i in 0..self.rank {
            let xi = f64::from(x[i]);
            let right = &self.gram[i * self.n + i + 1..i * self.n + self.rank];
            let upper: f64 =
                right.iter().zip(&x[i + 1..]).map(|(&a, &x)| f64::from(a) * f64::from(x)).sum();
            let diagonal = f64::from(self.gram[i * self.n + i]);
            let border = f64::from(self.sums[i]) * b - f64::from(self.rhs[i]);
            value += xi * (diagonal * xi + 2.0 * (upper + border));
        }
        value
    }

    /// Adds `ridge` to the diagonal and `bias_ridge` to the bias's diagonal entry.
    pub fn add_ridge(&mut self, ridge: f32, bias_ridge: f64) {
        for i in 0..self.rank {
            self.gram[i * self.n + i] += ridge;
        }
        self.weight += bias_ridge;
    }
}

/// Computes `Σ of(v)` in double precision.
///
/// It uses eight lanes, because a single accumulator would wait for each addition.
#[must_use]
pub fn sum(values: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let mut groups = values.chunks_exact(8);
    for group in &mut groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane += of(f64::from(value));
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(groups.remainder()) {
        *lane += of(f64::from(value));
    }
    lanes.iter().sum()
}
