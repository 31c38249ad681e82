//! Exact solution: the Gram matrix of the row's vectors, then a Cholesky factorisation.
//!
//! The Gram matrix of `n` cells at rank `k` costs `n k (k + 1)` flops, and the solution
//! `k³/3 + 3 k²`.

use super::{RowProblem, Solver};
use crate::linalg::simd::Kernels;
use crate::linalg::{Done, Dual, Group, NormalEquations, NotPositiveDefinite, Solution};

/// At most this many vectors of the next row are prefetched while a short row is solved.
const FETCHED: usize = 64;

/// The exact solver.
///
/// It solves systems of small rank 16 at a time ([`Group`]). At large ranks, it solves rows with at
/// most half as many cells as the rank in the dual ([`Dual`]).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cholesky {
    kernels: Kernels,
}

impl Cholesky {
    /// Creates the solver with `kernels`.
    #[must_use]
    pub(crate) const fn new(kernels: Kernels) -> Self {
        Self { kernels }
    }
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    system: NormalEquations,
    dual: Dual,
    group: Group,
    with_bias: bool,
}

impl Solver for Cholesky {
    type Scratch = Scratch;

    fn scratch(&self, rank: usize) -> Scratch {
        Scratch {
            system: NormalEquations::new(rank),
            dual: Dual::new(rank),
            group: Group::new(rank),
            with_bias: false,
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        Scratch { system, dual, group, with_bias }: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let RowProblem { fixed, indices, weights, targets, ridge, .. } = *problem;
        *with_bias = problem.with_bias();
        if let Some(system) = group.claim() {
            problem.assemble(self.kernels, system);
            return Ok(None);
        }
        let short = Dual::applies(x.len(), indices.len(), ridge.vector, ridge.bias);
        if short && problem.shared.is_none() {
            let first = &problem.following[..problem.following.len().min(FETCHED)];
            self.kernels.prefetch(fixed, first);
            let (ridge, bias_ridge) = (ridge.vector, ridge.bias);
            let solved =
                dual.solve(self.kernels, fixed, indices, weights, targets, ridge, bias_ridge, x);
            if let Ok(solution) = solved {
                return Ok(Some(solution));
            }
        }
        problem.assemble(self.kernels, system);
        let solved = system.solve(self.kernels, *with_bias, x).or_else(|_| {
            problem.assemble(self.kernels, system);
            system.solve_f64(*with_bias, x)
        });
        solved.map(Some)
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn is_full(&self, scratch: &Scratch) -> bool {
        !scratch.group.is_empty() && scratch.group.is_full()
    }

    fn finish(&self, scratch: &mut Scratch, done: &mut Done<'_>) {
        if !scratch.group.is_empty() {
            scratch.group.solve(self.kernels, scratch.with_bias, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{CHUNK, Matrix};
    use crate::objective::Ridge;
    use crate::split::mix;

    /// Compares a row with more cells than one chunk holds with sums in double precision.
    #[test]
    fn a_very_long_row_uses_all_of_its_cells() {
        let (rank, rows, cells) = (3, 1000, 17 * CHUNK + 77);
        let noise = |n: usize| (mix(n as u64) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let fixed = Matrix::from_rows(rows, rank, &(0..rows * rank).map(noise).collect::<Vec<_>>());
        let indices: Vec<u32> = (0..cells).map(|c| (c * 7919 % rows) as u32).collect();
        // The targets drift, so leaving out any part of the cells changes the result.
        let targets: Vec<f32> =
            (0..cells).map(|c| noise(c + 99) + c as f32 / cells as f32).collect();
        let problem = RowProblem {
            row: 0,
            fixed: &fixed,
            indices: &indices,
            following: &[],
            weights: None,
            targets: &targets,
            shared: None,
            ridge: Ridge { vector: 1.0, bias: Some(1.0) },
            at_zero: 1e6,
            bias: 0.0,
        };
        let solver = Cholesky::new(Kernels::detect());
        let (mut x, mut bias, mut scratch) = (vec![0.0; rank], 0.0, solver.scratch(rank));
        assert_eq!(solver.solve(&problem, &mut scratch, &mut x), Ok(None));
        solver.finish(&mut scratch, &mut |_, solved, solution| {
            x.copy_from_slice(solved);
            bias = solution.expect("solves").bias;
        });
        // The gradient of the row's objective is zero in double precision.
        let mut gradient = [f64::from(x[0]), f64::from(x[1]), f64::from(x[2]), f64::from(bias)];
        for (&index, &target) in indices.iter().zip(&targets) {
            let y = fixed.row(index as usize);
            let dot: f64 = y.iter().zip(&x).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let error = f64::from(target) - dot - f64::from(bias);
            for (g, y) in gradient.iter_mut().zip([y[0], y[1], y[2], 1.0]) {
                *g -= error * f64::from(y);
            }
        }
        // The tolerance is that of sums of a hundred thousand terms of size one.
        assert!(gradient.iter().all(|g| g.abs() < 1.0), "{gradient:?}");
    }
}
