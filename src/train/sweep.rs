//! One half-sweep: every row of one side solved with the other side fixed.
//!
//! Rows are cut into virtual partitions of about equal cost, fixed by the data. One task writes
//! each row, and losses are added in the order of the partitions, so the result does not depend on
//! the number of threads.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::check_stop;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::linalg::{NotPositiveDefinite, Solution};
use crate::model::Embedding;
use crate::objective::{Objective, Ridge, RowLoss};
use crate::ratings::Side;
use crate::solver::{RowProblem, Shared, Solver};

/// Target number of partitions per side: enough to balance many cores, few enough to cost nothing.
const PARTITIONS: usize = 1024;

/// Ranges of consecutive rows with about equal cost, `count k (k + 1) + k³ / 3` flops per row.
#[derive(Debug, Clone)]
pub(super) struct Partitions {
    ranges: Vec<Range<usize>>,
}

impl Partitions {
    pub(super) fn new(side: &Side, rank: usize) -> Self {
        let k = rank as u64;
        let per_cell = k * (k + 1) + 16;
        let per_row = k * k * k / 3 + 16;
        let cost = |row: usize| per_row + per_cell * side.count(row) as u64;
        let total: u64 = (0..side.rows()).map(cost).sum();
        let target = total / PARTITIONS as u64 + 1;
        let mut ranges = Vec::with_capacity(PARTITIONS);
        let (mut start, mut sum) = (0, 0);
        for row in 0..side.rows() {
            sum += cost(row);
            if sum >= target {
                ranges.push(start..row + 1);
                (start, sum) = (row + 1, 0);
            }
        }
        if start < side.rows() {
            ranges.push(start..side.rows());
        }
        Self { ranges }
    }
}

/// The inputs of a half-sweep.
pub(super) struct HalfSweep<'a, O, S> {
    pub axis: Axis,
    pub side: &'a Side,
    pub partitions: &'a Partitions,
    pub objective: &'a O,
    pub solver: &'a S,
    pub kernels: Kernels,
    pub stop: &'a AtomicBool,
    /// Whether to compute the data terms of the losses; penalties are always computed.
    pub losses: bool,
}

/// Mutable access to the rows of one partition.
struct Task<'a> {
    rows: Range<usize>,
    rank: usize,
    stride: usize,
    vectors: &'a mut [f32],
    biases: &'a mut [f32],
}

impl Task<'_> {
    /// The vector of the row at a position in the task.
    fn vector(&mut self, at: usize) -> &mut [f32] {
        &mut self.vectors[at * self.stride..][..self.rank]
    }
}

/// Scratch memory of one worker.
struct Scratch<T> {
    solver: T,
    /// Rows that the solver has taken and not yet solved.
    waiting: Vec<Taken>,
    weights: Vec<f32>,
    targets: Vec<f32>,
    dots: Vec<f32>,
}

/// A row that the solver has taken.
#[derive(Clone, Copy)]
struct Taken {
    /// Its position in the task.
    at: usize,
    ridge: Ridge,
    weighted: bool,
}

impl<O: Objective, S: Solver> HalfSweep<'_, O, S> {
    /// Solves every row of `own` against `fixed` and returns the sum of the rows' losses.
    ///
    /// # Errors
    /// [`Error::Stopped`], or [`Error::Numeric`] for the first row without a solution.
    pub(super) fn run(&self, fixed: &Embedding, own: &mut Embedding) -> Result<RowLoss> {
        let rank = fixed.vectors.cols();
        let shared = self.objective.shared(self.axis, &fixed.vectors).map(Shared::new);
        let scratch = || Scratch {
            solver: self.solver.scratch(rank),
            waiting: Vec::new(),
            weights: Vec::new(),
            targets: Vec::new(),
            dots: Vec::new(),
        };
        // Results are collected in order, so that the lowest failing row is reported and sums are
        // reproducible.
        let results: Vec<Result<RowLoss>> = self
            .tasks(own)
            .into_par_iter()
            .map_init(scratch, |scratch, task| self.solve(fixed, shared.as_ref(), scratch, task))
            .collect();
        results.into_iter().try_fold(RowLoss::default(), |mut total, part| {
            total.add(&part?);
            Ok(total)
        })
    }

    /// Solves the rows of one task.
    fn solve(
        &self,
        fixed: &Embedding,
        shared: Option<&Shared>,
        scratch: &mut Scratch<S::Scratch>,
        mut task: Task<'_>,
    ) -> Result<RowLoss> {
        check_stop(self.stop)?;
        let mut losses = RowLoss::default();
        for at in 0..task.rows.len() {
            let row = task.rows.start + at;
            let cells = self.side.row(row);
            if cells.is_empty() {
                task.vector(at).fill(0.0);
                task.biases[at] = 0.0;
                continue;
            }
            let Scratch { solver, weights, targets, .. } = scratch;
            let problem = self.problem(fixed, shared, row, task.biases[at], weights, targets);
            let taken = Taken { at, ridge: problem.ridge, weighted: problem.weights.is_some() };
            let mut solved = self.solver.solve(&problem, solver, task.vector(at));
            if solved.is_err() && self.solver.is_plain() {
                solved = problem.solve_dense(task.vector(at)).map(Some);
                losses.dense += 1;
            }
            match solved.map_err(|source| self.failed(row, &source))? {
                Some(solution) => {
                    let dots = &mut scratch.dots;
                    losses.add(&self.settle(fixed, shared, &mut task, taken, &solution, dots)?);
                }
                None => scratch.waiting.push(taken),
            }
            if self.solver.is_full(&scratch.solver) {
                self.finish(fixed, shared, scratch, &mut task, &mut losses)?;
            }
        }
        self.finish(fixed, shared, scratch, &mut task, &mut losses)?;
        Ok(losses)
    }

    /// Solves the rows that the solver has taken and not yet solved.
    fn finish(
        &self,
        fixed: &Embedding,
        shared: Option<&Shared>,
        scratch: &mut Scratch<S::Scratch>,
        task: &mut Task<'_>,
        losses: &mut RowLoss,
    ) -> Result<()> {
        let Scratch { solver, waiting, dots, weights, targets } = scratch;
        let mut settled = Ok(());
        let done = &mut |nth: usize, x: &[f32], mut solution: Result<_, NotPositiveDefinite>| {
            let taken: Taken = waiting[nth];
            let row = task.rows.start + taken.at;
            task.vector(taken.at).copy_from_slice(x);
            if solution.is_err() && self.solver.is_plain() {
                let bias = task.biases[taken.at];
                let problem = self.problem(fixed, shared, row, bias, weights, targets);
                solution = problem.solve_dense(task.vector(taken.at));
                losses.dense += 1;
            }
            let loss = solution
                .map_err(|source| self.failed(row, &source))
                .and_then(|solution| self.settle(fixed, shared, task, taken, &solution, dots));
            match loss {
                Ok(loss) => losses.add(&loss),
                Err(error) if settled.is_ok() => settled = Err(error),
                Err(_) => {}
            }
        };
        self.solver.finish(solver, done);
        // This is done after an error too, so that the worker's next task starts without waiting
        // rows.
        waiting.clear();
        settled
    }

    /// The system of a row. `weights` and `targets` hold those of its cells afterwards.
    fn problem<'p>(
        &'p self,
        fixed: &'p Embedding,
        shared: Option<&'p Shared>,
        row: usize,
        bias: f32,
        weights: &'p mut Vec<f32>,
        targets: &'p mut Vec<f32>,
    ) -> RowProblem<'p> {
        let cells = self.side.row(row);
        let at_zero = self.objective.terms(cells, &fixed.biases, weights, targets);
        RowProblem {
            row,
            fixed: &fixed.vectors,
            indices: cells.indices,
            following: self.following(row),
            weights: (!weights.is_empty()).then_some(weights),
            targets,
            shared,
            ridge: self.objective.ridge(self.axis, cells.len()),
            at_zero,
            bias,
        }
    }

    /// Stores the bias of a row whose vector is in place and returns the row's losses.
    fn settle(
        &self,
        fixed: &Embedding,
        shared: Option<&Shared>,
        task: &mut Task<'_>,
        taken: Taken,
        solution: &Solution,
        dots: &mut Vec<f32>,
    ) -> Result<RowLoss> {
        let Taken { at, ridge, weighted } = taken;
        let (row, bias) = (task.rows.start + at, solution.bias);
        task.biases[at] = bias;
        let vector = &*task.vector(at);
        let norm = f64::from(self.kernels.dot(vector, vector));
        let penalty =
            f64::from(ridge.vector) * norm + ridge.bias.unwrap_or(0.0) * f64::from(bias).powi(2);
        if !penalty.is_finite() {
            return Err(self.failed(row, &"the solution is not finite"));
        }
        let suffices = self.objective.minimum_suffices(weighted);
        let loss = match solution.minimum.filter(|_| suffices) {
            _ if !self.losses => RowLoss::default(),
            // The minimum gives the squared error without a pass over the cells.
            Some(minimum) => {
                let squared = (minimum - penalty).max(0.0);
                RowLoss { objective: squared, squared, penalty, dense: 0 }
            }
            None => {
                let cells = self.side.row(row);
                dots.resize(dots.len().max(cells.len()), 0.0);
                self.kernels.dots(vector, &fixed.vectors, cells.indices, dots);
                let mut loss = self.objective.loss(cells, &fixed.biases, bias, dots);
                loss.objective += shared.map_or(0.0, |shared| shared.system.value(vector, bias));
                loss
            }
        };
        Ok(RowLoss { penalty, ..loss })
    }

    fn failed(&self, row: usize, source: &dyn std::fmt::Display) -> Error {
        let message = source.to_string();
        Error::numeric(self.axis, row, message)
    }

    /// The cell positions of the next row, which the solver fetches ahead.
    fn following(&self, row: usize) -> &[u32] {
        if row + 1 < self.side.rows() { self.side.row(row + 1).indices } else { &[] }
    }

    /// Gives each partition mutable access to its rows.
    fn tasks<'o>(&self, own: &'o mut Embedding) -> Vec<Task<'o>> {
        let (rank, stride) = (own.vectors.cols(), own.vectors.stride());
        let mut vectors = own.vectors.padded_rows_mut();
        let mut biases = &mut own.biases[..];
        let mut tasks = Vec::with_capacity(self.partitions.ranges.len());
        for rows in &self.partitions.ranges {
            let (v, rest) = vectors.split_at_mut(rows.len() * stride);
            vectors = rest;
            let (b, rest) = biases.split_at_mut(rows.len());
            biases = rest;
            tasks.push(Task { rows: rows.clone(), rank, stride, vectors: v, biases: b });
        }
        tasks
    }
}
