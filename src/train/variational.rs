//! Bayesian matrix factorisation by variational inference.
//!
//! The model of [`super::Bayes`], its posterior approximated by independent normal distributions of the
//! users' and the items' rows, `q(p_u, b_u) q(q_i, b_i)` (Lim and Teh 2007). Each side in turn is set to
//! the best distributions given the other side's, the rows' priors and the noise by empirical Bayes.
//! Deterministic but for its start, it needs tens of iterations instead of hundreds, and its means are
//! the published vectors, with nothing to compress.
//!
//! A row's system holds the sum of the covariances of the rows that its cells name. With
//! [`Covariances::Own`] every row has its own one: an iteration costs `2 N (k (k + 1) + 2 k²)` flops and
//! about `(m + n) k³`, and reads `k²/2` numbers of covariance per cell; memory holds as many per row.
//! With [`Covariances::Shared`] rows with similar numbers of cells share one
//! ([`crate::model::covariance_class`]): the sum then goes over some twenty classes instead of all cells,
//! and an iteration costs that of exact [`super::Als`] and `C k²` flops a row for `C` classes.

use super::course::{self, Limits};
use super::hyper::Prior;
use super::sums::Sums;
use super::{Algorithm, Averaged, Fit, Fitted, Observer, Problem, Share, Start, State};
use crate::error::Result;
use crate::ids::Axis;
use crate::model::{Embedding, Scale};
use crate::objective::{Explicit, Regularization};
use crate::ratings::{Ratings, Side};

mod fold_in;
mod own;
mod shared;

use own::Rows;
pub use own::Spread;
use shared::SharedRows;

/// Which rows have which covariance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covariances {
    /// Rows with similar numbers of cells share one.
    Shared,
    /// Every row has its own.
    Own,
}

/// Iterations of a cold start that take the other side's vectors for exact. Vectors that begin near 0 are
/// mostly variance, and what has no structure yet would be shrunk back to 0.
const COLD: u32 = 3;

/// Whether covariances count in an iteration.
const fn counted(cold: bool, iteration: u32) -> bool {
    !cold || iteration > COLD
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// Whether it began at random vectors.
    cold: bool,
    /// The expected squared error after the last iteration.
    error: f64,
}

impl Progress {
    fn of(problem: &Problem<'_>) -> Result<Self> {
        match problem.start {
            Start::Random => Ok(Self { cold: true, error: f64::INFINITY }),
            Start::Factors(_) => Ok(Self { cold: false, error: f64::INFINITY }),
            // The noise is the mean of the expected squared errors.
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

    fn save(self, state: &mut State) {
        state.put_numbers("progress", vec![f64::from(u8::from(self.cold)), self.error]);
    }

    /// Whether an iteration may be the last one by its error: not before covariances count, and not while
    /// the error rises, for then entries that hold nothing are still being shrunk.
    fn may_end(&mut self, iteration: u32, error: f64, tolerance: f64) -> bool {
        let rises = error > self.error * (1.0 + tolerance / 4.0);
        self.error = error;
        (!self.cold || iteration > COLD + 1) && !rises
    }
}

/// Variance of `p·q` under the prior of a cold start, on standardised ratings.
const PRODUCT_VARIANCE: f64 = 0.2;

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
    /// Which rows have which covariance.
    pub covariances: Covariances,
    /// Ends when the expected squared error's relative improvement falls below this; 0 never does.
    pub tolerance: f64,
    /// Seed of the starting vectors and the samples.
    pub seed: u64,
}

impl Algorithm for Variational {
    fn name(&self) -> &'static str {
        "variational"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let limits = Limits { iterations: self.iterations, tolerance: self.tolerance };
        if self.covariances == Covariances::Own {
            return self.fit_own(problem, limits, observer);
        }
        let mut rows = SharedRows::new(self, problem)?;
        let (iterations, stop_reason) = course::run(&mut rows, problem, limits, observer)?;
        let averaged = Averaged {
            samples: 0,
            noise: rows.scale.deviation / rows.precision.sqrt(),
            kept: (0..self.keep).map(|number| rows.draw(number)).collect(),
            spread: None,
            uncertainty: Some(rows.uncertainty()),
        };
        let (factors, scale) = (rows.factors, rows.scale);
        Ok(Fit { factors, scale, iterations, stop_reason, averaged: Some(averaged) })
    }

    fn fold_in(&self, fitted: &Fitted<'_>, rows: (Axis, &Side)) -> Result<Embedding> {
        Self::fold_in_rows(fitted, rows)
    }

    fn explain(
        &self,
        fitted: &Fitted<'_>,
        users: &Side,
        wanted: (&[Vec<u32>], usize),
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        Self::explain_rows(fitted, users, wanted)
    }
}

impl Variational {
    fn fit_own(
        &self,
        problem: &Problem<'_>,
        limits: Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Fit> {
        let mut rows = Rows::new(self, problem)?;
        let (iterations, stop_reason) = course::run(&mut rows, problem, limits, observer)?;
        let scale = rows.scale;
        let averaged = Averaged {
            samples: 0,
            noise: scale.deviation / rows.precision.sqrt(),
            kept: (0..self.keep).map(|number| rows.draw(number)).collect(),
            spread: None,
            uncertainty: Some(rows.uncertainty()),
        };
        let (spread, factors) = rows.into_spread();
        let averaged = Some(Averaged { spread: Some(spread), ..averaged });
        Ok(Fit { factors, scale, iterations, stop_reason, averaged })
    }
}

/// The explicit objective without regularisation, which a prior replaces.
fn unregularised(ratings: &Ratings, scale: &Scale) -> Explicit {
    let none = Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };
    Explicit::new(ratings, (scale.mean, scale.deviation), none, scale.biases)
}

/// The prior of a side before it is first solved: wide, or that of the vectors of a warm start.
fn start_prior(
    problem: &Problem<'_>,
    (side, own): (&Side, &Embedding),
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

#[cfg(test)]
mod tests;
