//! Alternating minimisation: all users with the items fixed, then all items with the users fixed.

use super::course::{self, Limits, Process, Step};
use super::sweep::{HalfSweep, Partitions};
use super::{Fit, Observer, Problem, Start, State, start};
use crate::error::Result;
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::objective::{Objective, RowLoss};
use crate::solver::{Cholesky, ConjugateGradient, Nonnegative, Solver, Subspace};

/// How each row's system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolverChoice {
    /// Exactly, by Cholesky decomposition.
    Cholesky,
    /// Approximately, by conjugate-gradient steps from the previous value.
    ConjugateGradient {
        /// Steps per row and half-sweep.
        steps: u32,
    },
    /// Approximately, one block of unknowns after the other.
    Subspace {
        /// Unknowns per block.
        block: usize,
    },
    /// Exactly, under the constraint that no entry is negative.
    Nonnegative,
}

/// An alternating fit.
#[derive(Debug)]
pub(super) struct Alternation<'a, O> {
    pub problem: &'a Problem<'a>,
    pub objective: &'a O,
    pub rank: usize,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Relative improvement of the objective below which the fit ends; 0 disables this.
    pub tolerance: f64,
    pub scale: Scale,
}

impl<O: Objective> Alternation<'_, O> {
    /// Fits, starting from `factors`.
    ///
    /// An exact solver uses only the items' vectors and biases.
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
        factors: Factors,
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
        let limits = Limits { iterations: self.iterations, tolerance: self.tolerance };
        let scale = self.scale;
        let cells = ratings.len() as f64;
        let mut sweeps = Sweeps { users, items, factors, scale, cells, dense_rows: 0 };
        let (iterations, stop_reason) = course::run(&mut sweeps, self.problem, limits, observer)?;
        let Sweeps { factors, dense_rows, .. } = sweeps;
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows, averaged: None })
    }
}

/// Both half-sweeps and the factors that they update.
struct Sweeps<'a, O, S> {
    users: HalfSweep<'a, O, S>,
    items: HalfSweep<'a, O, S>,
    factors: Factors,
    scale: Scale,
    cells: f64,
    /// Number of row solves that needed sums in double precision.
    dense_rows: u64,
}

impl<O: Objective, S: Solver> Process for Sweeps<'_, O, S> {
    fn step(&mut self, _number: u32) -> Result<Step> {
        let Factors { users, items } = &mut self.factors;
        let RowLoss { penalty, dense, .. } = self.users.run(items, users)?;
        let loss = self.items.run(users, items)?;
        self.dense_rows += dense + loss.dense;
        let rated = self.scale.rates() && self.cells > 0.0;
        Ok(Step {
            total: loss.objective + loss.penalty + penalty,
            train_rmse_raw: rated
                .then(|| (loss.squared / self.cells).sqrt() * self.scale.deviation),
            sample: None,
            comparable: true,
        })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
    }
}

/// Returns the specified start, or random item vectors with all users and biases at zero.
///
/// The first half-sweep solves the users, so they need no random start.
pub(super) fn start_items(
    problem: &Problem<'_>,
    seed: u64,
    rank: usize,
    choice: SolverChoice,
) -> Result<Factors> {
    match problem.start {
        Start::Factors(start) | Start::Posterior(start, _) => return Ok(start.clone()),
        Start::State(state) => return state.factors("factors", problem.shape(), rank),
        Start::Random => {}
    }
    let mut items = start(seed, Axis::Item, problem.item_keys, rank);
    if choice == SolverChoice::Nonnegative {
        items.absolute();
    }
    // Items without ratings are zero, so that they influence no row.
    for row in (0..items.rows()).filter(|&row| problem.ratings.by_item.count(row) == 0) {
        items.row_mut(row).fill(0.0);
    }
    Ok(Factors {
        users: Embedding::zeros(problem.ratings.users(), rank),
        items: Embedding { biases: vec![0.0; items.rows()], vectors: items },
    })
}
