//! Fold-in: vectors of rows that training did not see.
//!
//! Each row takes one exact solve with the other side fixed.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use lacuna::ids::{Axis, Ids};
//! use lacuna::linalg::simd::Kernels;
//! use lacuna::model::Model;
//! use lacuna::objective::Regularization;
//! use lacuna::ratings::{Cell, Ratings};
//! use lacuna::train::{Algorithm, Als, Problem, SolverChoice, Start, Stored};
//!
//! let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
//! let cells = [
//!     cell(0, 0, 5.0), cell(0, 1, 1.0), cell(1, 0, 4.0), cell(1, 2, 2.0), cell(2, 1, 5.0),
//! ];
//! let ratings = Ratings::from_sorted(3, 3, &cells);
//! let (users, items) = (Ids::range(3), Ids::range(3));
//! let regularization =
//!     Regularization { users: 0.1, items: 0.1, biases: 0.1, damping: 0.0, exponent: 0.5 };
//! let als = Als {
//!     rank: 2, iterations: 20, tolerance: 0.0, regularization, biases: true, mean: true,
//!     solver: SolverChoice::Cholesky, seed: 42,
//! };
//! let stop = AtomicBool::new(false);
//! let fit = als.fit(
//!     &Problem {
//!         ratings: &ratings, moments: &ratings.moments(), user_keys: &users.keys("user"),
//!         item_keys: &items.keys("item"), start: Start::Random, stop: &stop,
//!         kernels: Kernels::detect(),
//!     },
//!     &mut |_| std::ops::ControlFlow::Continue(()),
//! )?;
//! let mut factors = fit.factors;
//! factors.rescale(fit.scale.deviation);
//! let model = Model::new(&factors, &users, &items, &ratings, &fit.scale);
//!
//! // A fourth user has rated two of the items.
//! let new = Ratings::from_sorted(1, 3, &[cell(0, 0, 1.0), cell(0, 1, 5.0)]).by_user;
//! let stored = Stored::fitted_to(&model, fit.scale.deviation, &ratings, &stop);
//! let folded = stored.fold_in(&als, Axis::User, &new)?;
//! assert_eq!(folded.vectors.rows(), 1);
//! // How much does each of the two ratings contribute to the score of item 2?
//! let shares = stored.explain(&als, &new, &[vec![2]], 5)?;
//! assert_eq!(shares[0][0].len(), 2);
//! # Ok::<(), lacuna::error::Error>(())
//! ```

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

use super::sweep::{HalfSweep, Partitions};
use super::{Algorithm, Share, SolverChoice};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, Model, Scale, Uncertainty};
use crate::objective::Objective;
use crate::pair::Pair;
use crate::ratings::{Ratings, Side};
use crate::solver::{Cholesky, Nonnegative, Solver};

/// The result of a fit, against which new rows are solved.
#[derive(Debug, Clone)]
pub struct Fitted<'a> {
    /// The factors.
    pub factors: &'a Factors,
    /// The deviation `s` for published factors, which are on the rating scale; 1 for factors on the
    /// scale of the fit (standardised ratings).
    ///
    /// For published factors `√s p`, `√s q`, `s b`, the objective on standardised ratings times
    /// `s²` equals the objective on ratings minus their mean with `s λ` for the vectors.
    pub published: f64,
    /// How the factors become scores.
    pub scale: Scale,
    /// Mean number of training ratings per user and per item, over those that have any.
    pub mean_counts: Pair<f64>,
    /// Numbers of users and of items with training ratings.
    pub rows: Pair<usize>,
    /// Number of training ratings of every user and of every item.
    pub counts: Pair<Cow<'a, [u32]>>,
    /// The priors and covariances of the rows, from variational inference.
    pub uncertainty: Option<&'a Uncertainty>,
    /// The instruction set to use.
    pub kernels: Kernels,
    /// Set from outside to end at the next unit of work.
    pub stop: &'a AtomicBool,
}

impl<'a> Fitted<'a> {
    /// Wraps factors that were fitted to `ratings`.
    #[must_use]
    pub fn new(
        factors: &'a Factors,
        scale: Scale,
        ratings: &Ratings,
        kernels: Kernels,
        stop: &'a AtomicBool,
    ) -> Self {
        let Ratings { by_user, by_item } = ratings;
        let counts = |side: &Side| (0..side.rows()).map(|row| side.count(row) as u32).collect();
        Self {
            factors,
            published: 1.0,
            scale,
            mean_counts: Pair::new(by_user.mean_count(), by_item.mean_count()),
            rows: Pair::new(by_user.rows_with_cells(), by_item.rows_with_cells()),
            counts: Pair::new(Cow::Owned(counts(by_user)), Cow::Owned(counts(by_item))),
            uncertainty: None,
            kernels,
            stop,
        }
    }

    /// Adds the priors and covariances of variational inference.
    #[must_use]
    pub fn with_uncertainty(self, uncertainty: Option<&'a Uncertainty>) -> Self {
        Self { uncertainty, ..self }
    }

    /// Solves the rows of `side` exactly, as a half-sweep with an exact solver would.
    ///
    /// `axis` says whether the rows are users or items.
    pub(super) fn solve(
        &self,
        objective: &impl Objective,
        choice: SolverChoice,
        axis: Axis,
        side: &Side,
    ) -> Result<Embedding> {
        let fixed = match axis {
            Axis::User => &self.factors.items,
            Axis::Item => &self.factors.users,
        };
        if side.values.cols() != fixed.vectors.rows() {
            return Err(Error::Internal("fold-in of cells that belong to other factors".into()));
        }
        match choice {
            SolverChoice::Nonnegative => {
                self.half(objective, &Nonnegative::new(self.kernels), axis, side, fixed)
            }
            _ => self.half(objective, &Cholesky::new(self.kernels), axis, side, fixed),
        }
    }

    fn half(
        &self,
        objective: &impl Objective,
        solver: &impl Solver,
        axis: Axis,
        side: &Side,
        fixed: &Embedding,
    ) -> Result<Embedding> {
        let rank = self.factors.rank();
        let partitions = &Partitions::new(side, rank);
        let Self { kernels, stop, .. } = *self;
        let mut own = Embedding::zeros(side.rows(), rank);
        HalfSweep { axis, side, partitions, objective, solver, kernels, stop, losses: false }
            .run(fixed, &mut own)?;
        Ok(own)
    }
}

/// A model on the rating scale, with the training statistics that further rows need.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The model.
    pub model: &'a Model,
    /// The deviation `s` of the ratings that the model was fitted to; 1 if they were not
    /// standardised.
    pub deviation: f64,
    /// Mean number of training ratings per user and per item, over those that have any.
    pub mean_counts: Pair<f64>,
    /// The instruction set to use.
    pub kernels: Kernels,
    /// Set from outside to end at the next unit of work.
    pub stop: &'a AtomicBool,
}

impl<'a> Stored<'a> {
    /// Wraps a model that was fitted to `ratings`, standardised by `deviation`.
    #[must_use]
    pub fn fitted_to(
        model: &'a Model,
        deviation: f64,
        ratings: &Ratings,
        stop: &'a AtomicBool,
    ) -> Self {
        let mean_counts = Pair::new(ratings.by_user.mean_count(), ratings.by_item.mean_count());
        Self { model, deviation, mean_counts, kernels: Kernels::detect(), stop }
    }

    /// Vectors and biases, on the rating scale, of the rows of `side`.
    ///
    /// The rows are users or items, as `axis` says; their cells name rows of the model's other
    /// side. Each row takes one exact solve with the other side fixed, as in a half-sweep.
    ///
    /// # Errors
    /// [`Error::Usage`] for algorithms without such a solve, [`Error::Numeric`],
    /// [`Error::Stopped`].
    pub fn fold_in(&self, algorithm: &dyn Algorithm, axis: Axis, side: &Side) -> Result<Embedding> {
        algorithm.fold_in(&self.fitted(), axis, side)
    }

    /// How much each user's ratings contribute to the scores of the items listed for that user.
    ///
    /// For every row of `users` and every item of its list, returns the `most` largest shares,
    /// largest first, on the rating scale. All shares of a score add up to `score - mean - b_i` for
    /// the user's exact vector (to the score for implicit feedback). With variational inference,
    /// the contribution of the prior is missing from that sum.
    ///
    /// # Errors
    /// The same as for [`Stored::fold_in`].
    pub fn explain(
        &self,
        algorithm: &dyn Algorithm,
        users: &Side,
        items: &[Vec<u32>],
        most: usize,
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        algorithm.explain(&self.fitted(), users, items, most)
    }

    fn fitted(&self) -> Fitted<'_> {
        Fitted {
            factors: &self.model.factors,
            published: self.deviation,
            scale: Scale { deviation: self.deviation, ..self.model.scale },
            mean_counts: self.mean_counts,
            rows: Pair::new(self.model.users.ids.len(), self.model.items.ids.len()),
            counts: Pair::new(
                Cow::Borrowed(&self.model.users.counts),
                Cow::Borrowed(&self.model.items.counts),
            ),
            uncertainty: self.model.uncertainty.as_ref(),
            kernels: self.kernels,
            stop: self.stop,
        }
    }
}
