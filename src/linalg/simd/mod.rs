//! Kernels for several instruction sets, chosen at run time. All unsafe code of the crate is here.
//!
//! Every kernel is written once, generic over a vector of 4, 8 or 16 lanes (`vector.rs`), and
//! compiled for each instruction set: portable, AVX2 with FMA, and AVX-512. [`Kernels`] is the safe
//! interface: it checks the bounds that the kernels rely on, and only offers instruction sets that
//! the processor has. Results differ between instruction sets in the last bits, but never between
//! runs on the same one.

#![allow(
    unsafe_code,
    reason = "intrinsics and in-place gathered rows; bounds are checked in Kernels"
)]
#![allow(
    clippy::inline_always,
    reason = "a kernel gets its instruction set from the function it is inlined into"
)]
#![allow(clippy::needless_range_loop, reason = "registers are indexed by row and column of a tile")]

mod buffer;
mod combine;
mod descend;
mod dots;
mod gram;
mod lanes;
mod level;
mod portable;
mod scores;
mod triangular;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use buffer::Buffer;
pub use descend::{Descent, DescentSide};
pub use level::Level;

use std::ops::Range;

use super::{Matrix, NotPositiveDefinite};

/// Rows of a [`Matrix`] are padded to a multiple of this many numbers.
pub const LANES: usize = 16;

/// Number of items per panel of [`Kernels::scores`], whose entries are stored side by side.
pub const PANEL: usize = 32;

/// Rows of Gram matrices and triangular factors are padded to a multiple of this many numbers.
pub(super) const BLOCK: usize = 8;

/// The kernels of one instruction set, which this processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    level: Level,
}

/// Calls the kernel `$name` that is compiled for the level `$level`.
macro_rules! dispatch {
    ($level:expr, $name:ident $(::<$($flag:literal),+>)? ($($arg:expr),*)) => {
        // SAFETY: a `Kernels` only has a level that `Level::available` found on this processor, and
        // the caller has checked the bounds that the kernel documents.
        unsafe {
            match $level {
                Level::Portable => portable::$name$(::<$($flag),+>)?($($arg),*),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => x86::avx2::$name$(::<$($flag),+>)?($($arg),*),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => x86::avx512::$name$(::<$($flag),+>)?($($arg),*),
                #[cfg(not(target_arch = "x86_64"))]
                Level::Avx2 | Level::Avx512 => portable::$name$(::<$($flag),+>)?($($arg),*),
            }
        }
    };
}

impl Kernels {
    /// The fastest kernels that this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        let level = Level::available().pop().unwrap_or(Level::Portable);
        Self { level }
    }

    /// The kernels of one level, or `None` if this processor does not have it.
    #[must_use]
    pub fn with_level(level: Level) -> Option<Self> {
        Level::available().contains(&level).then_some(Self { level })
    }

    /// The instruction set in use.
    #[must_use]
    pub const fn level(self) -> Level {
        self.level
    }

    /// Adds the sums of one row's cells to its normal equations.
    ///
    /// With the rows `yⱼ = fixed[indices[j]]` it adds `Σⱼ wⱼ yⱼ yⱼᵀ` to the upper
    /// triangle of `gram`, `Σⱼ tⱼ yⱼ` to `rhs` and `Σⱼ wⱼ yⱼ` to `sums`. With
    /// `overwrite` it replaces them instead. Without `weights` every `wⱼ` is 1.
    ///
    /// `rows` is `(indices, following)`; the rows `following` are only prefetched. The last three
    /// operands are `(gram, rhs, sums)`. With `n = cols` rounded up to a multiple of 8, `gram` is
    /// `n x n` row-major, and `rhs` and `sums` hold `n` numbers. Entries below the diagonal blocks
    /// are left unchanged, except that overwriting with no cells sets all of `gram` to zero. The
    /// padding receives zeros. The cost is `k (k + 1)` useful flops per cell for the Gram matrix
    /// and `4 k` for the vectors.
    ///
    /// # Panics
    /// If an index lies outside `fixed` or a length does not fit.
    pub fn accumulate(
        self,
        fixed: &Matrix,
        rows: (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
        sums: (&mut [f32], &mut [f32], &mut [f32]),
        overwrite: bool,
    ) {
        self.accumulate_columns(fixed, 0..fixed.cols(), rows, weights, targets, sums, overwrite);
    }

    /// [`Kernels::accumulate`] over a range of columns of `fixed`.
    ///
    /// If the number of columns is not a multiple of 8, the padding of the results receives sums
    /// over adjacent columns.
    ///
    /// # Panics
    /// If an index or a column lies outside `fixed`, or a length does not fit.
    #[expect(clippy::too_many_arguments, reason = "one row's operands and its results")]
    pub fn accumulate_columns(
        self,
        fixed: &Matrix,
        columns: Range<usize>,
        (indices, following): (&[u32], &[u32]),
        weights: Option<&[f32]>,
        targets: &[f32],
        (gram, rhs, sums): (&mut [f32], &mut [f32], &mut [f32]),
        overwrite: bool,
    ) {
        let n = columns.len().next_multiple_of(BLOCK);
        check_rows(fixed, indices);
        // Up to 7 numbers after the last row are read; they lie in the vector of zeros there.
        assert!(columns.start <= columns.end && columns.end <= fixed.cols(), "columns of `fixed`");
        assert!(targets.len() == indices.len(), "one target per cell");
        assert!(weights.is_none_or(|w| w.len() == indices.len()), "one weight per cell");
        assert!(
            holds_square(gram, n) && rhs.len() >= n && sums.len() >= n,
            "room for {n} unknowns"
        );
        let base = fixed.padded().get(columns.start..).unwrap_or_default();
        match weights {
            None => dispatch!(
                self.level,
                accumulate::<false>(
                    base,
                    fixed.stride(),
                    n,
                    (indices, following),
                    targets,
                    targets,
                    gram,
                    rhs,
                    sums,
                    overwrite
                )
            ),
            Some(weights) => dispatch!(
                self.level,
                accumulate::<true>(
                    base,
                    fixed.stride(),
                    n,
                    (indices, following),
                    weights,
                    targets,
                    gram,
                    rhs,
                    sums,
                    overwrite
                )
            ),
        }
    }

    /// Prefetches rows into the second-level cache. Positions outside `fixed` are ignored.
    pub fn prefetch(self, fixed: &Matrix, indices: &[u32]) {
        let rows = indices.iter().filter(|&&index| (index as usize) < fixed.rows());
        for &index in rows {
            let row = &fixed.padded()[index as usize * fixed.stride()..][..fixed.stride()];
            dispatch!(self.level, prefetch(row));
        }
    }

    /// Factorises the symmetric matrix in the upper triangle of `a` into `UᵀU`, in place.
    ///
    /// `a` is `n x n` and row-major, with `n` a multiple of 8. Every `b` is replaced by
    /// `U⁻ᵀ b`. Only the first `order` unknowns count. The diagonal of the result contains the
    /// reciprocals of the diagonal of `U`.
    ///
    /// The algorithm is left-looking by blocks of 8 rows. It takes `order³/3 + order²` flops with
    /// one `b`.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] with the first pivot that is not positive and finite.
    ///
    /// # Panics
    /// If `a` is smaller than `n x n`, a `b` is shorter than `n`, `n` is not a multiple of 8, or
    /// `order > n`.
    pub fn cholesky<const B: usize>(
        self,
        a: &mut [f32],
        n: usize,
        order: usize,
        b: [&mut [f32]; B],
    ) -> Result<(), NotPositiveDefinite> {
        assert!(n.is_multiple_of(BLOCK) && order <= n && holds_square(a, n), "an {n} x {n} matrix");
        assert!(b.iter().all(|b| b.len() >= n), "right-hand sides of {n} numbers");
        match dispatch!(self.level, cholesky(a, n, order, b)) {
            None => Ok(()),
            Some(pivot) => Err(NotPositiveDefinite { pivot }),
        }
    }

    /// Solves `U x = b` in place for the factor of [`Kernels::cholesky`].
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn solve(self, u: &[f32], n: usize, order: usize, b: &mut [f32]) {
        assert!(
            n.is_multiple_of(BLOCK) && order <= n && holds_square(u, n) && b.len() >= n,
            "lengths"
        );
        dispatch!(self.level, solve(u, n, order, b));
    }

    /// [`Kernels::cholesky`] of 16 matrices at once.
    ///
    /// `a` holds `rank x rank` vectors of [`LANES`] numbers, one number of each matrix. Every `b`
    /// holds `rank` such vectors. A pivot that is not positive leaves infinities or NaN in its own
    /// lane and does not affect the others.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn cholesky_lanes<const B: usize>(self, a: &mut [f32], rank: usize, b: [&mut [f32]; B]) {
        assert!(a.len() == rank * rank * LANES, "16 matrices of {rank} x {rank}");
        assert!(b.iter().all(|b| b.len() == rank * LANES), "16 right-hand sides of {rank}");
        dispatch!(self.level, cholesky_lanes(a, rank, b));
    }

    /// [`Kernels::solve`] for the factors of [`Kernels::cholesky_lanes`].
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn solve_lanes(self, u: &[f32], rank: usize, b: &mut [f32]) {
        assert!(u.len() == rank * rank * LANES && b.len() == rank * LANES, "lengths");
        dispatch!(self.level, solve_lanes(u, rank, b));
    }

    /// Writes the scores `biasᵢ + x · yᵢ` of some users for all items of `panels`.
    ///
    /// The users are the rows `rows` of `users`. `out` receives `biases.len()` numbers for each of
    /// them. `panels` stores the items in panels of [`PANEL`]: the first entry of all vectors of a
    /// panel, then the second entry of all of them, and so on. A score does not depend on the rows
    /// and panels it is computed with. The cost is `2 k` flops per score.
    ///
    /// # Panics
    /// If a row lies outside `users` or a length does not fit.
    pub fn scores(
        self,
        users: &Matrix,
        rows: &[u32],
        panels: &[f32],
        biases: &[f32],
        out: &mut [f32],
    ) {
        check_rows(users, rows);
        let width = biases.len();
        assert!(width.is_multiple_of(PANEL), "whole panels");
        assert!(panels.len() == width * users.cols() && out.len() >= rows.len() * width, "lengths");
        let (base, stride) = (users.padded(), users.stride());
        dispatch!(self.level, scores(base, stride, users.cols(), rows, panels, biases, out));
    }

    /// Appends the positions of the scores that are at least `threshold`, in order.
    pub fn at_least(self, scores: &[f32], threshold: f32, found: &mut Vec<u32>) {
        dispatch!(self.level, at_least(scores, threshold, found));
    }

    /// Counts the scores above a reference, and those equal to it.
    #[must_use]
    pub fn count(self, scores: &[f32], reference: f32) -> (u32, u32) {
        dispatch!(self.level, count(scores, reference))
    }

    /// Writes `x · yⱼ` to `out` for the rows `indices` of `fixed`.
    ///
    /// # Panics
    /// If an index lies outside `fixed`, `x` is shorter than a row, or `out` is shorter than
    /// `indices`.
    pub fn dots(self, x: &[f32], fixed: &Matrix, indices: &[u32], out: &mut [f32]) {
        check_rows(fixed, indices);
        assert!(x.len() >= fixed.cols() && out.len() >= indices.len(), "lengths");
        dispatch!(
            self.level,
            dots(&x[..fixed.cols()], fixed.padded(), fixed.stride(), indices, out)
        );
    }

    /// [`Kernels::dots`] over the columns `first..first + x.len()` of `fixed`.
    ///
    /// # Panics
    /// If an index or a column lies outside `fixed`, or `out` is shorter than `indices`.
    pub fn dots_columns(
        self,
        x: &[f32],
        fixed: &Matrix,
        first: usize,
        indices: &[u32],
        out: &mut [f32],
    ) {
        check_rows(fixed, indices);
        let fits = first.checked_add(x.len()).is_some_and(|end| end <= fixed.cols());
        assert!(fits && out.len() >= indices.len(), "lengths");
        let base = fixed.padded().get(first..).unwrap_or_default();
        dispatch!(self.level, dots(x, base, fixed.stride(), indices, out));
    }

    /// Adds `Σⱼ cⱼ yⱼ` to `out` and returns `Σⱼ cⱼ`, for the rows `yⱼ` of `fixed` at
    /// `indices`.
    ///
    /// The shifted products `sⱼ = x · yⱼ + shift` are written to `dots`. The coefficient is
    /// `cⱼ = tⱼ − wⱼ sⱼ` with `targets`, otherwise `cⱼ = wⱼ sⱼ`. Without `weights`
    /// every `wⱼ` is 1.
    ///
    /// `x` and `out` are as long as a padded row of `fixed`, and the padding of `x` is zero. The
    /// cost is `4 k` flops per row. This multiplies by `Σ w y yᵀ` without forming it.
    ///
    /// # Panics
    /// If an index lies outside `fixed` or a length does not fit.
    #[expect(clippy::too_many_arguments, reason = "one row's operands and its results")]
    pub fn combine(
        self,
        (x, shift): (&[f32], f32),
        fixed: &Matrix,
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: Option<&[f32]>,
        dots: &mut [f32],
        out: &mut [f32],
    ) -> f32 {
        check_rows(fixed, indices);
        let (stride, base) = (fixed.stride(), fixed.padded());
        assert!(x.len() == stride && out.len() == stride, "vectors of {stride} numbers");
        let len = indices.len();
        assert!(dots.len() >= len && weights.is_none_or(|w| w.len() >= len), "one per cell");
        assert!(targets.is_none_or(|t| t.len() >= len), "one target per cell");
        let dots = &mut dots[..len];
        let (w, t) = (weights.unwrap_or_default(), targets.unwrap_or_default());
        let x = (x, shift);
        match (weights.is_some(), targets.is_some()) {
            (false, false) => {
                dispatch!(
                    self.level,
                    combine::<false, false>(x, base, stride, indices, w, t, dots, out)
                )
            }
            (false, true) => {
                dispatch!(
                    self.level,
                    combine::<false, true>(x, base, stride, indices, w, t, dots, out)
                )
            }
            (true, false) => {
                dispatch!(
                    self.level,
                    combine::<true, false>(x, base, stride, indices, w, t, dots, out)
                )
            }
            (true, true) => {
                dispatch!(
                    self.level,
                    combine::<true, true>(x, base, stride, indices, w, t, dots, out)
                )
            }
        }
    }

    /// Takes one gradient step per cell, in order, and returns the weighted sum of squared errors.
    ///
    /// A step follows the gradient of `½ w (t − x·y − b − c)²` plus the regularisation of
    /// each side. The errors in the sum are those before each step. The vectors change by
    /// `x ← (x + η w e y) / (1 + η λ)`, and `y` likewise, with `η = rate / √sum`. Each sum
    /// grows by `growth` times the squares of `w e y − λ x`. The cost is `14 k` flops per cell.
    ///
    /// # Panics
    /// If a position lies outside a side, `stride` is not a multiple of [`LANES`], or lengths
    /// differ.
    #[must_use]
    pub fn descend(
        self,
        step: &Descent,
        stride: usize,
        (users, items): (&[u32], &[u32]),
        (targets, weights): (&[f32], Option<&[f32]>),
        user: DescentSide<'_>,
        item: DescentSide<'_>,
    ) -> f64 {
        let len = users.len();
        assert!(items.len() == len && targets.len() == len, "one of each per cell");
        assert!(weights.is_none_or(|w| w.len() == len), "one weight per cell");
        assert!(stride.is_multiple_of(LANES), "padded rows");
        assert!(user.holds(stride, users) && item.holds(stride, items), "positions of the sides");
        let values = (targets, weights.unwrap_or_default());
        dispatch!(self.level, descend(step, stride, (users, items), values, user, item))
    }

    /// `Σ xᵢ yᵢ` over the length of the shorter slice.
    #[must_use]
    pub fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        let len = x.len().min(y.len());
        dispatch!(self.level, dot(&x[..len], &y[..len]))
    }
}

/// Whether a slice holds `n x n` numbers. If the product overflows, it does not.
fn holds_square(values: &[f32], n: usize) -> bool {
    n.checked_mul(n).is_some_and(|needed| values.len() >= needed)
}

fn check_rows(fixed: &Matrix, indices: &[u32]) {
    let largest = indices.iter().copied().fold(0, u32::max) as usize;
    assert!(indices.is_empty() || largest < fixed.rows(), "row {largest} of {}", fixed.rows());
}

#[cfg(test)]
mod tests;
