//! Kernels of dot products and scores.

use super::super::matrix::Matrix;
use super::checks::check_rows;
use super::dispatch::dispatch;
use super::kernels::Kernels;
use super::sizes::PANEL;

impl Kernels {
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

    /// `Σ xᵢ yᵢ` over the length of the shorter slice.
    #[must_use]
    pub fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        let len = x.len().min(y.len());
        dispatch!(self.level, dot(&x[..len], &y[..len]))
    }
}
