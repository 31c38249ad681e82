//! How one row's system is solved.

mod cholesky;

pub use cholesky::Cholesky;

use crate::linalg::{Matrix, NotPositiveDefinite, Solution};
use crate::objective::{Ridge, Shared};

/// One row's system, the other side fixed; see [`crate::objective`].
#[derive(Debug, Clone, Copy)]
pub struct RowProblem<'a> {
    /// The vectors of the other side.
    pub fixed: &'a Matrix,
    /// The row's cells: positions on the other side.
    pub indices: &'a [u32],
    /// Positions that the next row begins with: fetched ahead while this one is solved.
    pub following: &'a [u32],
    /// One weight per cell, or none if all are 1.
    pub weights: Option<&'a [f32]>,
    /// One (weighted) target per cell.
    pub targets: &'a [f32],
    /// What all rows share.
    pub shared: Option<&'a Shared>,
    /// The row's diagonal.
    pub ridge: Ridge,
}

/// Solves the system of one row.
pub trait Solver: Sync {
    /// Memory that a worker reuses from row to row.
    type Scratch: Send;

    /// Scratch for rows of `rank` unknowns.
    fn scratch(&self, rank: usize) -> Self::Scratch;

    /// Takes a row. Either solves it at once: writes its vector to `x` (which holds its previous value)
    /// and returns the rest of the solution. Or keeps it, and returns none, until
    /// [`Solver::finish`].
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] if the system has no unique solution even in double precision.
    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Self::Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite>;

    /// Whether the rows kept must be finished before another one is taken.
    fn is_full(&self, scratch: &Self::Scratch) -> bool;

    /// Solves the rows kept and hands each one's position among them, vector and solution to `done`.
    ///
    /// # Errors
    /// The position of the first row without a unique solution.
    fn finish(
        &self,
        scratch: &mut Self::Scratch,
        done: &mut dyn FnMut(usize, &[f32], Solution),
    ) -> Result<(), (usize, NotPositiveDefinite)>;
}
