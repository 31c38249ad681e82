//! Full-batch gradient descent, the textbook method.
//!
//! ```text
//! p_u ← p_u + η (2 / n_u) Σ (r − p_u·q_i) q_i,   q_i ← q_i + η (2 / n_i) Σ (r − p_u·q_i) p_u
//! ```
//!
//! Both updates use the values of the previous iteration. They follow the gradient of the mean
//! squared error over the observed cells of each row. Ratings are used as they are, without mean,
//! biases or regularisation. Starting values are uniform in [0.1, 0.9). An iteration costs `8 N k`
//! flops for `N` ratings at rank `k`. The other algorithms reach the same error in far fewer
//! passes.

use rand_distr::{Distribution, Uniform};
use rayon::prelude::*;

use super::course::{self, Limits, Process, Step};
use super::{Algorithm, Fit, Observer, Problem, Start, State, StopReason, check_stop};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::Matrix;
use crate::linalg::simd::{Kernels, Shifted};
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::ratings::Side;
use crate::rng::{Stream, generator};

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Gd {
    /// Entries of a vector, at least 1.
    pub rank: usize,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Relative improvement of the squared error below which the fit ends; 0 disables this.
    pub tolerance: f64,
    /// The learning rate `η`.
    pub rate: f64,
    /// Seed of the starting values.
    pub seed: u64,
}

impl Algorithm for Gd {
    fn name(&self) -> &'static str {
        "gd"
    }

    /// # Errors
    /// As for every algorithm, and [`Error::Diverged`] if the steps diverge or oscillate.
    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let ratings = problem.ratings;
        let scale = Scale::ratings(problem.moments, false, false);
        let factors = match problem.start {
            Start::Factors(start) | Start::Posterior(start, _) => start.clone(),
            Start::State(state) => state.factors("factors", problem.shape(), self.rank)?,
            Start::Random => Factors {
                users: self.start(Axis::User, problem.user_keys, &ratings.by_user),
                items: self.start(Axis::Item, problem.item_keys, &ratings.by_item),
            },
        };
        let [best, rose, high] =
            problem.start.state().map_or(Ok([f64::INFINITY, 0.0, 0.0]), |s| s.some(SWINGS))?;
        let rose = rose as u32;
        let mut steps = Steps { settings: self, problem, factors, scale, best, rose, high };
        let limits = Limits { iterations: self.iterations, tolerance: self.tolerance };
        let (iterations, stop_reason) = course::run(&mut steps, problem, limits, observer)?;
        let Steps { factors, rose, high, .. } = steps;
        // Steps that are too long need not diverge: the error may oscillate instead. (Near zero,
        // only rounding is left, and an oscillation means nothing.)
        let something = high > NOTHING * squares_of(&ratings.by_user);
        let swings = rose > 0 && rose + 1 >= iterations && something;
        if swings && stop_reason == StopReason::Iterations {
            return Err(diverged());
        }
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows: 0, averaged: None })
    }
}

/// Name of the record of oscillations in a state.
const SWINGS: &str = "swings";

/// The current state of the descent.
struct Steps<'a> {
    settings: &'a Gd,
    problem: &'a Problem<'a>,
    factors: Factors,
    scale: Scale,
    /// The smallest squared error so far.
    best: f64,
    /// The last iteration whose error exceeded [`SWING`] times the smallest one, and that error.
    rose: u32,
    high: f64,
}

impl Process for Steps<'_> {
    fn step(&mut self, number: u32) -> Result<Step> {
        let Self { settings, problem, factors, .. } = self;
        let (ratings, kernels) = (problem.ratings, problem.kernels);
        check_stop(problem.stop)?;
        let users = settings.moved(kernels, &ratings.by_user, &factors.users, &factors.items);
        let items = settings.moved(kernels, &ratings.by_item, &factors.items, &factors.users);
        (factors.users.vectors, factors.items.vectors) = (users, items);
        let squares = squares(kernels, &ratings.by_user, factors);
        if !squares.is_finite() {
            return Err(diverged());
        }
        if squares > self.best * SWING {
            (self.rose, self.high) = (number, squares);
        }
        self.best = self.best.min(squares);
        let known = !ratings.is_empty() && ratings.by_user.weights.is_none();
        let train_rmse_raw = known.then(|| (squares / ratings.len() as f64).sqrt());
        Ok(Step { total: squares, train_rmse_raw, sample: None, comparable: true })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
        state.put_numbers(SWINGS, vec![self.best, f64::from(self.rose), self.high]);
    }
}

/// Squared errors above this multiple of the smallest one mean that the steps oscillate.
const SWING: f64 = 1.05;

/// Squared errors below this share of the ratings' sum of squares count as zero.
const NOTHING: f64 = 1e-6;

/// The weighted sum of the squares of all ratings.
fn squares_of(side: &Side) -> f64 {
    let values = side.values.data().iter().map(|&v| f64::from(v).powi(2));
    match &side.weights {
        Some(weights) => values.zip(weights).map(|(v, &w)| v * f64::from(w)).sum(),
        None => values.sum(),
    }
}

fn diverged() -> Error {
    Error::Diverged("the steps diverge; lower --learning-rate or --factors".into())
}

/// Rows per task.
const ROWS: usize = 64;

impl Gd {
    /// Starting values, uniform in [0.1, 0.9); rows without ratings are zero.
    fn start(&self, axis: Axis, keys: &[u64], side: &Side) -> Embedding {
        let mut embedding = Embedding::zeros(keys.len(), self.rank);
        // The bounds are constant and in order, so this cannot fail.
        let Ok(uniform) = Uniform::new(0.1_f32, 0.9) else { return embedding };
        for (row, &key) in keys.iter().enumerate().filter(|(row, _)| side.count(*row) > 0) {
            let mut rng = generator(self.seed, Stream::Start(axis, key));
            embedding.vectors.row_mut(row).iter_mut().for_each(|v| *v = uniform.sample(&mut rng));
        }
        embedding
    }

    /// One side's vectors after one step.
    fn moved(&self, kernels: Kernels, side: &Side, own: &Embedding, fixed: &Embedding) -> Matrix {
        let mut moved = own.vectors.clone();
        let stride = moved.stride().max(1);
        moved.padded_rows_mut().par_chunks_mut(stride * ROWS).enumerate().for_each(
            |(task, rows)| {
                let (mut dots, mut targets) = (Vec::new(), Vec::new());
                let (mut gradient, mut x) = (vec![0.0; stride], vec![0.0; stride]);
                for (at, vector) in rows.chunks_mut(stride).enumerate() {
                    let row = side.row(task * ROWS + at);
                    let mean = row.weights.map_or(row.len() as f32, |w| w.iter().sum());
                    if mean <= 0.0 {
                        continue;
                    }
                    dots.resize(dots.len().max(row.len()), 0.0);
                    targets.clear();
                    targets.extend_from_slice(row.values);
                    for (target, &w) in targets.iter_mut().zip(row.weights.unwrap_or_default()) {
                        *target *= w;
                    }
                    gradient.fill(0.0);
                    x.copy_from_slice(vector);
                    let (from, all) = (Shifted { x: &x, shift: 0.0 }, &fixed.vectors);
                    let some = Some(&targets[..]);
                    kernels.combine(
                        from,
                        all,
                        row.indices,
                        row.weights,
                        some,
                        &mut dots,
                        &mut gradient,
                    );
                    let step = self.rate as f32 * 2.0 / mean;
                    vector.iter_mut().zip(&gradient).for_each(|(v, &g)| *v += step * g);
                }
            },
        );
        moved
    }
}

/// The weighted sum of squared errors over all cells.
fn squares(kernels: Kernels, side: &Side, factors: &Factors) -> f64 {
    let (users, items) = (&factors.users.vectors, &factors.items.vectors);
    let parts: Vec<f64> = (0..side.rows())
        .into_par_iter()
        .map_init(Vec::new, |dots, user| {
            let row = side.row(user);
            dots.resize(dots.len().max(row.len()), 0.0_f32);
            kernels.dots(users.row(user), items, row.indices, dots);
            let weight = |p: usize| row.weights.map_or(1.0, |w| f64::from(w[p]));
            let error = |(p, (&r, &s)): (usize, (&f32, &f32))| {
                weight(p) * (f64::from(r) - f64::from(s)).powi(2)
            };
            row.values.iter().zip(dots.iter()).enumerate().map(error).sum()
        })
        .collect();
    parts.iter().sum()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::ids::Ids;
    use crate::ratings::{Cell, Ratings};
    use std::sync::atomic::AtomicBool;

    /// The classroom's 6 x 3 matrix, whose rows are all 1 2 3.
    fn classroom() -> Ratings {
        let cell = |user, item| Cell { user, item, value: item as f32 + 1.0, weight: 1.0, time: 0 };
        let cells: Vec<Cell> = (0..6).flat_map(|u| (0..3).map(move |i| cell(u, i))).collect();
        Ratings::from_sorted(6, 3, &cells)
    }

    fn fit(gd: &Gd, ratings: &Ratings) -> Result<Fit> {
        let problem = Problem {
            ratings,
            moments: &ratings.moments(),
            user_keys: &Ids::range(ratings.users()).keys("user"),
            item_keys: &Ids::range(ratings.items()).keys("item"),
            start: Start::Random,
            stop: &AtomicBool::new(false),
            kernels: Kernels::detect(),
        };
        gd.fit(&problem, &mut |_| ControlFlow::Continue(()))
    }

    /// The largest error of the reconstruction.
    fn worst(fit: &Fit) -> f64 {
        let score = |user, item| fit.scorer().score(Kernels::detect(), Some(user), Some(item));
        let cells = (0..6).flat_map(|u| (0..3).map(move |i| (u, i)));
        cells.map(|(u, i)| (score(u, i) - (i as f64 + 1.0)).abs()).fold(0.0, f64::max)
    }

    const CLASSROOM: Gd = Gd { rank: 2, iterations: 700, tolerance: 0.0, rate: 0.1, seed: 0 };

    #[test]
    fn the_classroom_matrix_is_reconstructed() {
        for seed in 0..20 {
            let two = fit(&Gd { seed, ..CLASSROOM }, &classroom()).expect("fits");
            assert!(worst(&two) < 0.02, "seed {seed}: {}", worst(&two));
            let many = fit(&Gd { seed, rank: 13, ..CLASSROOM }, &classroom()).expect("fits");
            assert!(worst(&many) < 1e-3, "seed {seed}: {}", worst(&many));
        }
    }

    #[test]
    fn steps_follow_the_gradient() {
        let weights = [1.0, 2.0, 0.5];
        let cells: Vec<Cell> = (0..3)
            .map(|i| Cell {
                user: 0,
                item: i,
                value: 2.0 + i as f32,
                weight: weights[i as usize],
                time: 0,
            })
            .collect();
        let ratings = Ratings::from_sorted(1, 3, &cells);
        let one =
            |iterations| fit(&Gd { iterations, rate: 1e-3, ..CLASSROOM }, &ratings).expect("fits");
        let (start, moved) = (one(0), one(1));
        let row = |fit: &Fit, i: usize| fit.factors.items.vectors.row(i).to_vec();
        let p = start.factors.users.vectors.row(0);
        for j in 0..2 {
            let slope: f32 = (0..3)
                .map(|i| {
                    let q = row(&start, i);
                    let error = 2.0 + i as f32 - (p[0] * q[0] + p[1] * q[1]);
                    weights[i] * error * q[j]
                })
                .sum();
            let want = p[j] + 1e-3 * 2.0 * slope / 3.5;
            assert!((moved.factors.users.vectors.row(0)[j] - want).abs() < 1e-6);
            for i in 0..3 {
                let q = row(&start, i);
                let error = 2.0 + i as f32 - (p[0] * q[0] + p[1] * q[1]);
                // An item has one cell: its weight is also the sum of the weights and cancels.
                let want = q[j] + 1e-3 * 2.0 * error * p[j];
                assert!((row(&moved, i)[j] - want).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn divergence_is_reported() {
        // Whatever the learning rate, the fit either reaches the matrix or reports divergence.
        for rate in (1..40).map(|step| 0.02 * f64::from(step)) {
            match fit(&Gd { rate, ..CLASSROOM }, &classroom()) {
                Ok(fit) => assert!(worst(&fit) < 0.1, "rate {rate}: {}", worst(&fit)),
                Err(error) => assert!(rate > 0.1 && matches!(error, Error::Diverged(_)), "{rate}"),
            }
        }
        let result = fit(&Gd { rate: 50.0, ..CLASSROOM }, &classroom());
        assert!(matches!(result, Err(Error::Diverged(_))));
    }
}
