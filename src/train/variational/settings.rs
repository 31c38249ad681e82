//! Settings of variational inference, and what its fits share.

use super::super::hyper::Prior;
use super::super::sums::Sums;
use super::super::{Problem, Start, State};
use crate::error::Result;
use crate::model::{Embedding, Scale};
use crate::objective::{Explicit, Regularization, Standardisation};
use crate::ratings::{Ratings, Side};

/// Which rows share a covariance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covariances {
    /// Rows with similar numbers of cells share one.
    Shared,
    /// Every row has its own.
    Own,
}

/// Iterations of a cold start that treat the other side's vectors as exact.
///
/// Vectors that start near 0 are mostly variance. Counting it would shrink them back to 0 before
/// they have any structure.
const COLD: u32 = 3;

/// Whether covariances count in an iteration.
pub(super) const fn counted(cold: bool, iteration: u32) -> bool {
    !cold || iteration > COLD
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// Whether the fit started from random vectors.
    pub(super) cold: bool,
    /// The expected squared error after the last iteration.
    pub(super) error: f64,
}

impl Progress {
    pub(super) fn of(problem: &Problem<'_>) -> Result<Self> {
        match problem.start {
            Start::Random => Ok(Self { cold: true, error: f64::INFINITY }),
            Start::Factors(_) => Ok(Self { cold: false, error: f64::INFINITY }),
            // The variance of the noise is the mean of the expected squared errors.
            Start::Posterior(_, known) => {
                let error = problem.ratings.len() as f64 / known.precision;
                Ok(Self { cold: false, error })
            }
            Start::State(state) => {
                let [cold, error] = state.some("progress")?;
                Ok(Self { cold: cold != 0.0, error })
            }
        }
    }

    pub(super) fn save(self, state: &mut State) {
        state.put_numbers("progress", vec![f64::from(u8::from(self.cold)), self.error]);
    }

    /// Whether the tolerance may end the fit after this iteration.
    ///
    /// In a cold start, it may not before the second iteration that counts covariances. It never
    /// may while the error rises: entries that hold no information are then still being shrunk.
    pub(super) fn may_end(&mut self, iteration: u32, error: f64, tolerance: f64) -> bool {
        let rises = error > self.error * (1.0 + tolerance / 4.0);
        self.error = error;
        (!self.cold || iteration > COLD + 1) && !rises
    }
}

/// The least variance of the noise, on standardised ratings: a thousandth of a standard deviation.
///
/// Ratings that the model explains exactly have no noise. Single precision then cannot solve the
/// rows, because the prior vanishes beside their sums.
const LEAST_NOISE: f64 = 1e-6;

/// The precision of the noise, from the expected sum of squared errors of `cells` ratings.
pub(super) fn noise_precision(error: f64, cells: usize) -> f64 {
    cells as f64 / error.max(LEAST_NOISE * cells as f64)
}

/// Variance of `p·q` under the prior of a cold start, on standardised ratings.
const PRODUCT_VARIANCE: f64 = 0.2;

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Variational {
    /// Entries of a vector, at least 1.
    pub rank: usize,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Samples to draw from the posterior at the end and keep, for predictive standard deviations.
    pub keep: u32,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Which rows share a covariance.
    pub covariances: Covariances,
    /// Relative improvement of the expected squared error below which the fit ends; 0 disables
    /// this.
    pub tolerance: f64,
    /// Seed of the starting vectors and of the samples.
    pub seed: u64,
}

/// The explicit objective without regularisation; the prior replaces it.
pub(super) fn unregularised(ratings: &Ratings, scale: &Scale) -> Explicit {
    let none = Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };
    let standard = Standardisation { mean: scale.mean, deviation: scale.deviation };
    Explicit::new(ratings, standard, none, scale.biases)
}

/// The prior of a side before its first solve: fitted to the vectors of a warm start, else wide.
pub(super) fn start_prior(
    problem: &Problem<'_>,
    side: &Side,
    own: &Embedding,
    settings: &Variational,
) -> Prior {
    let order = settings.rank + usize::from(settings.biases);
    let rows = side.rows_with_cells();
    let sums = || Sums::of_columns(problem.kernels, own, settings.rank, rows, settings.biases);
    let warm = problem.start.factors();
    let fitted =
        warm.map(|_| sums()).and_then(|sums| Prior::fitted(&sums, &vec![0.0; order * order]));
    let precision = (settings.rank as f64 / PRODUCT_VARIANCE).sqrt();
    fitted.unwrap_or_else(|| Prior::isotropic(order, precision))
}
