//! Solvers for the linear system of one row.

mod cholesky;
mod conjugate;
mod gibbs;
mod nonnegative;
mod shared_covariance;
mod subspace;
mod variational;

pub(crate) use cholesky::Cholesky;
pub(crate) use conjugate::ConjugateGradient;
pub(crate) use gibbs::Gibbs;
pub(crate) use nonnegative::Nonnegative;
pub(crate) use shared_covariance::{Classes, Expected, SharedCovariance};
pub(crate) use subspace::Subspace;
pub(crate) use variational::{RowLayout, Variational};

use crate::linalg::simd::{Kernels, RowList};
use crate::linalg::{Dense, Done, Matrix, NormalEquations, NotPositiveDefinite, Solution};
use crate::objective::Ridge;

/// The system of one row, with the other side fixed; see [`crate::objective`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowProblem<'a> {
    /// Position of the row on its side.
    pub row: usize,
    /// The vectors of the other side.
    pub fixed: &'a Matrix,
    /// Positions of the row's cells on the other side.
    pub indices: &'a [u32],
    /// Positions of the next row's cells. Solvers prefetch their vectors while they solve this row.
    pub following: &'a [u32],
    /// One weight per cell, or `None` if all are 1.
    pub weights: Option<&'a [f32]>,
    /// One (weighted) target per cell.
    pub targets: &'a [f32],
    /// The part of the system that all rows share.
    pub shared: Option<&'a Shared>,
    /// The diagonal (ridge) of the row.
    pub ridge: Ridge,
    /// The value of the objective where vector and bias are zero.
    pub at_zero: f64,
    /// The previous value of the bias.
    pub bias: f32,
}

/// The part of the system that all rows of a side share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// `G` and `g₀`, including the entries of the bias.
    pub system: NormalEquations,
    /// `G` for the entries of the vector, both triangles (`rank x rank`).
    pub matrix: Matrix,
    /// Whether the right-hand side and the entries of the bias are all zero.
    pub plain: bool,
    /// All row numbers of `matrix`, `0..rank`.
    pub rows: Vec<u32>,
}

impl Shared {
    /// Stores the system in both forms.
    #[must_use]
    pub(crate) fn new(system: NormalEquations) -> Self {
        let rank = system.rank();
        let rows = (0..rank as u32).collect();
        let (dense, right) = system.to_dense(true);
        let border = dense.iter().skip(rank).step_by(rank + 1);
        let plain = border.chain(&right).all(|&v| v == 0.0);
        let mut matrix = Matrix::zeros(system.rank(), system.rank());
        system.write_symmetric(&mut matrix);
        Self { system, matrix, plain, rows }
    }
}

impl RowProblem<'_> {
    /// Writes the whole system of the row: cells, shared part and ridge. Costs `n k (k + 1)` flops
    /// for `n` cells at rank `k`.
    pub(crate) fn assemble(&self, kernels: Kernels, system: &mut NormalEquations) {
        let rows = RowList { indices: self.indices, following: self.following };
        system.set_all(kernels, self.fixed, rows, self.weights, self.targets);
        if let Some(shared) = self.shared {
            system.add_system(&shared.system);
        }
        system.add_ridge(self.ridge.vector, self.ridge.bias.unwrap_or(0.0));
        system.set_at_zero(self.at_zero);
    }

    /// Solves the row with sums in double precision: for a row whose sums in single precision have
    /// no solution.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`].
    pub(crate) fn solve_dense(&self, x: &mut [f32]) -> Result<Solution, NotPositiveDefinite> {
        let rank = self.fixed.cols();
        let shared = self.shared.map(|shared| &shared.system);
        let mut system = Dense::new(rank, self.with_bias(), shared);
        for (at, (&index, &target)) in self.indices.iter().zip(self.targets).enumerate() {
            let weight = self.weights.map_or(1.0, |weights| weights[at]);
            system.add(self.fixed.row(index as usize), weight, target);
        }
        system.add_ridge(self.ridge.vector, self.ridge.bias.unwrap_or(0.0));
        system.solve(self.at_zero, x)
    }

    /// Whether a bias is fitted.
    #[must_use]
    pub(crate) const fn with_bias(&self) -> bool {
        self.ridge.bias.is_some()
    }
}

/// Solves the system of one row.
pub(crate) trait Solver: Sync {
    /// Memory that a worker reuses from row to row.
    type Scratch: Send;

    /// Creates the scratch memory for rows of `rank` unknowns.
    fn scratch(&self, rank: usize) -> Self::Scratch;

    /// Solves a row at once, or keeps it for later.
    ///
    /// A solver that solves at once writes the vector to `x`, which holds the previous value, and
    /// returns the rest of the solution. A solver that keeps the row returns `None` and solves it
    /// in [`Solver::finish`].
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] if the system, which is summed in single precision, has no unique
    /// solution. A solver that factorises in single precision tries again in double precision
    /// first.
    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Self::Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite>;

    /// Whether the solution is that of the row's normal equations, so that
    /// [`RowProblem::solve_dense`] may take over a row that fails.
    fn is_plain(&self) -> bool {
        false
    }

    /// Whether the kept rows must be finished before another row is passed.
    fn is_full(&self, _scratch: &Self::Scratch) -> bool {
        false
    }

    /// Solves the kept rows. Passes the position of each row among them, its vector and its
    /// solution, or why it has no unique one, to `done`. Most solvers keep no rows.
    fn finish(&self, _scratch: &mut Self::Scratch, _done: &mut Done<'_>) {}
}
