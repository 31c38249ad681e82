//! Bayesian matrix factorisation by variational inference.
//!
//! The model of [`super::Bayes`], its posterior approximated by independent normal distributions of the
//! users' and the items' rows, `q(p_u, b_u) q(q_i, b_i)`, each with a full covariance (Lim and Teh 2007).
//! Each side in turn is set to the best distributions given the other side's, the rows' priors and the noise
//! by empirical Bayes. Deterministic but for its start, it needs tens of iterations instead of hundreds,
//! and its means are the published vectors, with nothing to compress.
//!
//! An iteration costs `2 N (k (k + 1) + 2 k²)` flops and about `(m + n) k³`, and reads `k²/2` numbers of
//! covariance per cell; memory holds as many per user and item.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::alternate::start_items;
use super::bayes::failed;
use super::course::{self, Limits, Process, Step};
use super::hyper::Prior;
use super::sums::Sums;
use super::sweep::{HalfSweep, Partitions};
use super::{Algorithm, Averaged, Fit, Observer, Problem, SolverChoice, Start, State};
use crate::error::Result;
use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations};
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::objective::{Explicit, Posterior, Regularization, RowLoss};
use crate::rng::{Stream, generator};
use crate::solver::{Layout, Variational as RowSolver};

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Variational {
    /// Entries of a vector, at least 1.
    pub rank: usize,
    /// Iterations.
    pub iterations: u32,
    /// Samples drawn from the posterior at the end and kept, for predictive deviations.
    pub keep: u32,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Seed of the starting vectors and the samples.
    pub seed: u64,
}

impl Algorithm for Variational {
    fn name(&self) -> &'static str {
        "variational"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let mut rows = Rows::new(self, problem)?;
        let limits = Limits { iterations: self.iterations, tolerance: 0.0 };
        let (iterations, stop_reason) = course::run(&mut rows, problem, limits, observer)?;
        let averaged = Averaged {
            samples: 0,
            noise: rows.scale.deviation / rows.precision.sqrt(),
            kept: (0..self.keep).map(|number| rows.draw(number)).collect(),
            spread: None,
        };
        let (factors, scale) = (rows.means, rows.scale);
        let spread = Spread { layout: rows.layout, factors: rows.factors };
        let averaged = Averaged { spread: Some(spread), ..averaged };
        Ok(Fit { factors, scale, iterations, stop_reason, averaged: Some(averaged) })
    }
}

/// The distributions of all rows, for the variances of predictions.
#[derive(Debug, Clone)]
pub struct Spread {
    layout: Layout,
    factors: Factors,
}

impl Spread {
    /// The variance of `b_u + b_i + p_u·q_i` on standardised ratings, the noise of a rating left out:
    /// `q̃ᵀS q̃ + p̃ᵀT p̃ + tr(S T)` for covariances `S` and `T`, where a bias's 1 has none.
    #[must_use]
    pub fn variance(&self, user: usize, item: usize) -> f64 {
        let Layout { rank, biases } = self.layout;
        let order = self.layout.order();
        let wide = |side: &Embedding, row: usize| -> Vec<f64> {
            side.vectors.row(row).iter().map(|&v| f64::from(v)).collect()
        };
        let (p, q) = (wide(&self.factors.users, user), wide(&self.factors.items, item));
        let (s, t) = (symmetric(self.layout, &p), symmetric(self.layout, &q));
        let entry =
            |row: &[f64], i: usize| if i < rank { row[i] } else { f64::from(u8::from(biases)) };
        let mut variance = 0.0;
        for i in 0..order {
            for j in 0..order {
                let (own, other) = (s[i * order + j], t[i * order + j]);
                variance += own * entry(&q, i) * entry(&q, j) + other * entry(&p, i) * entry(&p, j);
                if i < rank && j < rank {
                    variance += own * other;
                }
            }
        }
        variance
    }
}

/// The distributions as they stand.
struct Rows<'a> {
    settings: &'a Variational,
    problem: &'a Problem<'a>,
    layout: Layout,
    scale: Scale,
    explicit: Explicit,
    partitions: (Partitions, Partitions),
    /// Means and covariances, laid out as `layout` says.
    factors: Factors,
    /// The means alone.
    means: Factors,
    priors: (Prior, Prior),
    /// Precision `α` of the noise.
    precision: f64,
}

impl<'a> Rows<'a> {
    fn new(settings: &'a Variational, problem: &'a Problem<'a>) -> Result<Self> {
        let ratings = problem.ratings;
        let layout = Layout { rank: settings.rank, biases: settings.biases };
        let scale = Scale::ratings(problem.moments, true, settings.biases);
        // Its regularisation does not count.
        let none = Regularization { users: 0.0, items: 0.0, biases: 0.0, exponent: 0.0 };
        let explicit = Explicit::new(ratings, (scale.mean, scale.deviation), none, scale.biases);
        let cols = layout.cols();
        let factors = match problem.start {
            Start::State(state) => state.factors("factors", problem.shape(), cols)?,
            _ => {
                let start =
                    start_items(problem, settings.seed, settings.rank, SolverChoice::Cholesky)?;
                let of = |side: Embedding| Embedding {
                    vectors: widened(&side.vectors, cols),
                    biases: side.biases,
                };
                Factors { users: of(start.users), items: of(start.items) }
            }
        };
        let prior = |name| match problem.start {
            Start::State(state) => Prior::restored(state, name, layout.order()),
            _ => Ok(Prior::isotropic(layout.order(), 1.0)),
        };
        let priors = (prior("prior.users")?, prior("prior.items")?);
        let [precision] = problem.start.state().map_or(Ok([1.0]), |s| s.some("precision"))?;
        let partitions = (
            Partitions::new(&ratings.by_user, settings.rank),
            Partitions::new(&ratings.by_item, settings.rank),
        );
        let means = means(layout, &factors);
        Ok(Self {
            settings,
            problem,
            layout,
            scale,
            explicit,
            partitions,
            factors,
            means,
            priors,
            precision,
        })
    }

    /// One side's distributions, then its prior; the expected squared error of all cells.
    fn half(&mut self, axis: Axis) -> Result<RowLoss> {
        let Self { problem, layout, factors, precision, explicit, .. } = self;
        let (kernels, ratings) = (problem.kernels, problem.ratings);
        let Factors { users, items } = factors;
        let (side, partitions, fixed, own, prior) = match axis {
            Axis::User => {
                (&ratings.by_user, &self.partitions.0, &*items, users, &mut self.priors.0)
            }
            Axis::Item => {
                (&ratings.by_item, &self.partitions.1, &*users, items, &mut self.priors.1)
            }
        };
        let (matrix, rhs) = prior.over(*precision);
        let shared = NormalEquations::from_dense(&matrix, &rhs, layout.biases);
        let half = HalfSweep {
            axis,
            side,
            partitions,
            objective: &Posterior::new(explicit, shared),
            solver: &RowSolver {
                kernels,
                layout: *layout,
                precision: *precision,
                prior: (&matrix, &rhs),
            },
            kernels,
            stop: problem.stop,
            losses: axis == Axis::Item,
        };
        let loss = half.run(fixed, own)?;
        let rows = side.rows_with_cells();
        let sums = Sums::of_columns(kernels, own, layout.rank, rows, layout.biases);
        let fitted = Prior::fitted(&sums, &total_covariance(*layout, &own.vectors));
        *prior = fitted.ok_or_else(|| failed(axis, &"the factors are not finite"))?;
        Ok(loss)
    }

    /// One sample of all rows.
    fn draw(&self, number: u32) -> Factors {
        let of = |axis, side: &Embedding, keys: &[u64], cells: &dyn Fn(usize) -> usize| {
            let mut drawn = Embedding::zeros(side.vectors.rows(), self.layout.rank);
            let known: Vec<bool> = (0..keys.len()).map(|row| cells(row) > 0).collect();
            let stride = drawn.vectors.stride();
            let rows = drawn.vectors.padded_rows_mut().par_chunks_mut(stride);
            rows.zip(&mut drawn.biases).enumerate().filter(|(row, _)| known[*row]).for_each(
                |(row, (x, bias))| {
                    let mut rng =
                        generator(self.settings.seed, Stream::Row(axis, number, keys[row]));
                    let noise = (0..self.layout.order()).map(|_| StandardNormal.sample(&mut rng));
                    let noise: Vec<f64> = noise.collect();
                    draw_row(
                        self.layout,
                        (side.vectors.row(row), side.biases[row]),
                        &noise,
                        x,
                        bias,
                    );
                },
            );
            drawn
        };
        let Problem { ratings, user_keys, item_keys, .. } = *self.problem;
        Factors {
            users: of(Axis::User, &self.factors.users, user_keys, &|r| ratings.by_user.count(r)),
            items: of(Axis::Item, &self.factors.items, item_keys, &|r| ratings.by_item.count(r)),
        }
    }
}

impl Process for Rows<'_> {
    fn step(&mut self, _number: u32) -> Result<Step> {
        self.half(Axis::User)?;
        let loss = self.half(Axis::Item)?;
        if loss.objective > 0.0 {
            self.precision = self.problem.ratings.len() as f64 / loss.objective;
        }
        self.means = means(self.layout, &self.factors);
        Ok(Step { total: loss.objective, train_rmse_raw: None, sample: None })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.means, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
        self.priors.0.save(state, "prior.users");
        self.priors.1.save(state, "prior.items");
        state.put_numbers("precision", vec![self.precision]);
    }
}

/// The means of the rows, without their covariances.
fn means(layout: Layout, factors: &Factors) -> Factors {
    let of = |side: &Embedding| Embedding {
        vectors: narrowed(&side.vectors, layout.rank),
        biases: side.biases.clone(),
    };
    Factors { users: of(&factors.users), items: of(&factors.items) }
}

/// The covariance in the numbers of a row, row-major.
fn symmetric(layout: Layout, row: &[f64]) -> Vec<f64> {
    let (rank, order) = (layout.rank, layout.order());
    let mut matrix = vec![0.0; order * order];
    let mut set = |i: usize, j: usize, value: f64| {
        (matrix[i * order + j], matrix[j * order + i]) = (value, value);
    };
    let mut at = layout.covariance();
    for i in 0..rank {
        for j in i..rank {
            set(i, j, row[at]);
            at += 1;
        }
    }
    if layout.biases {
        (0..=rank).for_each(|i| set(i, rank, row[at + i]));
    }
    matrix
}

/// Writes mean + L z, where S = L Lᵀ is the row's covariance.
fn draw_row(
    layout: Layout,
    (row, mean_bias): (&[f32], f32),
    noise: &[f64],
    x: &mut [f32],
    bias: &mut f32,
) {
    let (rank, order) = (layout.rank, layout.order());
    let wide: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
    let matrix = nalgebra::DMatrix::from_row_slice(order, order, &symmetric(layout, &wide));
    // In single precision a covariance can lose its last positive eigenvalue: the row then stays put.
    let Some(factor) = nalgebra::Cholesky::new(matrix) else {
        x[..rank].copy_from_slice(&row[..rank]);
        *bias = mean_bias;
        return;
    };
    let step = factor.l() * nalgebra::DVector::from_column_slice(noise);
    for (i, x) in x[..rank].iter_mut().enumerate() {
        *x = (f64::from(row[i]) + step[i]) as f32;
    }
    *bias = if layout.biases { (f64::from(mean_bias) + step[rank]) as f32 } else { 0.0 };
}

/// The sum of all rows' covariances, row-major; in double precision over chunks fixed by the data.
fn total_covariance(layout: Layout, vectors: &Matrix) -> Vec<f64> {
    const ROWS: usize = 4096;
    let chunks = vectors.rows().div_ceil(ROWS);
    let sums: Vec<Vec<f64>> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let mut sum = vec![0.0; layout.cols()];
            for row in chunk * ROWS..vectors.rows().min((chunk + 1) * ROWS) {
                let row = vectors.row(row);
                sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; layout.cols()];
    for sum in &sums {
        total.iter_mut().zip(sum).for_each(|(total, v)| *total += v);
    }
    symmetric(layout, &total)
}

/// The matrix with more columns, of zeros.
fn widened(matrix: &Matrix, cols: usize) -> Matrix {
    let mut wide = Matrix::zeros(matrix.rows(), cols);
    for row in 0..matrix.rows() {
        wide.row_mut(row)[..matrix.cols()].copy_from_slice(matrix.row(row));
    }
    wide
}

/// The first columns.
fn narrowed(matrix: &Matrix, cols: usize) -> Matrix {
    let mut narrow = Matrix::zeros(matrix.rows(), cols);
    for row in 0..matrix.rows() {
        narrow.row_mut(row).copy_from_slice(&matrix.row(row)[..cols]);
    }
    narrow
}

#[cfg(test)]
mod tests;
