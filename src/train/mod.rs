//! Algorithms that fit factors to ratings.
//!
//! | algorithm | minimises, or draws from | a pass over `N` cells at rank `k` |
//! |---|---|---|
//! | [`Als`] | squared error of the observed cells, [`crate::objective::Explicit`] | `2 N k (k + 1)` flops and a factorisation per row; `8 N k` per step of conjugate gradients |
//! | [`Ials`] | squared error of all pairs with confidences, [`crate::objective::Implicit`] | the same, and `k²` per row |
//! | [`Bayes`] | the posterior of the observed cells, [`crate::objective::Posterior`] | that of exact ALS and one draw per row |
//! | [`Variational`] | the same, approximated by independent normal distributions of the rows | that of exact ALS and some `20 k²` flops per row |
//! | [`Sgd`] | as [`Als`] | `14 N k` |
//! | [`Gd`] | squared error of the observed cells, raw ratings | `8 N k` |
//!
//! # Which to use
//!
//! `bayes` is the most accurate on ratings and has nothing to tune; by variational inference ([`Variational`],
//! the default) a pass costs about as much as one of `als`, by sampling it takes some two hundred. `als` is exact
//! least squares with a choice of solvers. `sgd` has the cheapest pass and
//! reaches the error of `als` in about ten. `ials` is for counts and events, where what was not observed
//! says something too. The README has the figures.
//!
//! # Worked example
//!
//! `R = [[5, 3, ?], [4, ?, 1], [?, 2, 5]]` with the vectors
//! `U = [[1.2, 0.5], [1.0, 0.3], [0.2, 1.1]]` and `V = [[1.5, 0.4], [0.9, 0.1], [0.1, 1.3]]`: the missing
//! cells are predicted by their dot products, `r̂₁₃ = 1.2 · 0.1 + 0.5 · 1.3 = 0.77`, `r̂₂₂ = 0.93`, and the
//! whole matrix is `U Vᵀ = [[2.0, 1.13, 0.77], [1.62, 0.93, 0.49], [0.74, 0.29, 1.45]]`: far from `R`, for
//! these vectors were made up. Fitted ones reproduce what was observed:
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
//! // The classroom's 6 x 3 matrix whose rows are 1 2 3, by gradient descent with 2 factors.
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
//! `tests/it/worked.rs` fits `R` above by `als`, `sgd` and `bayes`.

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
mod start;
mod state;
mod sums;
mod sweep;
mod variational;

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

pub use als::Als;
pub use alternate::SolverChoice;
pub use bayes::Bayes;
pub use explain::Share;
pub use fold_in::{Fitted, Stored};
pub use gd::Gd;
pub use ials::Ials;
pub use sgd::{Schedule, Sgd};
pub use start::start;
pub use state::{Array, Start, State};
pub use variational::{Covariances, Spread, Variational};

use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, Scale, Scorer, Uncertainty};
use crate::ratings::{Moments, Ratings, Side};

/// What an algorithm fits.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The training cells.
    pub ratings: &'a Ratings,
    /// Their moments.
    pub moments: &'a Moments,
    /// A stable key per user, from which its random numbers derive (see [`crate::ids::Ids::keys`]).
    pub user_keys: &'a [u64],
    /// A stable key per item.
    pub item_keys: &'a [u64],
    /// Where to begin.
    pub start: Start<'a>,
    /// Set from outside to end the fit at the next unit of work.
    pub stop: &'a AtomicBool,
    /// The instruction set to use.
    pub kernels: Kernels,
}

impl Problem<'_> {
    /// Users and items.
    fn shape(&self) -> (usize, usize) {
        (self.ratings.users(), self.ratings.items())
    }
}

/// What an algorithm reports after each iteration.
#[derive(Debug, Clone, Copy)]
pub struct Iteration<'a> {
    /// Iterations done, from 1.
    pub number: u32,
    /// The objective per training cell, on standardised ratings.
    pub objective: f64,
    /// RMSE over the training cells, unweighted, predictions not clipped (of `sgd`, as each cell was met);
    /// none where it would take a pass of its own (`bayes`, `sgd` and `gd` with weights), and none without cells, or where scores are
    /// not ratings.
    pub train_rmse_raw: Option<f64>,
    /// For an iteration that is a sample of many, which predictions are to be averaged over.
    pub sample: Option<Sample>,
    /// Predicts with the factors as they stand.
    pub scorer: Scorer<'a>,
    /// Captures what is needed to go on from here.
    pub snapshot: Snapshot<'a>,
}

/// Captures the state of a fit after an iteration, for [`Start::State`].
#[derive(Clone, Copy)]
pub struct Snapshot<'a>(&'a dyn Fn() -> State);

impl Snapshot<'_> {
    /// A copy of the state: about as large as the factors.
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
    /// From 1.
    pub number: u32,
    /// Standard deviation of a rating around its prediction, in ratings.
    pub noise: f64,
}

/// What is left of many samples beside the published factors.
#[derive(Debug, Clone)]
pub struct Averaged {
    /// Number of samples.
    pub samples: u32,
    /// Standard deviation of a rating around its prediction, in ratings: root mean square over the
    /// samples.
    pub noise: f64,
    /// Samples kept whole, on the scale of the fit's factors.
    pub kept: Vec<Factors>,
    /// The covariances of all rows, where every row has its own.
    pub spread: Option<Spread>,
    /// What is known of the rows beside their means.
    pub uncertainty: Option<Uncertainty>,
}

impl Averaged {
    /// The variance of `b_u + b_i + p_u·q_i` on standardised ratings, the noise of a rating left out, for
    /// factors that were fitted to `ratings`; none where it is not known without samples.
    #[must_use]
    pub fn variance(
        &self,
        factors: &Factors,
        ratings: &Ratings,
        (user, item): (usize, usize),
    ) -> Option<f64> {
        if let Some(spread) = &self.spread {
            return Some(spread.variance(user, item));
        }
        let (users, items) = (&ratings.by_user, &ratings.by_item);
        let of = |u: &Uncertainty| {
            let user = (&factors.users, user, users.count(user));
            u.variance(user, (&factors.items, item, items.count(item)))
        };
        self.uncertainty.as_ref().map(of)
    }
}

/// Called after each iteration; `Break` ends the fit with the factors as they stand.
pub type Observer<'o> = dyn FnMut(&Iteration<'_>) -> ControlFlow<()> + 'o;

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All iterations were done.
    Iterations,
    /// The objective improved by less than the tolerance.
    Tolerance,
    /// The observer ended it.
    Observer,
}

/// The outcome of a fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The factors, on the scale of standardised ratings; rows without cells are zero.
    pub factors: Factors,
    /// How they become scores; factors are published as `√s p`, `√s q`, `s b` with its deviation `s`.
    pub scale: Scale,
    /// Iterations done.
    pub iterations: u32,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Where the factors stand for many samples.
    pub averaged: Option<Averaged>,
}

impl Fit {
    /// Predicts with these factors.
    #[must_use]
    pub const fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }
}

/// A way to fit factors.
pub trait Algorithm: Send + Sync {
    /// Kebab-case name, unique among the algorithms.
    fn name(&self) -> &'static str;

    /// Fits factors to the training cells.
    ///
    /// The result is the same, bit for bit, for any number of threads.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a stop was asked for, [`Error::Numeric`] if a row could not be solved.
    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit>;

    /// Vectors and biases of new rows of one side (their cells name rows of the other side), exactly as
    /// a half-sweep over them would give: one solve per row.
    ///
    /// # Errors
    /// [`Error::Usage`] for algorithms that have no such solve, else as [`Algorithm::fit`].
    fn fold_in(&self, _fitted: &Fitted<'_>, _rows: (Axis, &Side)) -> Result<Embedding> {
        Err(Error::Usage(format!(
            "new users and items are folded in exactly by als and ials; {} has no such solve",
            self.name()
        )))
    }

    /// How much the cells of every row of `users` carry to the scores of the items listed for it, on the
    /// scale of the fit: the largest ones, at most so many; see [`Stored::explain`].
    ///
    /// # Errors
    /// [`Error::Usage`] for algorithms whose scores are no such sums.
    fn explain(
        &self,
        _fitted: &Fitted<'_>,
        _users: &Side,
        _wanted: (&[Vec<u32>], usize),
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        Err(Error::Usage(format!(
            "scores of als and ials are sums over the user's ratings and can be explained; those of {} are not",
            self.name()
        )))
    }
}

/// Ends with [`Error::Stopped`] where a stop was asked for.
fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
}
