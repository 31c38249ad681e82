//! Bayesian matrix factorisation by variational inference.
//!
//! The model is that of [`super::Bayes`]. Independent normal distributions of the users' and the
//! items' rows, `q(p_u, b_u) q(q_i, b_i)`, approximate its posterior (Lim and Teh 2007). Each side
//! in turn is set to the best distributions given those of the other side. Empirical Bayes sets the
//! rows' priors and the noise. Only the starting vectors and the kept samples are random. A fit
//! needs tens of iterations instead of hundreds. Its means are the published vectors, so nothing is
//! compressed.
//!
//! A row's system contains the sum of the covariances of the other side's rows that its cells name.
//!
//! With [`Covariances::Own`], every row has its own covariance. An iteration costs
//! `2 N (k (k + 1) + 2 k²)` and about `(m + n) k³` flops. It reads `k²/2` numbers of covariance per
//! cell, and memory holds as many per row.
//!
//! With [`Covariances::Shared`], rows with similar numbers of cells share a covariance
//! ([`crate::model::covariance_class`]). The sum then goes over some twenty classes instead of all
//! cells. An iteration costs as much as one of exact [`super::Als`] plus `C k²` flops per row for
//! `C` classes.

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
const fn counted(cold: bool, iteration: u32) -> bool {
    !cold || iteration > COLD
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// Whether the fit started from random vectors.
    cold: bool,
    /// The expected squared error after the last iteration.
    error: f64,
}

impl Progress {
    fn of(problem: &Problem<'_>) -> Result<Self> {
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

    fn save(self, state: &mut State) {
        state.put_numbers("progress", vec![f64::from(u8::from(self.cold)), self.error]);
    }

    /// Whether the tolerance may end the fit after this iteration.
    ///
    /// In a cold start, it may not before the second iteration that counts covariances. It never
    /// may while the error rises: entries that hold no information are then still being shrunk.
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

/// The explicit objective without regularisation; the prior replaces it.
fn unregularised(ratings: &Ratings, scale: &Scale) -> Explicit {
    let none = Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };
    Explicit::new(ratings, (scale.mean, scale.deviation), none, scale.biases)
}

/// The prior of a side before its first solve: fitted to the vectors of a warm start, else wide.
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
