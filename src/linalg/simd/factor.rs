//! Kernels that factorise and solve the system of a row.

use super::super::failure::NotPositiveDefinite;
use super::checks::holds_square;
use super::dispatch::dispatch;
use super::kernels::Kernels;
use super::sizes::{BLOCK, LANES};

impl Kernels {
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
}
