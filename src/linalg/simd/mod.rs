//! Kernels for one instruction set each, chosen once at run time. The only unsafe code of the crate.
//!
//! Every kernel is written once, generic over a vector of 4, 8 or 16 lanes (`vector.rs`), and
//! compiled for each instruction set: portable, AVX2 with FMA, AVX-512. [`Kernels`] is the safe door:
//! it checks the bounds that the kernels rely on, and only hands out instruction sets the processor
//! has. Results differ between instruction sets in the last bits, never between runs on the same one.

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

/// Items whose entries lie side by side in [`Kernels::scores`].
pub const PANEL: usize = 32;

/// Rows of Gram matrices and triangular factors are padded to a multiple of this many numbers.
pub(super) const BLOCK: usize = 8;

/// The kernels of one instruction set that this processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    level: Level,
}

/// Calls `kernels::$name` compiled for the level in hand.
macro_rules! dispatch {
    ($level:expr, $name:ident $(::<$($flag:literal),+>)? ($($arg:expr),*)) => {
        // SAFETY: a `Kernels` only holds a level that `Level::available` found on this processor,
        // and the caller has checked the bounds that the kernel documents.
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

    /// Kernels of one level, or none if this processor does not have it.
    #[must_use]
    pub fn with_level(level: Level) -> Option<Self> {
        Level::available().contains(&level).then_some(Self { level })
    }

    /// The instruction set in use.
    #[must_use]
    pub const fn level(self) -> Level {
        self.level
    }

    /// Adds `Σⱼ wⱼ yⱼ yⱼᵀ` to the upper triangle of `gram`, `Σⱼ tⱼ yⱼ` to `rhs` and `Σⱼ wⱼ yⱼ` to
    /// `sums` (or replaces them, with `overwrite`), where the `yⱼ` are the rows `indices` of `fixed`;
    /// `wⱼ` is 1 where `weights` is absent.
    ///
    /// With `n = cols` rounded up to 8, `gram` is `n x n` row-major, `rhs` and `sums` hold `n`
    /// numbers. The rows `following` are only fetched ahead. Entries below the diagonal blocks are
    /// left alone and padding receives zeros.
    /// Cost: `k (k + 1)` useful flops per row for the Gram matrix and `4 k` for the vectors.
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

    /// [`Kernels::accumulate`] over some columns of `fixed` alone. Where their number is no multiple of
    /// 8, the sums' padding is left with whatever lies beside them.
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
        // Up to 7 numbers behind the last row are read: the vector of zeros there.
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

    /// Asks for rows to be fetched into the second-level cache. Positions outside `fixed` are ignored.
    pub fn prefetch(self, fixed: &Matrix, indices: &[u32]) {
        let rows = indices.iter().filter(|&&index| (index as usize) < fixed.rows());
        for &index in rows {
            let row = &fixed.padded()[index as usize * fixed.stride()..][..fixed.stride()];
            dispatch!(self.level, prefetch(row));
        }
    }

    /// Factorises the symmetric matrix in the upper triangle of `a` (`n x n`, row-major, `n` a
    /// multiple of 8) into `UᵀU`, and replaces every `b` by `U⁻ᵀ b`, in place; only the first `order`
    /// unknowns count. The diagonal holds the reciprocals of `U`'s.
    ///
    /// Left-looking by blocks of 8 rows; `order³/3 + order²` flops with one `b`.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] with the first pivot that is not positive and finite.
    ///
    /// # Panics
    /// If `a` is smaller than `n x n` or a `b` than `n`, `n` is no multiple of 8, or `order > n`.
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

    /// [`Kernels::cholesky`] of 16 matrices at once: `a` holds `rank x rank` vectors of [`LANES`]
    /// numbers, one of each matrix, every `b` holds `rank` such vectors. A pivot that is not positive
    /// leaves infinities or NaN in its lane and harms no other.
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

    /// Writes `biasᵢ + x · yᵢ` for the rows `rows` of `users` against all items of `panels`, a row of
    /// `biases.len()` numbers of `out` for each.
    ///
    /// `panels` holds, for every [`PANEL`] items, entry by entry of the vectors, the entry of each of them.
    /// A score is the same whichever rows and panels it is computed with. `2 k` flops per score.
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

    /// Appends the positions of the scores that are at least a threshold, in order.
    pub fn at_least(self, scores: &[f32], threshold: f32, found: &mut Vec<u32>) {
        dispatch!(self.level, at_least(scores, threshold, found));
    }

    /// How many scores are above a reference, and how many equal it.
    #[must_use]
    pub fn count(self, scores: &[f32], reference: f32) -> (u32, u32) {
        dispatch!(self.level, count(scores, reference))
    }

    /// Writes `x · yⱼ` to `out` for the rows `indices` of `fixed`.
    ///
    /// # Panics
    /// If an index lies outside `fixed`, `x` is shorter than a row, or `out` than `indices`.
    pub fn dots(self, x: &[f32], fixed: &Matrix, indices: &[u32], out: &mut [f32]) {
        check_rows(fixed, indices);
        assert!(x.len() >= fixed.cols() && out.len() >= indices.len(), "lengths");
        dispatch!(
            self.level,
            dots(&x[..fixed.cols()], fixed.padded(), fixed.stride(), indices, out)
        );
    }

    /// Writes to `dots` what [`Kernels::dots`] gives, for `x` against the columns of `fixed` from
    /// `first` on.
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

    /// Adds `Σⱼ cⱼ yⱼ` to `out` and returns `Σⱼ cⱼ`, where the `yⱼ` are the rows `indices` of `fixed`,
    /// `sⱼ = x · yⱼ + shift` (written to `dots`) and `cⱼ = wⱼ sⱼ`, or `tⱼ − wⱼ sⱼ` where there are
    /// `targets`; `wⱼ` is 1 where `weights` is absent.
    ///
    /// `x` and `out` are as long as a padded row of `fixed`, with zeros in the padding of `x`. `4 k` flops per row: a product with
    /// `Σ w y yᵀ` that does not form it.
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

    /// One step of gradient descent for every cell in turn, on `½ w (t − x·y − b − c)²` and each side's
    /// regularisation; the weighted squares of the errors that were met, summed.
    ///
    /// `x ← (x + η w e y) / (1 + η λ)`, `y` likewise, with `η = rate / √sum`; a sum grows by `growth` times
    /// the squares of `w e y − λ x`. `14 k` flops a cell.
    ///
    /// # Panics
    /// If a position lies outside a side, or lengths differ.
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

    /// `Σ xᵢ yᵢ` over the shorter of the two.
    #[must_use]
    pub fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        let len = x.len().min(y.len());
        dispatch!(self.level, dot(&x[..len], &y[..len]))
    }
}

/// Whether a slice holds `n x n` numbers; a product that overflows fits nowhere.
fn holds_square(values: &[f32], n: usize) -> bool {
    n.checked_mul(n).is_some_and(|needed| values.len() >= needed)
}

fn check_rows(fixed: &Matrix, indices: &[u32]) {
    let largest = indices.iter().copied().fold(0, u32::max) as usize;
    assert!(indices.is_empty() || largest < fixed.rows(), "row {largest} of {}", fixed.rows());
}

#[cfg(test)]
mod tests;
