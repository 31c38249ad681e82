//! Exact solution: the Gram matrix of the row's vectors, then a Cholesky factorisation.
//!
//! `n k (k + 1)` flops for the Gram matrix of `n` cells at rank `k`, `k³/3 + 3 k²` for the solution.

use rayon::prelude::*;

use super::{RowProblem, Solver};
use crate::linalg::simd::Kernels;
use crate::linalg::{CHUNK, NormalEquations, NotPositiveDefinite};

/// Chunks of a long row that are summed at the same time: bounds the memory of their partial sums.
const CHUNKS_AT_ONCE: usize = 16;

/// The exact solver.
#[derive(Debug, Clone, Copy)]
pub struct Cholesky {
    kernels: Kernels,
}

impl Cholesky {
    /// The solver on the given kernels.
    #[must_use]
    pub const fn new(kernels: Kernels) -> Self {
        Self { kernels }
    }

    fn assemble(&self, problem: &RowProblem<'_>, system: &mut NormalEquations) {
        system.reset();
        if problem.indices.len() <= CHUNK {
            system.accumulate(
                self.kernels,
                problem.fixed,
                (problem.indices, problem.following),
                problem.weights,
                problem.targets,
            );
        } else {
            self.assemble_long(problem, system);
        }
        if let Some(shared) = problem.shared {
            system.add_shared(&shared.matrix, shared.rhs.as_deref());
        }
        system.add_ridge(problem.ridge.vector, problem.ridge.bias.unwrap_or(0.0));
    }

    /// A long row: chunks of fixed length, in parallel, folded in their order in double precision.
    fn assemble_long(&self, problem: &RowProblem<'_>, system: &mut NormalEquations) {
        let cells = problem.indices.len();
        let chunks: Vec<_> = (0..cells).step_by(CHUNK).map(|s| s..cells.min(s + CHUNK)).collect();
        for group in chunks.chunks(CHUNKS_AT_ONCE) {
            let parts: Vec<NormalEquations> = group
                .par_iter()
                .map(|range| {
                    let mut part = NormalEquations::new(system.rank());
                    part.accumulate(
                        self.kernels,
                        problem.fixed,
                        (&problem.indices[range.clone()], &[]),
                        problem.weights.map(|w| &w[range.clone()]),
                        &problem.targets[range.clone()],
                    );
                    part
                })
                .collect();
            system.fold(&parts);
        }
    }
}

impl Solver for Cholesky {
    type Scratch = NormalEquations;

    fn scratch(&self, rank: usize) -> NormalEquations {
        NormalEquations::new(rank)
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        system: &mut NormalEquations,
        x: &mut [f32],
        bias: &mut f32,
    ) -> Result<(), NotPositiveDefinite> {
        let with_bias = problem.ridge.bias.is_some();
        self.assemble(problem, system);
        *bias = match system.solve(self.kernels, with_bias, x) {
            Ok(bias) => bias,
            Err(_) => {
                self.assemble(problem, system);
                system.solve_f64(with_bias, x)?
            }
        };
        Ok(())
    }
}
