//! The normal equations of one row, with an optional bias as one more unknown.

use rayon::prelude::*;

use super::simd::{BLOCK, Buffer, Kernels};
use super::{Matrix, NotPositiveDefinite, solve_bordered, solve_bordered_f64};

/// Rows with more cells than this are summed in chunks of this many, folded in double precision.
pub const CHUNK: usize = 8192;

/// Chunks of a long row that are summed at the same time: bounds the memory of their partial sums.
const CHUNKS_AT_ONCE: usize = 16;

/// Below this share of its value at zero the minimum has lost its digits to cancellation.
const LEFT_OVER: f64 = 1e-2;

/// Sets the sums of some cells: positions, weights and targets.
type Set<'s> = dyn Fn(&mut NormalEquations, &[u32], Option<&[f32]>, &[f32]) + Sync + 's;

/// The solution of one row's system, beside its vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    /// The bias; 0 where none is fitted.
    pub bias: f32,
    /// What the row's objective comes to at the solution, ridge and shared terms included; none where
    /// it cannot be told from the sums (too little is left of its value at zero).
    pub minimum: Option<f64>,
}

impl Solution {
    /// The objective's value at zero less what the solution explains, `2 g·x − x·A x`.
    #[must_use]
    pub fn new(bias: f32, at_zero: f64, explained: f64) -> Self {
        let minimum = at_zero - explained;
        Self { bias, minimum: (minimum > at_zero * LEFT_OVER).then_some(minimum) }
    }
}

/// The system of one row, `[A a; aᵀ d] [x; b] = [g; h]`:
///
/// - `A = Σ w y yᵀ` (`rank x rank`, upper triangle), `a = Σ w y`, `d = Σ w`;
/// - `g = Σ t y`, `h = Σ t`, and the objective's value at zero, for the value of the minimum;
///
/// over the row's cells, `y` the fixed side's vector, `w` the weight, `t` the weighted target.
/// Without a bias only `A x = g` is used. The border is eliminated by its Schur complement, so that
/// the matrix stays `rank x rank`.
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
    /// Room for systems of `rank` unknowns and a bias.
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

    /// The identity with a right-hand side of zeros.
    pub(super) fn identity(rank: usize) -> Self {
        let mut system = Self::new(rank);
        system.add_ridge(1.0, 1.0);
        system
    }

    /// Number of unknowns without the bias.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Distance between two rows of the Gram matrix (`rank` rounded up to 8).
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.n
    }

    /// The Gram matrix; only its upper triangle counts.
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

    /// Tells what the row's objective is where vector and bias are zero.
    pub const fn set_at_zero(&mut self, value: f64) {
        self.at_zero = value;
    }

    /// Replaces the sums by those of some cells, as [`NormalEquations::reset`] and then
    /// [`NormalEquations::accumulate`] would, without writing the zeros first.
    pub fn set(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        (self.weight, self.target, self.at_zero) = (0.0, 0.0, 0.0);
        self.add(kernels, fixed, rows, weights, targets, true);
    }

    /// Adds the cells of one row: the vectors `indices` of `fixed`, their weights (1 where absent)
    /// and weighted targets. At most [`CHUNK`] cells keep single precision honest. The vectors
    /// `following` are not added but fetched ahead, for the next call.
    pub fn accumulate(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.add(kernels, fixed, rows, weights, targets, false);
    }

    fn add(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        rows: (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
        overwrite: bool,
    ) {
        debug_assert_eq!(fixed.cols(), self.rank, "rank of the fixed side");
        if self.rank > 0 {
            let sums = (&mut self.gram[..], &mut self.rhs[..], &mut self.sums[..]);
            kernels.accumulate(fixed, rows, weights, targets, sums, overwrite);
        }
        self.weight += weights.map_or(rows.0.len() as f64, |weights| sum(weights, |w| w));
        self.target += sum(targets, |t| t);
    }

    /// Replaces the sums by those of any number of cells: more than [`CHUNK`] are summed in chunks of
    /// fixed length, in parallel, and folded in their order in double precision.
    pub fn set_all(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        (indices, following): (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.set_chunked(indices, weights, targets, &|part, indices, weights, targets| {
            part.set(kernels, fixed, (indices, following), weights, targets);
        });
    }

    /// Sets the sums at once, or of many cells in chunks.
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

    /// Adds several parts to these sums, in double precision, in their order.
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

    /// Replaces the sums by those over some columns of `fixed`, as many as the rank, from `first` on; many
    /// cells as in [`NormalEquations::set_all`].
    pub fn set_columns(
        &mut self,
        kernels: Kernels,
        (fixed, first): (&Matrix, usize),
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: &[f32],
    ) {
        self.set_chunked(indices, weights, targets, &|part, indices, weights, targets| {
            if part.rank > 0 {
                let sums = (&mut part.gram[..], &mut part.rhs[..], &mut part.sums[..]);
                let (columns, rows) = (first..first + part.rank, (indices, &[][..]));
                kernels.accumulate_columns(fixed, columns, rows, weights, targets, sums, true);
            }
            // What lies beside the columns is none of theirs.
            part.rhs[part.rank..].fill(0.0);
            part.sums[part.rank..].fill(0.0);
            part.weight = weights.map_or(indices.len() as f64, |weights| sum(weights, |w| w));
            part.target = sum(targets, |t| t);
            part.at_zero = 0.0;
        });
    }

    /// Adds a symmetric matrix's entries: its rows and columns from `first` on.
    pub fn add_matrix(&mut self, matrix: &Matrix, first: usize) {
        for i in 0..self.rank {
            let row = &matrix.row(first + i)[first..first + self.rank];
            for (sum, &value) in self.gram[i * self.n..].iter_mut().zip(row) {
                *sum += value;
            }
        }
    }

    /// Adds to the right-hand side, the bias's last.
    pub fn add_right(&mut self, rhs: &[f32], target: f64) {
        for (sum, &value) in self.rhs.iter_mut().zip(rhs) {
            *sum += value;
        }
        self.target += target;
    }

    /// `Σ w y`.
    #[must_use]
    pub fn sums(&self) -> &[f32] {
        &self.sums[..self.rank]
    }

    /// The right-hand side.
    #[must_use]
    pub fn right(&self) -> &[f32] {
        &self.rhs[..self.rank]
    }

    /// Writes the whole symmetric matrix of the vector's unknowns, `rank x rank`.
    pub fn write_symmetric(&self, matrix: &mut Matrix) {
        for i in 0..self.rank {
            for j in i..self.rank {
                let value = self.gram[i * self.n + j];
                matrix.row_mut(i)[j] = value;
                matrix.row_mut(j)[i] = value;
            }
        }
    }

    /// Adds another system of the same rank (its value at zero excepted).
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

    /// Forgets the bias's sums.
    pub fn without_bias(&mut self) {
        self.sums.fill(0.0);
        (self.weight, self.target) = (0.0, 0.0);
    }

    /// Multiplies every sum by `factor`.
    pub fn scale(&mut self, factor: f64) {
        for values in [&mut self.gram[..], &mut self.rhs[..], &mut self.sums[..]] {
            for value in values {
                *value = (f64::from(*value) * factor) as f32;
            }
        }
        self.weight *= factor;
        self.target *= factor;
    }

    /// `x̃·A x̃ − 2 g·x̃` for the vector and bias: the objective less its value at zero.
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

    /// Solves for the vector (written to `x`) and, if `with_bias`, the bias. The sums are used up.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`]; the caller may then try [`NormalEquations::solve_f64`] on fresh sums.
    pub fn solve(
        &mut self,
        kernels: Kernels,
        with_bias: bool,
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered(self, kernels, with_bias, None, x)
    }

    /// Draws the vector (written to `x`) and, if `with_bias`, the bias from the normal distribution
    /// around the solution, from independent draws of variance `σ²` (one per unknown, the bias's last):
    /// its covariance is `σ²` times the inverse of the matrix. The sums are used up.
    ///
    /// # Errors
    /// As [`NormalEquations::solve`].
    pub fn draw(
        &mut self,
        kernels: Kernels,
        with_bias: bool,
        noise: &[f32],
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered(self, kernels, with_bias, Some(noise), x)
    }

    /// [`NormalEquations::draw`] in double precision, without using up the sums.
    ///
    /// # Errors
    /// As [`NormalEquations::solve_f64`].
    pub fn draw_f64(
        &self,
        with_bias: bool,
        noise: &[f32],
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered_f64(self, with_bias, Some(noise), x)
    }

    /// [`NormalEquations::solve`] in double precision, without using up the sums.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] if even double precision finds a pivot that is not positive.
    pub fn solve_f64(
        &self,
        with_bias: bool,
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered_f64(self, with_bias, None, x)
    }
}

/// `Σ of(v)` in double precision, in eight lanes: one alone would wait for each addition.
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
