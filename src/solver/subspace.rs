//! Solution by blocks of unknowns: one pass, each block solved exactly with the others fixed.
//!
//! For a block `π` of the vector, the step `Δ` solves the normal equations of the residual,
//!
//! ```text
//! (G_ππ + Σ w ỹ_π ỹ_πᵀ + d) Δ = − (G x)_π + Σ (t − w s) ỹ_π − d x_π,      s = x·y + b
//! ```
//!
//! The bias is solved jointly with every block. The method is that of Rendle, Krichene, Zhang,
//! Koren 2021 (iALS++: Speeding up matrix factorization with subspace optimization, Algorithm 2).
//! It costs `n k (b + 1)` flops for `n` cells at rank `k` with blocks of `b`, and `k b² / 3` for
//! the factorisations. The shared part must have no right-hand side and no entries for the bias.

use super::conjugate::change;
use super::{RowProblem, Solver};
use crate::linalg::simd::Kernels;
use crate::linalg::{NormalEquations, NotPositiveDefinite, Solution};

/// The block solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subspace {
    kernels: Kernels,
    block: usize,
}

impl Subspace {
    /// Creates the solver with a number of unknowns per block, at least one.
    #[must_use]
    pub(crate) const fn new(kernels: Kernels, block: usize) -> Self {
        Self { kernels, block: if block == 0 { 1 } else { block } }
    }
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    /// One system for full blocks, and one for a shorter last block.
    whole: NormalEquations,
    last: NormalEquations,
    step: Vec<f32>,
    /// `G x`.
    common: Vec<f32>,
    /// `s`, `t − w s`, and the change of `s` by one block.
    dots: Vec<f32>,
    errors: Vec<f32>,
    changes: Vec<f32>,
}

/// Solves the whole row at once in double precision. Used when a block fails.
fn whole_row(
    kernels: Kernels,
    problem: &RowProblem<'_>,
    x: &mut [f32],
) -> Result<Solution, NotPositiveDefinite> {
    let mut system = NormalEquations::new(x.len());
    problem.assemble(kernels, &mut system);
    system.solve_f64(problem.with_bias(), x)
}

impl Solver for Subspace {
    type Scratch = Scratch;

    fn is_plain(&self) -> bool {
        true
    }

    fn scratch(&self, rank: usize) -> Scratch {
        Scratch {
            whole: NormalEquations::new(self.block.min(rank)),
            last: NormalEquations::new(rank % self.block),
            step: vec![0.0; self.block.min(rank)],
            common: vec![0.0; rank],
            dots: Vec::new(),
            errors: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let RowProblem { fixed, indices, weights, targets, shared, ridge, .. } = *problem;
        let Scratch { whole, last, step, common, dots, errors, changes } = scratch;
        let (kernels, rank, cells) = (self.kernels, x.len(), indices.len());
        for buffer in [&mut *dots, errors, changes] {
            buffer.resize(buffer.len().max(cells), 0.0);
        }
        let (dots, errors, changes) =
            (&mut dots[..cells], &mut errors[..cells], &mut changes[..cells]);
        let (mut bias, with_bias) = (problem.bias, problem.with_bias());
        let bias_ridge = ridge.bias.unwrap_or(0.0);
        kernels.dots(x, fixed, indices, dots);
        for s in dots.iter_mut() {
            *s += bias;
        }
        let mut value = problem.at_zero
            + change(dots, weights, targets)
            + f64::from(ridge.vector) * f64::from(kernels.dot(x, x))
            + bias_ridge * f64::from(bias).powi(2);
        debug_assert!(shared.is_none_or(|s| s.plain), "no right side, no bias");
        if let Some(shared) = shared {
            kernels.dots(x, &shared.matrix, &shared.rows, common);
            value += f64::from(kernels.dot(x, common));
        }
        // At rank 0 only the bias is left: one block without entries of the vector.
        for first in (0..rank.max(1)).step_by(self.block) {
            let len = self.block.min(rank - first);
            let system = if len == self.block { &mut *whole } else { &mut *last };
            for (p, error) in errors.iter_mut().enumerate() {
                *error = targets[p] - weights.map_or(1.0, |w| w[p]) * dots[p];
            }
            system.set_columns(kernels, fixed, first, indices, weights, errors);
            let (own, step) = (first..first + len, &mut step[..len]);
            for (step, &x) in step.iter_mut().zip(&x[own.clone()]) {
                *step = -ridge.vector * x;
            }
            if let Some(shared) = shared {
                system.add_matrix(&shared.matrix, first);
                step.iter_mut().zip(&common[own.clone()]).for_each(|(step, &gx)| *step -= gx);
            }
            system.add_right(step, -bias_ridge * f64::from(bias));
            system.add_ridge(ridge.vector, bias_ridge);
            // The value before the step takes the place of the value at zero.
            system.set_at_zero(value.max(f64::MIN_POSITIVE));
            let Ok(solution) = system.solve(kernels, with_bias, step) else {
                return whole_row(kernels, problem, x).map(Some);
            };
            bias += solution.bias;
            x[own].iter_mut().zip(&*step).for_each(|(x, &step)| *x += step);
            kernels.dots_columns(step, fixed, first, indices, changes);
            dots.iter_mut().zip(&*changes).for_each(|(s, &c)| *s += c + solution.bias);
            if let Some(shared) = shared {
                for (gx, &row) in common.iter_mut().zip(&shared.rows) {
                    let part = &shared.matrix.row(row as usize)[first..first + len];
                    *gx += kernels.dot(part, step);
                }
            }
            value = solution.minimum.unwrap_or(0.0);
        }
        let at_zero = problem.at_zero;
        Ok(Some(Solution::new(bias, at_zero, at_zero - value)))
    }
}
