//! Stochastic gradient descent in parallel over disjoint blocks of the ratings.
//!
//! It minimises the objective of [`crate::objective::Explicit`], rating by rating. With
//! `e = z − b_u − b_i − p·q`, one step is
//!
//! ```text
//! p   ← (p + η_u w e q) / (1 + η_u λ ρ(n_u)/n_u)
//! b_u ← (b_u + η_u′ w e) / (1 + η_u′ λ_b ρ(n_u)/n_u)
//! ```
//!
//! `q` and `b_i` are updated likewise. The regularisation applies to the new value, so that a step
//! cannot overshoot.
//!
//! Users and items are cut into ranges with about equal numbers of ratings, which cuts the ratings
//! into blocks. An epoch goes through the blocks in rounds. The blocks of a round share no user and
//! no item, so they run in parallel and the result does not depend on the number of threads
//! (Gemulla, Nijkamp, Haas, Sismanis 2011; Zhuang, Chin, Juan, Lin 2013). Learning rates shrink by
//! [`Schedule`]. An epoch costs `14 k` flops per rating at rank `k`.

use std::ops::Range;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::course::{self, Limits, Process, Step};
use super::{Algorithm, Fit, Observer, Problem, Start, State, check_stop, start};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::{Descent, DescentCells, DescentSide};
use crate::linalg::{Matrix, sum};
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::objective::{Explicit, Objective, Regularization, Standardisation};
use crate::ratings::{Ratings, Side};
use crate::rng::{Stream, generator};

/// How the learning rate of a row shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Divided by the root of 1 plus the sum of the row's mean squared gradients: each row has its
    /// own rate (Chin, Zhuang, Juan, Lin 2015, reduced per-coordinate schedule).
    Adaptive,
    /// Divided by the root of the epoch's number, the same for every row.
    Decay,
}

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Sgd {
    /// Entries of a vector; 0 fits biases alone.
    pub rank: usize,
    /// Maximum number of passes over the ratings.
    pub epochs: u32,
    /// Relative improvement of the objective below which the fit ends; 0 disables this.
    pub tolerance: f64,
    /// Strength of the regularisation.
    pub regularization: Regularization,
    /// Learning rate of the first steps.
    pub rate: f64,
    /// How learning rates shrink.
    pub schedule: Schedule,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Subtract the mean and divide by the standard deviation first; otherwise fit raw ratings with
    /// μ = 0.
    pub mean: bool,
    /// Seed of the starting vectors and of the order of the blocks.
    pub seed: u64,
}

/// Scale of the starting vectors relative to the alternating algorithms: N(0, 0.3²/k).
const START: f32 = 3.0;

/// Target number of cells per block.
const BLOCK_CELLS: f64 = 1000.0;
/// Fewest and most ranges per side.
const RANGES: (usize, usize) = (4, 64);

impl Algorithm for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    /// # Errors
    /// As for every algorithm, and [`Error::Diverged`] if the steps diverge.
    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let Problem { ratings, moments, .. } = *problem;
        let scale = Scale::ratings(moments, self.mean, self.biases);
        let standard = Standardisation { mean: scale.mean, deviation: scale.deviation };
        let explicit = Explicit::new(ratings, standard, self.regularization, self.biases);
        // Weights are divided by their mean, so that their scale does not change the length of the
        // steps. The minimum stays the same, because the regularisation is divided too.
        let unit = mean_weight(ratings);
        let grid = Grid::new(ratings, &scale, unit);
        let mut sides = [
            Rows::new(&ratings.by_user, Axis::User, &explicit, unit),
            Rows::new(&ratings.by_item, Axis::Item, &explicit, unit),
        ];
        let factors = match problem.start {
            Start::Factors(start) | Start::Posterior(start, _) => start.clone(),
            Start::State(state) => state.factors("factors", problem.shape(), self.rank)?,
            Start::Random => self.start(problem),
        };
        if let Some(state) = problem.start.state() {
            for (side, name) in sides.iter_mut().zip(SUMS) {
                side.sums = state.pairs(name, side.sums.len())?;
            }
        }
        let limits = Limits { iterations: self.epochs, tolerance: self.tolerance };
        let mut epochs = Epochs { settings: self, problem, grid, factors, sides, scale, unit };
        let (iterations, stop_reason) = course::run(&mut epochs, problem, limits, observer)?;
        let factors = epochs.factors;
        if !(factors.users.is_finite() && factors.items.is_finite()) {
            return Err(diverged());
        }
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows: 0, averaged: None })
    }
}

/// Names of the sums of squared gradients in a state.
const SUMS: [&str; 2] = ["sums.users", "sums.items"];

/// The inputs and the current state of the epochs.
struct Epochs<'a> {
    settings: &'a Sgd,
    problem: &'a Problem<'a>,
    grid: Grid,
    factors: Factors,
    sides: [Rows; 2],
    scale: Scale,
    unit: f64,
}

impl Process for Epochs<'_> {
    fn step(&mut self, number: u32) -> Result<Step> {
        let Self { settings, problem, grid, factors, sides, .. } = self;
        let step = settings.step(number);
        let squares = grid.epoch(&step, settings.seed, number, factors, sides, problem)?;
        let penalty = sides[0].penalty(&factors.users) + sides[1].penalty(&factors.items);
        let total = (squares + penalty) * self.unit;
        if !total.is_finite() {
            return Err(diverged());
        }
        let cells = problem.ratings.len() as f64;
        let rmse = || (squares / cells).sqrt() * self.scale.deviation;
        let train_rmse_raw = (cells > 0.0 && !grid.weighted).then(rmse);
        Ok(Step { total, train_rmse_raw, sample: None, comparable: true })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
        for (side, name) in self.sides.iter().zip(SUMS) {
            state.put_pairs(name, &side.sums);
        }
    }
}

fn diverged() -> Error {
    Error::Diverged("the steps diverge; lower --learning-rate".into())
}

impl Sgd {
    fn step(&self, epoch: u32) -> Descent {
        let rank = self.rank.max(1) as f32;
        match self.schedule {
            Schedule::Adaptive => Descent {
                rate: self.rate as f32,
                growth: 1.0 / rank,
                bias_growth: 1.0,
                biases: self.biases,
            },
            Schedule::Decay => Descent {
                rate: (self.rate / f64::from(epoch).sqrt()) as f32,
                growth: 0.0,
                bias_growth: 0.0,
                biases: self.biases,
            },
        }
    }

    /// Random vectors on both sides; rows without ratings are zero.
    fn start(&self, problem: &Problem<'_>) -> Factors {
        let side = |axis, keys: &[u64], ratings: &Side| {
            let mut vectors = start(self.seed, axis, keys, self.rank);
            vectors.scale(START);
            for row in (0..vectors.rows()).filter(|&row| ratings.count(row) == 0) {
                vectors.row_mut(row).fill(0.0);
            }
            Embedding { biases: vec![0.0; vectors.rows()], vectors }
        };
        Factors {
            users: side(Axis::User, problem.user_keys, &problem.ratings.by_user),
            items: side(Axis::Item, problem.item_keys, &problem.ratings.by_item),
        }
    }
}

/// Mean weight of the ratings.
fn mean_weight(ratings: &Ratings) -> f64 {
    let Some(weights) = &ratings.by_user.weights else { return 1.0 };
    let mean = sum(weights, |w| w) / weights.len().max(1) as f64;
    if mean > 0.0 && mean.is_finite() { mean } else { 1.0 }
}

/// Per-row data of a side in addition to its vectors and biases.
struct Rows {
    /// Sums of squared gradients of the vector and of the bias, starting at 1.
    sums: Vec<[f32; 2]>,
    /// Regularisation per rating of the vector and of the bias.
    ridge: Vec<[f32; 2]>,
    counts: Vec<f64>,
}

impl Rows {
    fn new(side: &Side, axis: Axis, explicit: &Explicit, unit: f64) -> Self {
        let counts: Vec<f64> = (0..side.rows()).map(|row| side.count(row) as f64).collect();
        let ridge = |(row, &count): (usize, &f64)| {
            let ridge = explicit.ridge(axis, side.count(row));
            let share = |of: f64| (of / unit / count.max(1.0)) as f32;
            [share(f64::from(ridge.vector)), share(ridge.bias.unwrap_or(0.0))]
        };
        let ridge = counts.iter().enumerate().map(ridge).collect();
        Self { sums: vec![[1.0; 2]; side.rows()], ridge, counts }
    }

    /// The side's regularisation term, divided by the mean weight.
    fn penalty(&self, side: &Embedding) -> f64 {
        let row = |row: usize| {
            let [vector, bias] = self.ridge[row].map(f64::from);
            let bias = bias * f64::from(side.biases[row]).powi(2);
            self.counts[row] * (vector * side.vectors.row_norm_squared(row) + bias)
        };
        let rows: Vec<f64> = (0..self.counts.len()).into_par_iter().map(row).collect();
        rows.iter().sum()
    }
}

/// The cells of one block, ordered by user, with positions relative to the block's ranges.
#[derive(Default)]
struct Block {
    users: Vec<u32>,
    items: Vec<u32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

/// The ratings, cut into blocks by equally many ranges of users and of items.
struct Grid {
    ranges: usize,
    users: Vec<Range<usize>>,
    items: Vec<Range<usize>>,
    /// All item ranges of the first user range, then those of the second, and so on.
    blocks: Vec<Block>,
    weighted: bool,
}

impl Grid {
    fn new(ratings: &Ratings, scale: &Scale, unit: f64) -> Self {
        // The number of ranges depends only on the ratings, not on the number of threads.
        let ranges = (ratings.len() as f64 / BLOCK_CELLS).sqrt() as usize;
        let ranges = ranges.clamp(RANGES.0, RANGES.1);
        let (users, items) = (cut(&ratings.by_user, ranges), cut(&ratings.by_item, ranges));
        let weighted = ratings.by_user.weights.is_some();
        let blocks = users
            .par_iter()
            .flat_map_iter(|range| {
                let mut blocks: Vec<Block> = (0..ranges).map(|_| Block::default()).collect();
                for user in range.clone() {
                    let row = ratings.by_user.row(user);
                    let mut at = 0;
                    for (p, &item) in row.indices.iter().enumerate() {
                        // Both the items and the ranges are in ascending order.
                        while item as usize >= items[at].end {
                            at += 1;
                        }
                        let block = &mut blocks[at];
                        block.users.push((user - range.start) as u32);
                        block.items.push((item as usize - items[at].start) as u32);
                        let z = (f64::from(row.values[p]) - scale.mean) / scale.deviation;
                        block.targets.push(z as f32);
                        block.weights.extend(row.weights.map(|w| w[p] / unit as f32));
                    }
                }
                blocks
            })
            .collect();
        Self { ranges, users, items, blocks, weighted }
    }

    /// Does one pass over all ratings.
    ///
    /// Returns the weighted sum of squared errors, each measured when its cell was visited.
    fn epoch(
        &self,
        step: &Descent,
        seed: u64,
        epoch: u32,
        factors: &mut Factors,
        sides: &mut [Rows; 2],
        problem: &Problem<'_>,
    ) -> Result<f64> {
        let mut rng = generator(seed, Stream::Epoch(epoch));
        let (mut rounds, mut order): (Vec<usize>, Vec<usize>) =
            ((0..self.ranges).collect(), (0..self.ranges).collect());
        rounds.shuffle(&mut rng);
        order.shuffle(&mut rng);
        let [user_rows, item_rows] = sides;
        let stride = factors.users.vectors.stride();
        let mut squares = 0.0;
        for round in rounds {
            check_stop(problem.stop)?;
            let users = split(&self.users, &mut factors.users, user_rows);
            let mut items: Vec<Option<DescentSide<'_>>> =
                split(&self.items, &mut factors.items, item_rows).into_iter().map(Some).collect();
            // Each user range meets a different item range.
            let pairs: Vec<_> = users
                .into_iter()
                .enumerate()
                .filter_map(|(row, user)| {
                    let col = order[(row + round) % self.ranges];
                    let item = items[col].take()?;
                    Some((&self.blocks[row * self.ranges + col], user, item))
                })
                .collect();
            let parts: Vec<f64> = pairs
                .into_par_iter()
                .with_max_len(1)
                .map(|(block, user, item)| {
                    let weights = self.weighted.then_some(&block.weights[..]);
                    let Block { users, items, targets, .. } = block;
                    let cells = DescentCells { users, items, targets, weights };
                    problem.kernels.descend(step, stride, cells, user, item)
                })
                .collect();
            squares += parts.iter().sum::<f64>();
        }
        Ok(squares)
    }
}

/// Cuts a side into exactly `ranges` ranges of consecutive rows with about equal numbers of cells.
fn cut(side: &Side, ranges: usize) -> Vec<Range<usize>> {
    let (offsets, rows) = (side.offsets(), side.rows());
    let bound = |at: usize| match at {
        at if at == ranges => rows,
        _ => offsets.partition_point(|&o| o < offsets[rows] * at / ranges).min(rows),
    };
    (0..ranges).map(|at| bound(at)..bound(at + 1)).collect()
}

/// Gives each range mutable access to its rows.
fn split<'a>(
    ranges: &[Range<usize>],
    side: &'a mut Embedding,
    rows: &'a mut Rows,
) -> Vec<DescentSide<'a>> {
    let stride = side.vectors.stride();
    let mut vectors = Matrix::padded_rows_mut(&mut side.vectors);
    let (mut biases, mut sums) = (&mut side.biases[..], &mut rows.sums[..]);
    let mut parts = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (v, rest) = vectors.split_at_mut(range.len() * stride);
        vectors = rest;
        let (b, rest) = biases.split_at_mut(range.len());
        biases = rest;
        let (s, rest) = sums.split_at_mut(range.len());
        sums = rest;
        let ridge = &rows.ridge[range.clone()];
        parts.push(DescentSide { vectors: v, biases: b, sums: s, ridge });
    }
    parts
}

#[cfg(test)]
mod tests;
