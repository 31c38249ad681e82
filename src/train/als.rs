//! Alternating least squares for explicit ratings.
//!
//! Each iteration solves all users with the items fixed, then all items with the users fixed. Every
//! row is solved exactly (Zhou, Wilkinson, Schreiber, Pan 2008), with its bias as one more unknown,
//! or approximately, depending on [`SolverChoice`]. The objective of [`crate::objective::Explicit`]
//! never rises. An exact iteration costs `2 N k (k + 1) + (m + n)(k³/3 + 2k²)` flops for `N`
//! ratings of `m` users and `n` items at rank `k`.

use super::alternate::{Alternation, start_items};
use super::explain::explain;
use super::share::Share;
use super::{Algorithm, Fit, Fitted, Problem, SolverChoice};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::model::{Embedding, Scale};
use crate::objective::{Explicit, Regularization, Standardisation};
use crate::ratings::Side;

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Als {
    /// Entries of a vector; 0 fits biases alone.
    pub rank: usize,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Relative improvement of the objective below which the fit ends; 0 disables this.
    pub tolerance: f64,
    /// Strength of the regularisation.
    pub regularization: Regularization,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Subtract the mean and divide by the standard deviation first; otherwise fit raw ratings with
    /// μ = 0.
    pub mean: bool,
    /// How rows are solved. [`SolverChoice::Nonnegative`] requires `biases` and `mean` to be off.
    pub solver: SolverChoice,
    /// Seed of the starting vectors.
    pub seed: u64,
}

impl Algorithm for Als {
    fn name(&self) -> &'static str {
        "als"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut super::Observer<'_>) -> Result<Fit> {
        if self.solver == SolverChoice::Nonnegative && (self.biases || self.mean) {
            let message = "nonnegative factors go without biases and without a mean";
            return Err(Error::Usage(message.into()));
        }
        let scale = Scale::ratings(problem.moments, self.mean, self.biases);
        let standard = Standardisation { mean: scale.mean, deviation: scale.deviation };
        let objective = Explicit::new(problem.ratings, standard, self.regularization, self.biases);
        let alternation = Alternation {
            problem,
            objective: &objective,
            rank: self.rank,
            iterations: self.iterations,
            tolerance: self.tolerance,
            scale,
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

impl Als {
    /// The objective of one row that is solved against fitted factors.
    fn objective(&self, fitted: &Fitted<'_>) -> Explicit {
        let Fitted { published, scale, .. } = *fitted;
        let standard = Standardisation { mean: scale.mean, deviation: scale.deviation / published };
        let regularization = Regularization {
            users: self.regularization.users * published,
            items: self.regularization.items * published,
            ..self.regularization
        };
        Explicit::with_counts(fitted.mean_counts, standard, regularization, self.biases)
    }
}

#[cfg(test)]
mod tests;
