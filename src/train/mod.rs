//! Algorithms that fit factors to ratings.
//!
//! Below, a pass goes over `N` cells at rank `k`.
//!
//! - [`Als`] minimises the squared error of the observed cells ([`crate::objective::Explicit`]). A
//!   pass costs `2 N k (k + 1)` flops and a factorisation per row, or `8 N k` flops per step of
//!   conjugate gradients.
//! - [`Ials`] minimises the squared error of all pairs, weighted by confidences
//!   ([`crate::objective::Implicit`]). A pass costs as much as one of [`Als`] plus `k²` flops per
//!   row.
//! - [`Bayes`] draws from the posterior of the observed cells ([`crate::objective::Posterior`]). A
//!   pass costs as much as one of exact [`Als`] plus one draw per row.
//! - [`Variational`] approximates the same posterior by independent normal distributions of the
//!   rows. A pass costs as much as one of exact [`Als`] plus some `20 k²` flops per row.
//! - [`Sgd`] minimises the same error as [`Als`]. A pass costs `14 N k` flops.
//! - [`Gd`] minimises the squared error of the observed cells on raw ratings. A pass costs `8 N k`
//!   flops.
//!
//! # Which to use
//!
//! `bayes` is the most accurate on ratings and has nothing to tune. By variational inference
//! ([`Variational`], the default), a pass costs about as much as one of `als`; by sampling, a fit
//! takes some two hundred passes. `als` is exact least squares with a choice of solvers. `sgd` has
//! the cheapest pass and reaches the error of `als` in about ten passes. `ials` is for counts and
//! events, where unobserved cells carry information too. The README has the figures.
//!
//! # Worked example
//!
//! Let `R = [[5, 3, ?], [4, ?, 1], [?, 2, 5]]`, with the vectors
//! `U = [[1.2, 0.5], [1.0, 0.3], [0.2, 1.1]]` and `V = [[1.5, 0.4], [0.9, 0.1], [0.1, 1.3]]`. Dot
//! products predict the missing cells: `r̂₁₃ = 1.2 · 0.1 + 0.5 · 1.3 = 0.77` and `r̂₂₂ = 0.93`. The
//! whole matrix is `U Vᵀ = [[2.0, 1.13, 0.77], [1.62, 0.93, 0.49], [0.74, 0.29, 1.45]]`. It is far
//! from `R` because these vectors are made up. Fitted vectors reproduce the observed cells, as in
//! this fit of another matrix:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::atomic::AtomicBool;
//!
//! use lacuna::ids::Ids;
//! use lacuna::linalg::simd::Kernels;
//! use lacuna::ratings::{Cell, Ratings};
//! use lacuna::train::{Algorithm, Gd, Problem, Start};
//!
//! // The classroom's 6 x 3 matrix, whose rows are all 1 2 3, by gradient descent with 2 factors.
//! let cell = |user, item| Cell { user, item, value: item as f32 + 1.0, weight: 1.0, time: 0 };
//! let cells: Vec<Cell> = (0..6).flat_map(|u| (0..3).map(move |i| cell(u, i))).collect();
//! let ratings = Ratings::from_sorted(6, 3, &cells);
//! let gd = Gd { rank: 2, iterations: 700, tolerance: 0.0, rate: 0.1, seed: 1 };
//! let fit = gd.fit(
//!     &Problem {
//!         ratings: &ratings,
//!         moments: &ratings.moments(),
//!         user_keys: &Ids::range(6).keys("user"),
//!         item_keys: &Ids::range(3).keys("item"),
//!         start: Start::Random,
//!         stop: &AtomicBool::new(false),
//!         kernels: Kernels::detect(),
//!     },
//!     &mut |_| ControlFlow::Continue(()),
//! )?;
//! for item in 0..3 {
//!     let score = fit.scorer().score(Kernels::detect(), Some(5), Some(item));
//!     assert!((score - (item as f64 + 1.0)).abs() < 0.02);
//! }
//! # Ok::<(), lacuna::error::Error>(())
//! ```
//!
//! `tests/it/worked.rs` fits `R` with `als`, `sgd` and `bayes`.

mod als;
mod alternate;
mod bayes;
mod course;
mod explain;
mod fold_in;
mod gd;
mod hyper;
mod ials;
mod sgd;
mod share;
mod start;
mod state;
mod sums;
mod sweep;
mod variational;

use crate::pair::Pair;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

pub use als::Als;
pub use alternate::SolverChoice;
pub use bayes::Bayes;
pub use fold_in::{Fitted, Stored};
pub use gd::Gd;
pub use ials::Ials;
pub use sgd::{Schedule, Sgd};
pub use share::Share;
pub use start::start;
pub use state::{Array, Start, State};
pub use variational::{Covariances, Spread, Variational};

use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, RatedRow, Scale, Scorer, Uncertainty};
use crate::ratings::{Moments, Ratings, Side};

/// The input of a fit.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The training cells.
    pub ratings: &'a Ratings,
    /// The moments of the training cells.
    pub moments: &'a Moments,
    /// A stable key per user, from which its random numbers derive (see [`crate::ids::Ids::keys`]).
    pub user_keys: &'a [u64],
    /// A stable key per item.
    pub item_keys: &'a [u64],
    /// Where the fit starts.
    pub start: Start<'a>,
    /// Set from outside to end the fit at the next unit of work.
    pub stop: &'a AtomicBool,
    /// The instruction set to use.
    pub kernels: Kernels,
}

impl Problem<'_> {
    /// The numbers of users and items.
    fn shape(&self) -> Pair<usize> {
        Pair::new(self.ratings.users(), self.ratings.items())
    }
}

/// What an algorithm reports after each iteration.
#[derive(Debug, Clone, Copy)]
pub struct Iteration<'a> {
    /// Number of completed iterations, from 1.
    pub number: u32,
    /// The objective per training cell, on the scale of the fit (standardised ratings, unless raw
    /// ones are fitted).
    ///
    /// [`Bayes`] reports the weighted squared error alone, [`Variational`] its expectation.
    pub objective: f64,
    /// RMSE over the training cells, unweighted and with unclipped predictions.
    ///
    /// [`Sgd`] measures each cell when it visits it. None where the RMSE would take an extra pass
    /// ([`Variational`]; [`Bayes`], [`Sgd`] and [`Gd`] with weights), without cells, or where
    /// scores are not ratings.
    pub train_rmse_raw: Option<f64>,
    /// Set if this iteration is a sample: predictions are then averaged over the samples.
    pub sample: Option<Sample>,
    /// Predicts with the current factors.
    pub scorer: Scorer<'a>,
    /// Captures everything needed to resume from here.
    pub snapshot: Snapshot<'a>,
}

/// Captures the state of a fit after an iteration, for [`Start::State`].
#[derive(Clone, Copy)]
pub struct Snapshot<'a>(&'a dyn Fn() -> State);

impl Snapshot<'_> {
    /// Copies the state.
    ///
    /// The copy is about as large as the factors, plus any samples and own covariances.
    #[must_use]
    pub fn take(&self) -> State {
        self.0()
    }
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

/// One sample of the posterior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of the sample, from 1.
    pub number: u32,
    /// Standard deviation of a rating around its prediction, on the rating scale.
    pub noise: f64,
}

/// The results of a Bayesian fit in addition to the published factors.
#[derive(Debug, Clone)]
pub struct Averaged {
    /// Number of averaged samples; 0 for variational inference.
    pub samples: u32,
    /// Standard deviation of a rating around its prediction, on the rating scale.
    ///
    /// For sampling, this is the root mean square over the samples.
    pub noise: f64,
    /// Samples kept in full, on the scale of the fit's factors.
    pub kept: Vec<Factors>,
    /// The distributions of all rows, if every row has its own covariance.
    pub spread: Option<Spread>,
    /// The priors and covariances of the rows, from variational inference.
    pub uncertainty: Option<Uncertainty>,
}

impl Averaged {
    /// The variance of `b_u + b_i + p_u·q_i` on standardised ratings, without the noise of a
    /// rating.
    ///
    /// `factors` are those that were fitted to `ratings`. None after sampling: there the variance
    /// is known only from the kept samples.
    #[must_use]
    pub fn variance(
        &self,
        factors: &Factors,
        ratings: &Ratings,
        user: usize,
        item: usize,
    ) -> Option<f64> {
        if let Some(spread) = &self.spread {
            return Some(spread.variance(user, item));
        }
        let (users, items) = (&ratings.by_user, &ratings.by_item);
        let of = |u: &Uncertainty| {
            let user = RatedRow { side: &factors.users, row: user, count: users.count(user) };
            let item = RatedRow { side: &factors.items, row: item, count: items.count(item) };
            u.variance(user, item)
        };
        self.uncertainty.as_ref().map(of)
    }
}

/// Called after each iteration; `Break` ends the fit with the current factors.
pub type Observer<'o> = dyn FnMut(&Iteration<'_>) -> ControlFlow<()> + 'o;

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All iterations were done.
    Iterations,
    /// The objective improved by less than the tolerance.
    Tolerance,
    /// The observer ended the fit.
    Observer,
}

/// The outcome of a fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The factors, on the scale of the fit (standardised ratings, unless raw ones are fitted).
    /// Rows without cells are zero.
    pub factors: Factors,
    /// How the factors become scores. With its deviation `s`, factors are published as `√s p`,
    /// `√s q`, `s b`.
    pub scale: Scale,
    /// Number of completed iterations.
    pub iterations: u32,
    /// Why the fit ended.
    pub stop_reason: StopReason,
    /// Number of row solves that needed sums in double precision, because one weight was far larger
    /// than the others.
    pub dense_rows: u64,
    /// The additional results of a Bayesian fit; none for other algorithms or without samples.
    pub averaged: Option<Averaged>,
}

impl Fit {
    /// Predicts with these factors.
    #[must_use]
    pub const fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }
}

/// An algorithm that fits factors.
pub trait Algorithm: Send + Sync {
    /// Kebab-case name, unique among the algorithms.
    fn name(&self) -> &'static str;

    /// Fits factors to the training cells.
    ///
    /// The result is bit-identical for any number of threads.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a stop was requested, [`Error::Numeric`] if a row could not be solved,
    /// [`Error::Checkpoint`] if the start is the state of another fit. [`Bayes`] and
    /// [`Variational`] add [`Error::Diverged`] if factors are not finite.
    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit>;

    /// Vectors and biases of new rows of one side, whose cells name rows of the other side.
    ///
    /// Each row takes one solve, exactly as in a half-sweep over these rows.
    ///
    /// # Errors
    /// [`Error::Usage`] for algorithms without such a solve, otherwise as for [`Algorithm::fit`].
    fn fold_in(&self, _fitted: &Fitted<'_>, _axis: Axis, _rows: &Side) -> Result<Embedding> {
        Err(Error::Usage(format!(
            "als, ials and bayes (--inference vb) fold in new users and items exactly; this fit of \
             {} cannot",
            self.name()
        )))
    }

    /// How much each user's cells contribute to the scores of the items listed for that user.
    ///
    /// The shares are on the scale of `fitted`. `wanted` holds the items of each row of `users`,
    /// and the maximum number of shares per item; the largest ones are returned. See
    /// [`Stored::explain`].
    ///
    /// # Errors
    /// [`Error::Usage`] for algorithms whose scores are not such sums.
    fn explain(
        &self,
        _fitted: &Fitted<'_>,
        _users: &Side,
        _items: &[Vec<u32>],
        _most: usize,
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        Err(Error::Usage(format!(
            "only scores of als, ials and bayes (--inference vb) can be explained, because they \
             are sums over the user's ratings; those of this fit of {} are not",
            self.name()
        )))
    }
}

/// Returns [`Error::Stopped`] if a stop was requested.
fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
}
