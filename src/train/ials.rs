//! Alternating least squares for implicit feedback.
//!
//! Every unobserved cell counts as a 0 of weight `α₀`, at no cost per cell: `α₀ YᵀY` is formed once
//! per half-sweep (Hu, Koren, Volinsky 2008; with frequency-scaled regularisation Rendle, Krichene,
//! Zhang, Koren 2021). See [`crate::objective::Implicit`] for the confidences and the objective,
//! which never rises. An exact iteration costs as much as one of [`super::Als`] plus `(m + n) k²`
//! flops.

use super::alternate::{Alternation, start_items};
use super::explain::explain;
use super::share::Share;
use super::{Algorithm, Fit, Fitted, Problem, SolverChoice};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::model::{Embedding, Scale};
use crate::objective::{Confidence, Implicit};
use crate::pair::Pair;
use crate::ratings::Side;

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Ials {
    /// Entries of a vector, at least 1.
    pub rank: usize,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Relative improvement of the objective below which the fit ends; 0 disables this.
    pub tolerance: f64,
    /// `λ` of the users and of the items.
    pub regularization: Pair<f64>,
    /// `ν`, the exponent of the regularisation's frequency scaling.
    pub exponent: f64,
    /// How values become confidences.
    pub confidence: Confidence,
    /// `α₀`, the weight of every unobserved pair; with [`Confidence::Unit`], of every pair.
    pub unobserved: f64,
    /// How rows are solved.
    pub solver: SolverChoice,
    /// Seed of the starting vectors.
    pub seed: u64,
}

impl Algorithm for Ials {
    fn name(&self) -> &'static str {
        "ials"
    }

    /// # Errors
    /// As for every algorithm, and [`Error::Usage`] if a value is negative.
    fn fit(&self, problem: &Problem<'_>, observer: &mut super::Observer<'_>) -> Result<Fit> {
        let Problem { ratings, moments, .. } = *problem;
        if moments.min < 0.0 {
            let message =
                format!("implicit feedback counts from 0 on, so {} is no value", moments.min);
            return Err(Error::Usage(message));
        }
        let objective = Implicit::new(
            problem.kernels,
            ratings,
            self.confidence,
            self.unobserved,
            self.regularization,
            self.exponent,
        );
        let alternation = Alternation {
            problem,
            objective: &objective,
            rank: self.rank,
            iterations: self.iterations,
            tolerance: self.tolerance,
            scale: Scale::preferences(),
        };
        let factors = start_items(problem, self.seed, self.rank, self.solver)?;
        alternation.run(self.solver, factors, observer)
    }

    fn fold_in(&self, fitted: &Fitted<'_>, axis: Axis, rows: &Side) -> Result<Embedding> {
        fitted.solve(&self.objective(fitted), self.solver, axis, rows)
    }

    fn explain(
        &self,
        fitted: &Fitted<'_>,
        users: &Side,
        items: &[Vec<u32>],
        most: usize,
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        explain(fitted, &self.objective(fitted), self.solver, users, items, most)
    }
}

impl Ials {
    /// The objective of one row that is solved against fitted factors.
    fn objective(&self, fitted: &Fitted<'_>) -> Implicit {
        Implicit::with_rows(
            fitted.kernels,
            fitted.rows,
            self.confidence,
            self.unobserved,
            self.regularization,
            self.exponent,
        )
    }
}

#[cfg(test)]
mod tests;
