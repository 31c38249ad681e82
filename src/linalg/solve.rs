//! Solves normal equations, or draws around their solution.

use super::cholesky::solve_bordered;
use super::dense64::solve_bordered_f64;
use super::failure::NotPositiveDefinite;
use super::normal::{NormalEquations, Solution};
use super::simd::Kernels;

impl NormalEquations {
    /// Solves for the vector (written to `x`) and, with `with_bias`, the bias. Overwrites the sums.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`]. The caller may then try [`NormalEquations::solve_f64`] on fresh
    /// sums.
    pub fn solve(
        &mut self,
        kernels: Kernels,
        with_bias: bool,
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered(self, kernels, with_bias, None, x)
    }

    /// Draws the vector (written to `x`) and, with `with_bias`, the bias. Overwrites the sums.
    ///
    /// The draw comes from the normal distribution around the solution whose covariance is `σ²`
    /// times the inverse of the matrix. `noise` holds one independent draw of variance `σ²` per
    /// unknown, with the bias's last.
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

    /// [`NormalEquations::draw`] in double precision, without overwriting the sums.
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

    /// [`NormalEquations::solve`] in double precision, without overwriting the sums.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] if a pivot is not positive and finite even in double precision.
    pub fn solve_f64(
        &self,
        with_bias: bool,
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        solve_bordered_f64(self, with_bias, None, x)
    }
}
