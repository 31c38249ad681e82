//! Alternating least squares for explicit ratings.
//!
//! Each iteration solves all users with the items fixed, then all items with the users fixed; every
//! row exactly, its bias jointly with its vector (Zhou, Wilkinson, Schreiber, Pan 2008; joint biases
//! as one more unknown). The objective of [`crate::objective::Explicit`] never rises. An iteration
//! costs `2 N k (k + 1) + (m + n)(k³/3 + 2k²)` flops for N ratings of m users and n items at rank k.

use std::ops::ControlFlow;

use super::sweep::{HalfSweep, Partitions};
use super::{Algorithm, Fit, Iteration, Problem, StopReason, check_stop, start};
use crate::error::Result;
use crate::ids::Axis;
use crate::model::{Embedding, Factors, Scorer};
use crate::objective::{Explicit, Regularization};
use crate::ratings::Moments;
use crate::solver::Cholesky;

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Als {
    /// Entries of a vector; 0 fits biases alone.
    pub rank: usize,
    /// Most iterations to run.
    pub iterations: u32,
    /// Ends when the objective's relative improvement falls below this; 0 never does.
    pub tolerance: f64,
    /// Strength of the regularisation.
    pub regularization: Regularization,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Subtract the mean and divide by the deviation first; otherwise fit raw ratings with μ = 0.
    pub mean: bool,
    /// Seed of the starting vectors.
    pub seed: u64,
}

impl Algorithm for Als {
    fn name(&self) -> &'static str {
        "als"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut super::Observer<'_>) -> Result<Fit> {
        let Problem { ratings, moments, .. } = *problem;
        let moments =
            if self.mean { *moments } else { Moments { mean: 0.0, deviation: 1.0, ..*moments } };
        let objective = Explicit::new(ratings, &moments, self.regularization, self.biases);
        let mut factors = match problem.start {
            Some(start) => start.clone(),
            None => self.start(problem),
        };
        let partitions = (
            Partitions::new(&ratings.by_user, self.rank),
            Partitions::new(&ratings.by_item, self.rank),
        );
        let solver = Cholesky::new(problem.kernels);
        let half = |axis, side, partitions, losses| HalfSweep {
            axis,
            side,
            partitions,
            objective: &objective,
            solver: &solver,
            kernels: problem.kernels,
            stop: problem.stop,
            losses,
        };
        let users = half(Axis::User, &ratings.by_user, &partitions.0, false);
        let items = half(Axis::Item, &ratings.by_item, &partitions.1, true);
        let mut previous = f64::INFINITY;
        let (mut done, mut stop_reason) = (0, StopReason::Iterations);
        while done < self.iterations {
            let penalty = users.run(&factors.items, &mut factors.users)?.penalty;
            let loss = items.run(&factors.users, &mut factors.items)?;
            done += 1;
            let total = loss.objective + loss.penalty + penalty;
            let iteration = Iteration {
                number: done,
                objective: total / ratings.len().max(1) as f64,
                train_rmse_raw: (!ratings.is_empty())
                    .then(|| (loss.squared / ratings.len() as f64).sqrt() * moments.deviation),
                scorer: Scorer {
                    factors: &factors,
                    mean: moments.mean,
                    scale: moments.deviation,
                    biases: self.biases,
                    fallback: problem.moments.mean,
                    range: (f64::from(moments.min), f64::from(moments.max)),
                },
            };
            if observer(&iteration) == ControlFlow::Break(()) {
                stop_reason = StopReason::Observer;
                break;
            }
            check_stop(problem.stop)?;
            if self.tolerance > 0.0 && previous - total < self.tolerance * total {
                stop_reason = StopReason::Tolerance;
                break;
            }
            previous = total;
        }
        Ok(Fit {
            factors,
            mean: moments.mean,
            deviation: moments.deviation,
            biases: self.biases,
            iterations: done,
            stop_reason,
        })
    }
}

impl Als {
    /// Random item vectors; users and biases are zero, for the first half-sweep solves the users.
    fn start(&self, problem: &Problem<'_>) -> Factors {
        let items = start(self.seed, Axis::Item, problem.item_keys, self.rank);
        Factors {
            users: Embedding::zeros(problem.ratings.users(), self.rank),
            items: Embedding { biases: vec![0.0; items.rows()], vectors: items },
        }
    }
}

#[cfg(test)]
mod tests;
