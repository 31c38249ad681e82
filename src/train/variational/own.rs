//! Variational inference where every row has its own covariance.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::settings::{
    Progress, Variational, counted, noise_precision, start_prior, unregularised,
};
use crate::error::Result;
use crate::ids::Axis;
use crate::linalg::{Matrix, NormalEquations};
use crate::model::{Beliefs, Embedding, Factors, Gaussian, Scale, Scorer, Uncertainty, variance};
use crate::objective::{Explicit, Posterior, RowLoss};
use crate::ratings::{Ratings, Side};
use crate::rng::{Stream, generator};
use crate::solver::{Classes, RowLayout, Variational as RowSolver};
use crate::train::alternate::start_items;
use crate::train::bayes::failed;
use crate::train::course::{Process, Step};
use crate::train::hyper::Prior;
use crate::train::sums::Sums;
use crate::train::sweep::{HalfSweep, Partitions};
use crate::train::{Problem, SolverChoice, Start, State};

/// The distributions of all rows, for the variances of predictions.
#[derive(Debug, Clone)]
pub struct Spread {
    layout: RowLayout,
    factors: Factors,
}

impl Spread {
    /// The variance of `b_u + b_i + p_u·q_i` on standardised ratings, without the noise of a
    /// rating.
    ///
    /// It is `q̃ᵀS q̃ + p̃ᵀT p̃ + tr(S T)` for covariances `S` and `T`; the constant 1 of a bias
    /// has no variance.
    #[must_use]
    pub fn variance(&self, user: usize, item: usize) -> f64 {
        let rank = self.layout.rank;
        let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|&v| f64::from(v)).collect() };
        let (p, q) = (self.factors.users.vectors.row(user), self.factors.items.vectors.row(item));
        let (s, t) = (symmetric(self.layout, &wide(p)), symmetric(self.layout, &wide(q)));
        let user = Gaussian { mean: &p[..rank], covariance: &s };
        variance(self.layout.biases, user, Gaussian { mean: &q[..rank], covariance: &t })
    }
}

/// The current distributions.
pub(super) struct Rows<'a> {
    settings: &'a Variational,
    problem: &'a Problem<'a>,
    layout: RowLayout,
    pub scale: Scale,
    explicit: Explicit,
    partitions: (Partitions, Partitions),
    /// Means and covariances in the order of `layout`.
    factors: Factors,
    /// The means alone.
    pub means: Factors,
    priors: (Prior, Prior),
    /// Precision `α` of the noise.
    pub precision: f64,
    progress: Progress,
}

impl<'a> Rows<'a> {
    pub(super) fn new(settings: &'a Variational, problem: &'a Problem<'a>) -> Result<Self> {
        let ratings = problem.ratings;
        let layout = RowLayout { rank: settings.rank, biases: settings.biases };
        let scale = Scale::ratings(problem.moments, true, settings.biases);
        let explicit = unregularised(ratings, &scale);
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
        let prior = |name, side, own| match problem.start {
            Start::State(state) => Prior::restored(state, name, layout.order()),
            _ => Ok(start_prior(problem, side, own, settings)),
        };
        let priors = (
            prior("prior.users", &ratings.by_user, &factors.users)?,
            prior("prior.items", &ratings.by_item, &factors.items)?,
        );
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
            progress: Progress::of(problem)?,
        })
    }

    /// Updates one side's distributions, then its prior.
    ///
    /// For the items, `objective` of the returned losses is the expected squared error of all
    /// cells. For the users it is not computed.
    fn half(&mut self, axis: Axis, iteration: u32) -> Result<RowLoss> {
        let counted = counted(self.progress.cold, iteration);
        let Self { problem, layout, factors, precision, explicit, .. } = self;
        let (kernels, ratings) = (problem.kernels, problem.ratings);
        let Factors { users, items } = factors;
        let (side, others, partitions, fixed, own, prior) = match axis {
            Axis::User => (
                &ratings.by_user,
                &ratings.by_item,
                &self.partitions.0,
                &*items,
                users,
                &mut self.priors.0,
            ),
            Axis::Item => (
                &ratings.by_item,
                &ratings.by_user,
                &self.partitions.1,
                &*users,
                items,
                &mut self.priors.1,
            ),
        };
        // Once covariances count, each one counts in full, as in plain mean field.
        let shares = vec![if counted { 1.0 } else { 0.0 }; others.rows()];
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
                shares: &shares,
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

    /// The priors, and the rows' own covariances averaged by class.
    pub(super) fn uncertainty(&self) -> Uncertainty {
        let beliefs = |side: &Side, own: &Embedding, prior: &Prior| {
            let (classes, (precision, mean)) = (Classes::new(side), prior.numbers());
            let sample = classes.sample();
            for row in 0..side.rows() {
                if let Some(slot) = classes.slot(&sample, row) {
                    let wide: Vec<f64> =
                        own.vectors.row(row).iter().map(|&v| f64::from(v)).collect();
                    let _ = slot.set(symmetric(self.layout, &wide));
                }
            }
            Beliefs { mean, precision, covariances: classes.means(&sample) }
        };
        let Ratings { by_user, by_item } = self.problem.ratings;
        Uncertainty {
            biases: self.settings.biases,
            precision: self.precision,
            users: beliefs(by_user, &self.factors.users, &self.priors.0),
            items: beliefs(by_item, &self.factors.items, &self.priors.1),
        }
    }

    /// Returns the distributions, for the variances of predictions, and the means.
    pub(super) fn into_spread(self) -> (Spread, Factors) {
        (Spread { layout: self.layout, factors: self.factors }, self.means)
    }

    /// Draws one sample of all rows.
    pub(super) fn draw(&self, number: u32) -> Factors {
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
                    draw_row(self.layout, side.vectors.row(row), side.biases[row], &noise, x, bias);
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
    fn step(&mut self, number: u32) -> Result<Step> {
        self.half(Axis::User, number)?;
        let loss = self.half(Axis::Item, number)?;
        self.precision = noise_precision(loss.objective, self.problem.ratings.len());
        self.means = means(self.layout, &self.factors);
        let may_end = self.progress.may_end(number, loss.objective, self.settings.tolerance);
        Ok(Step { total: loss.objective, train_rmse_raw: None, sample: None, comparable: may_end })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.means, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
        self.priors.0.save(state, "prior.users");
        self.priors.1.save(state, "prior.items");
        state.put_numbers("precision", vec![self.precision]);
        self.progress.save(state);
    }
}

/// The means of the rows, without their covariances.
fn means(layout: RowLayout, factors: &Factors) -> Factors {
    let of = |side: &Embedding| Embedding {
        vectors: narrowed(&side.vectors, layout.rank),
        biases: side.biases.clone(),
    };
    Factors { users: of(&factors.users), items: of(&factors.items) }
}

/// The covariance of a row as a full matrix, row-major.
pub(super) fn symmetric(layout: RowLayout, row: &[f64]) -> Vec<f64> {
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

/// Writes m + L z, where m is the row's mean and S = L Lᵀ its covariance.
fn draw_row(
    layout: RowLayout,
    row: &[f32],
    mean_bias: f32,
    noise: &[f64],
    x: &mut [f32],
    bias: &mut f32,
) {
    let (rank, order) = (layout.rank, layout.order());
    let wide: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
    let matrix = nalgebra::DMatrix::from_row_slice(order, order, &symmetric(layout, &wide));
    // Rounding to single precision can make a covariance indefinite: the row then stays at its
    // mean.
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

/// The sum of all rows' covariances, row-major.
///
/// The sum is in double precision, over chunks of a fixed number of rows.
fn total_covariance(layout: RowLayout, vectors: &Matrix) -> Vec<f64> {
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

/// The matrix, extended to `cols` columns with zeros.
fn widened(matrix: &Matrix, cols: usize) -> Matrix {
    let mut wide = Matrix::zeros(matrix.rows(), cols);
    for row in 0..matrix.rows() {
        wide.row_mut(row)[..matrix.cols()].copy_from_slice(matrix.row(row));
    }
    wide
}

/// The first `cols` columns of the matrix.
fn narrowed(matrix: &Matrix, cols: usize) -> Matrix {
    let mut narrow = Matrix::zeros(matrix.rows(), cols);
    for row in 0..matrix.rows() {
        narrow.row_mut(row).copy_from_slice(&matrix.row(row)[..cols]);
    }
    narrow
}
