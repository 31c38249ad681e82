//! Alternating minimisation: all users with the items fixed, then all items with the users fixed.

use std::ops::ControlFlow;

use super::sweep::{HalfSweep, Partitions};
use super::{Fit, Iteration, Observer, Problem, StopReason, check_stop, start};
use crate::error::Result;
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::objective::Objective;
use crate::solver::{Cholesky, ConjugateGradient, Nonnegative, Solver, Subspace};

/// How each row's system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolverChoice {
    /// Exactly: [`Cholesky`].
    Cholesky,
    /// By steps of conjugate gradients from the previous value: [`ConjugateGradient`].
    ConjugateGradient {
        /// Steps per row and half-sweep.
        steps: u32,
    },
    /// By blocks of unknowns: [`Subspace`].
    Subspace {
        /// Unknowns per block.
        block: usize,
    },
    /// Exactly, under the constraint that no entry is negative: [`Nonnegative`].
    Nonnegative,
}

/// An alternating fit.
#[derive(Debug)]
pub(super) struct Alternation<'a, O> {
    pub problem: &'a Problem<'a>,
    pub objective: &'a O,
    pub rank: usize,
    /// Most iterations, and the relative improvement below which they end (0 never does).
    pub iterations: u32,
    pub tolerance: f64,
    pub scale: Scale,
}

impl<O: Objective> Alternation<'_, O> {
    /// Fits from `factors` on, of which only the items' vectors count for an exact solver.
    pub(super) fn run(
        &self,
        choice: SolverChoice,
        factors: Factors,
        observer: &mut Observer<'_>,
    ) -> Result<Fit> {
        let kernels: Kernels = self.problem.kernels;
        match choice {
            SolverChoice::Cholesky => self.solve(&Cholesky::new(kernels), factors, observer),
            SolverChoice::ConjugateGradient { steps } => {
                self.solve(&ConjugateGradient::new(kernels, steps), factors, observer)
            }
            SolverChoice::Subspace { block } => {
                self.solve(&Subspace::new(kernels, block), factors, observer)
            }
            SolverChoice::Nonnegative => self.solve(&Nonnegative::new(kernels), factors, observer),
        }
    }

    fn solve(
        &self,
        solver: &impl Solver,
        mut factors: Factors,
        observer: &mut Observer<'_>,
    ) -> Result<Fit> {
        let Problem { ratings, stop, kernels, .. } = *self.problem;
        let partitions = (
            Partitions::new(&ratings.by_user, self.rank),
            Partitions::new(&ratings.by_item, self.rank),
        );
        let half = |axis, side, partitions, losses| HalfSweep {
            axis,
            side,
            partitions,
            objective: self.objective,
            solver,
            kernels,
            stop,
            losses,
        };
        let users = half(Axis::User, &ratings.by_user, &partitions.0, false);
        let items = half(Axis::Item, &ratings.by_item, &partitions.1, true);
        let mut previous = f64::INFINITY;
        let (mut done, mut stop_reason) = (0, StopReason::Iterations);
        while done < self.iterations {
            let penalty = users.run(&factors.items, &mut factors.users)?.penalty;
            let loss = items.run(&factors.users, &mut factors.items)?;
            done += 1;
            let total = loss.objective + loss.penalty + penalty;
            let cells = ratings.len() as f64;
            let iteration = Iteration {
                number: done,
                objective: total / cells.max(1.0),
                train_rmse_raw: (self.scale.rates() && cells > 0.0)
                    .then(|| (loss.squared / cells).sqrt() * self.scale.deviation),
                sample: None,
                scorer: Scorer { factors: &factors, scale: self.scale },
            };
            if observer(&iteration) == ControlFlow::Break(()) {
                stop_reason = StopReason::Observer;
                break;
            }
            check_stop(stop)?;
            if self.tolerance > 0.0 && previous - total < self.tolerance * total {
                stop_reason = StopReason::Tolerance;
                break;
            }
            previous = total;
        }
        Ok(Fit { factors, scale: self.scale, iterations: done, stop_reason, averaged: None })
    }
}

/// The start given, or random item vectors; users and biases are then zero, for the first half-sweep
/// solves the users.
pub(super) fn start_items(
    problem: &Problem<'_>,
    seed: u64,
    rank: usize,
    choice: SolverChoice,
) -> Factors {
    if let Some(start) = problem.start {
        return start.clone();
    }
    let mut items = start(seed, Axis::Item, problem.item_keys, rank);
    if choice == SolverChoice::Nonnegative {
        items.absolute();
    }
    // What no rating speaks of has no part in anything.
    for row in (0..items.rows()).filter(|&row| problem.ratings.by_item.count(row) == 0) {
        items.row_mut(row).fill(0.0);
    }
    Factors {
        users: Embedding::zeros(problem.ratings.users(), rank),
        items: Embedding { biases: vec![0.0; items.rows()], vectors: items },
    }
}
