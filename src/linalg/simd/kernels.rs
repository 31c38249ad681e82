//! The kernels of one instruction set: sums over the cells of a row.

use std::ops::Range;

use super::super::matrix::Matrix;
use super::checks::{check_rows, holds_square};
use super::descend::{Descent, DescentSide};
use super::dispatch::dispatch;
use super::level::Level;
use super::operands::{DescentCells, RowList, RowSums, Shifted};
use super::sizes::{BLOCK, LANES};

/// The kernels of one instruction set, which this processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    pub(super) level: Level,
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
    /// With `n = cols` rounded up to a multiple of 8, `gram` is
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
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
        sums: RowSums<'_>,
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
        rows: RowList<'_>,
        weights: Option<&[f32]>,
        targets: &[f32],
        results: RowSums<'_>,
        overwrite: bool,
    ) {
        let n = columns.len().next_multiple_of(BLOCK);
        let (indices, RowSums { gram, rhs, sums }) = (rows.indices, results);
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
                    rows,
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
                    rows,
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
        from: Shifted<'_>,
        fixed: &Matrix,
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: Option<&[f32]>,
        dots: &mut [f32],
        out: &mut [f32],
    ) -> f32 {
        check_rows(fixed, indices);
        let (stride, base) = (fixed.stride(), fixed.padded());
        assert!(from.x.len() == stride && out.len() == stride, "vectors of {stride} numbers");
        let len = indices.len();
        assert!(dots.len() >= len && weights.is_none_or(|w| w.len() >= len), "one per cell");
        assert!(targets.is_none_or(|t| t.len() >= len), "one target per cell");
        let dots = &mut dots[..len];
        let (w, t) = (weights.unwrap_or_default(), targets.unwrap_or_default());
        match (weights.is_some(), targets.is_some()) {
            (false, false) => {
                dispatch!(
                    self.level,
                    combine::<false, false>(from, base, stride, indices, w, t, dots, out)
                )
            }
            (false, true) => {
                dispatch!(
                    self.level,
                    combine::<false, true>(from, base, stride, indices, w, t, dots, out)
                )
            }
            (true, false) => {
                dispatch!(
                    self.level,
                    combine::<true, false>(from, base, stride, indices, w, t, dots, out)
                )
            }
            (true, true) => {
                dispatch!(
                    self.level,
                    combine::<true, true>(from, base, stride, indices, w, t, dots, out)
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
        cells: DescentCells<'_>,
        user: DescentSide<'_>,
        item: DescentSide<'_>,
    ) -> f64 {
        let DescentCells { users, items, targets, weights } = cells;
        let len = users.len();
        assert!(items.len() == len && targets.len() == len, "one of each per cell");
        assert!(weights.is_none_or(|w| w.len() == len), "one weight per cell");
        assert!(stride.is_multiple_of(LANES), "padded rows");
        assert!(user.holds(stride, users) && item.holds(stride, items), "positions of the sides");
        dispatch!(self.level, descend(step, stride, cells, user, item))
    }
}
