//! Vectors of rows that training did not see: one exact solve each, the other side fixed.

use std::sync::atomic::AtomicBool;

use super::SolverChoice;
use super::sweep::{HalfSweep, Partitions};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::model::{Embedding, Factors, Scale};
use crate::objective::Objective;
use crate::ratings::{Ratings, Side};
use crate::solver::{Cholesky, Nonnegative, Solver};

/// What a fit left behind, which new rows are solved against.
#[derive(Debug, Clone, Copy)]
pub struct Fitted<'a> {
    /// The factors, on the scale of the fit (standardised ratings).
    pub factors: &'a Factors,
    /// How they become scores.
    pub scale: Scale,
    /// Mean numbers of training ratings, over the users and over the items that have any.
    pub mean_counts: (f64, f64),
    /// Users and items with training ratings.
    pub rows: (usize, usize),
    /// The instruction set to use.
    pub kernels: Kernels,
    /// Set from outside to end at the next unit of work.
    pub stop: &'a AtomicBool,
}

impl<'a> Fitted<'a> {
    /// Of factors fitted to `ratings`.
    #[must_use]
    pub fn new(
        factors: &'a Factors,
        scale: Scale,
        ratings: &Ratings,
        kernels: Kernels,
        stop: &'a AtomicBool,
    ) -> Self {
        let Ratings { by_user, by_item } = ratings;
        Self {
            factors,
            scale,
            mean_counts: (by_user.mean_count(), by_item.mean_count()),
            rows: (by_user.rows_with_cells(), by_item.rows_with_cells()),
            kernels,
            stop,
        }
    }

    /// Solves the rows of `side`, users or items as `axis` says, exactly: what a half-sweep would give.
    pub(super) fn solve(
        &self,
        objective: &impl Objective,
        choice: SolverChoice,
        (axis, side): (Axis, &Side),
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
                self.half(objective, &Nonnegative::new(self.kernels), (axis, side), fixed)
            }
            _ => self.half(objective, &Cholesky::new(self.kernels), (axis, side), fixed),
        }
    }

    fn half(
        &self,
        objective: &impl Objective,
        solver: &impl Solver,
        (axis, side): (Axis, &Side),
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
