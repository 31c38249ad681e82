//! How one row's system is solved.

mod cholesky;
mod conjugate;
mod gibbs;
mod nonnegative;
mod shared_covariance;
mod subspace;
mod variational;

pub use cholesky::Cholesky;
pub use conjugate::ConjugateGradient;
pub use gibbs::Gibbs;
pub use nonnegative::Nonnegative;
pub use shared_covariance::{Classes, Expected, SharedCovariance};
pub use subspace::Subspace;
pub use variational::{Layout, Variational};

use crate::linalg::simd::Kernels;
use crate::linalg::{Matrix, NormalEquations, NotPositiveDefinite, Solution};
use crate::objective::Ridge;

/// One row's system, the other side fixed; see [`crate::objective`].
#[derive(Debug, Clone, Copy)]
pub struct RowProblem<'a> {
    /// Position of the row on its side.
    pub row: usize,
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
    /// The objective where vector and bias are zero.
    pub at_zero: f64,
    /// The bias's previous value.
    pub bias: f32,
}

/// What all rows of a side share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// `G` and `g₀`, with the bias's entries.
    pub system: NormalEquations,
    /// `G` of the vector's unknowns, both triangles (`rank x rank`).
    pub matrix: Matrix,
    /// Whether it is a matrix of the vector's unknowns alone.
    pub plain: bool,
    /// The numbers from 0 to below the rank: all rows of `matrix`.
    pub rows: Vec<u32>,
}

impl Shared {
    /// Both forms of one system.
    #[must_use]
    pub fn new(system: NormalEquations) -> Self {
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
    /// Writes the row's whole system: cells, shared part, ridge. `n k (k + 1)` flops for `n` cells at
    /// rank `k`.
    pub fn assemble(&self, kernels: Kernels, system: &mut NormalEquations) {
        let rows = (self.indices, self.following);
        system.set_all(kernels, self.fixed, rows, self.weights, self.targets);
        if let Some(shared) = self.shared {
            system.add_system(&shared.system);
        }
        system.add_ridge(self.ridge.vector, self.ridge.bias.unwrap_or(0.0));
        system.set_at_zero(self.at_zero);
    }

    /// Whether a bias is fitted.
    #[must_use]
    pub const fn with_bias(&self) -> bool {
        self.ridge.bias.is_some()
    }
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
    /// [`NotPositiveDefinite`] if the system, as summed in single precision, has no unique solution even
    /// where it is solved in double precision.
    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Self::Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite>;

    /// Whether the rows kept must be finished before another one is taken.
    fn is_full(&self, _scratch: &Self::Scratch) -> bool {
        false
    }

    /// Solves the rows kept and hands each one's position among them, vector and solution to `done`.
    /// Most solvers keep none.
    ///
    /// # Errors
    /// The position of the first row without a unique solution.
    fn finish(
        &self,
        _scratch: &mut Self::Scratch,
        _done: &mut dyn FnMut(usize, &[f32], Solution),
    ) -> Result<(), (usize, NotPositiveDefinite)> {
        Ok(())
    }
}
