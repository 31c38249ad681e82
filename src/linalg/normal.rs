//! The normal equations of one row, with an optional bias as one more unknown.

use super::simd::{BLOCK, Buffer, Kernels};
use super::{Matrix, NotPositiveDefinite, solve_bordered, solve_bordered_f64};

/// Rows with more cells than this are summed in chunks of this many, folded in double precision.
pub const CHUNK: usize = 8192;

/// Below this share of `Σ t²/w` the minimum has lost its digits to cancellation.
const LEFT_OVER: f64 = 1e-2;

/// The solution of one row's system, beside its vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    /// The bias; 0 where none is fitted.
    pub bias: f32,
    /// What the row's objective comes to at the solution, `Σ w (t/w − x·y − b)²` and the ridge terms;
    /// none where it cannot be told from the sums (too little is left of `Σ t²/w`).
    pub minimum: Option<f64>,
}

impl Solution {
    /// `Σ t²/w` less what the solution explains: the squared length of `U⁻ᵀ` times the right side.
    pub(super) fn new(bias: f32, squares: f64, explained: f64) -> Self {
        let minimum = squares - explained;
        Self { bias, minimum: (minimum > squares * LEFT_OVER).then_some(minimum) }
    }
}

/// The system of one row, `[A a; aᵀ d] [x; b] = [g; h]`:
///
/// - `A = Σ w y yᵀ` (`rank x rank`, upper triangle), `a = Σ w y`, `d = Σ w`;
/// - `g = Σ t y`, `h = Σ t`, and `Σ t²/w` for the value of the minimum;
///
/// over the row's cells, `y` the fixed side's vector, `w` the weight, `t` the weighted target.
/// Without a bias only `A x = g` is used. The border is eliminated by its Schur complement, so that
/// the matrix stays `rank x rank`.
#[derive(Debug, Clone)]
pub struct NormalEquations {
    rank: usize,
    n: usize,
    pub(super) gram: Buffer,
    pub(super) rhs: Buffer,
    pub(super) sums: Buffer,
    pub(super) weight: f64,
    pub(super) target: f64,
    pub(super) squares: f64,
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
            squares: 0.0,
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
        self.squares = 0.0;
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
        (self.weight, self.target, self.squares) = (0.0, 0.0, 0.0);
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
        match weights {
            None => {
                self.weight += rows.0.len() as f64;
                self.squares += sum(targets, |t| t * t);
            }
            Some(weights) => {
                self.weight += sum(weights, |w| w);
                let squares = targets.iter().zip(weights);
                self.squares +=
                    squares.map(|(&t, &w)| f64::from(t).powi(2) / f64::from(w)).sum::<f64>();
            }
        }
        self.target += sum(targets, |t| t);
    }

    /// Adds several parts to these sums, in double precision, in their order.
    pub fn fold(&mut self, parts: &[Self]) {
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
        self.squares += parts.iter().map(|p| p.squares).sum::<f64>();
    }

    /// Adds what all rows share: a symmetric matrix (stored like the Gram matrix) and a right side.
    pub fn add_shared(&mut self, matrix: &[f32], rhs: Option<&[f32]>) {
        for (sum, &value) in self.gram.iter_mut().zip(matrix) {
            *sum += value;
        }
        for (sum, &value) in self.rhs.iter_mut().zip(rhs.unwrap_or_default()) {
            *sum += value;
        }
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
        solve_bordered(self, kernels, with_bias, x)
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
        solve_bordered_f64(self, with_bias, x)
    }
}

/// A sum in double precision, in eight lanes: one alone would wait for each addition.
fn sum(values: &[f32], of: impl Fn(f64) -> f64) -> f64 {
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
