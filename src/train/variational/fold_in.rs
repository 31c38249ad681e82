//! Fold-in by variational inference: the posterior of a new row takes one solve.
//!
//! The distributions of the other side's rows are fixed.

use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

use super::settings::Variational;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::NormalEquations;
use crate::model::{
    Beliefs, Embedding, Uncertainty, class_count, covariance_class, covariance_share,
};
use crate::objective::{Explicit, Objective, Posterior, Regularization, Standardisation};
use crate::ratings::{Row, Side};
use crate::solver::{Classes, Expected, SharedCovariance};
use crate::train::check_stop;
use crate::train::hyper::Prior;
use crate::train::sweep::{HalfSweep, Partitions};
use crate::train::{Fitted, Share};

/// One side of a fitted model on standardised ratings, for solving the other side's rows against
/// it.
struct Fixed<'a> {
    uncertainty: &'a Uncertainty,
    embedding: Embedding,
    counts: Vec<u32>,
    /// The prior and covariances of the fixed side.
    beliefs: &'a Beliefs,
    /// The prior and covariances of the side to solve.
    own: &'a Beliefs,
    explicit: Explicit,
}

impl<'a> Fixed<'a> {
    fn new(fitted: &Fitted<'a>, solved: Axis) -> Result<Self> {
        let Some(uncertainty) = fitted.uncertainty else {
            return Err(Error::Usage(
                "the model does not keep its posterior (it was trained by sampling or by an older \
                 release): train it again with --inference vb"
                    .into(),
            ));
        };
        let (mut embedding, counts, beliefs, own) = match solved {
            Axis::User => (
                fitted.factors.items.clone(),
                fitted.counts.items.to_vec(),
                &uncertainty.items,
                &uncertainty.users,
            ),
            Axis::Item => (
                fitted.factors.users.clone(),
                fitted.counts.users.to_vec(),
                &uncertainty.users,
                &uncertainty.items,
            ),
        };
        embedding.rescale(1.0 / fitted.published);
        if uncertainty.rank() != embedding.vectors.cols() || counts.len() != embedding.biases.len()
        {
            return Err(Error::Internal("a posterior that belongs to other factors".into()));
        }
        let none =
            Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };
        let standard =
            Standardisation { mean: fitted.scale.mean, deviation: fitted.scale.deviation };
        let explicit =
            Explicit::with_counts(fitted.mean_counts, standard, none, uncertainty.biases);
        Ok(Self { uncertainty, embedding, counts, beliefs, own, explicit })
    }

    fn prior(&self) -> (Vec<f64>, Vec<f64>) {
        Prior::from_numbers(&self.own.precision, &self.own.mean).over(self.uncertainty.precision)
    }
}

impl Variational {
    pub(super) fn fold_in_rows(fitted: &Fitted<'_>, axis: Axis, side: &Side) -> Result<Embedding> {
        let fixed = Fixed::new(fitted, axis)?;
        if side.values.cols() != fixed.embedding.vectors.rows() {
            return Err(Error::Internal("fold-in of cells that belong to other factors".into()));
        }
        let (rank, biases) = (fixed.uncertainty.rank(), fixed.uncertainty.biases);
        let classes = Classes::by_counts(fixed.counts.iter().map(|&count| count.max(1) as usize));
        let expected = Expected::new(&classes, &fixed.beliefs.covariances, rank, biases);
        let (matrix, rhs) = fixed.prior();
        let mut own = Embedding::zeros(side.rows(), rank);
        let half = HalfSweep {
            axis,
            side,
            partitions: &Partitions::new(side, rank),
            objective: &Posterior::new(
                &fixed.explicit,
                NormalEquations::from_dense(&matrix, &rhs, biases),
            ),
            solver: &SharedCovariance {
                kernels: fitted.kernels,
                expected: Some(&expected),
                precision: fixed.uncertainty.precision,
                constant: 0.0,
                sample: None,
            },
            kernels: fitted.kernels,
            stop: fitted.stop,
            losses: false,
        };
        half.run(&fixed.embedding, &mut own)?;
        own.rescale(fitted.published);
        Ok(own)
    }

    /// The same as [`super::super::explain`], under the posterior.
    ///
    /// The contribution of the prior belongs to no rating.
    pub(super) fn explain_rows(
        fitted: &Fitted<'_>,
        users: &Side,
        items: &[Vec<u32>],
        most: usize,
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        let fixed = Fixed::new(fitted, Axis::User)?;
        let order = fixed.own.mean.len();
        let prior = DMatrix::from_row_slice(order, order, &fixed.prior().0);
        let explain = |(row, items): (usize, &Vec<u32>)| {
            check_stop(fitted.stop)?;
            let shares = fixed.shares(&prior, users.row(row), items, most, fitted.published);
            let message = "the system of its ratings is not positive definite";
            shares.ok_or_else(|| Error::numeric(Axis::User, row, message))
        };
        items.par_iter().enumerate().map(|(row, items)| explain((row, items))).collect()
    }
}

impl Fixed<'_> {
    fn shares(
        &self,
        prior: &DMatrix<f64>,
        row: Row<'_>,
        items: &[u32],
        most: usize,
        published: f64,
    ) -> Option<Vec<Vec<Share>>> {
        let (mut weights, mut targets) = (Vec::new(), Vec::new());
        self.explicit.terms(row, &self.embedding.biases, &mut weights, &mut targets);
        let order = prior.nrows();
        let rank = self.embedding.vectors.cols();
        let extended = |item: u32| {
            let vector = self.embedding.vectors.row(item as usize);
            let entry = |at: usize, _| vector.get(at).map_or(1.0, |&v| f64::from(v));
            DVector::from_fn(order, entry)
        };
        // The matrix A, and what each rating adds to the right-hand side.
        let mut system = prior.clone();
        let mut sides = Vec::with_capacity(row.len());
        for (nth, &item) in row.indices.iter().enumerate() {
            let weight = weights.get(nth).map_or(1.0, |&w| f64::from(w));
            let y = extended(item);
            system.ger(weight, &y, &y, 1.0);
            let mut side = y * f64::from(targets[nth]);
            let count = self.counts[item as usize].max(1) as usize;
            let weight = weight * covariance_share(class_count(covariance_class(count)));
            if let Some(covariance) = self.beliefs.covariance(count) {
                for i in 0..rank {
                    for j in 0..rank {
                        system[(i, j)] += weight * covariance[i * order + j];
                    }
                    if order > rank {
                        side[i] -= weight * covariance[i * order + rank];
                    }
                }
            }
            sides.push(side);
        }
        let factor = Cholesky::new(system)?;
        let share = |item: &u32| {
            let direction = factor.solve(&extended(*item));
            let share = |(rating, side): (u32, &DVector<f64>)| Share {
                rating,
                share: published * direction.dot(side),
            };
            let mut shares: Vec<Share> = (0..).zip(&sides).map(share).collect();
            shares.sort_by(|a, b| b.share.total_cmp(&a.share));
            shares.truncate(most);
            shares
        };
        Some(items.iter().map(share).collect())
    }
}
