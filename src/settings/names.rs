//! What settings are called.

use serde::{Deserialize, Serialize};

/// The algorithms by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum AlgorithmName {
    /// Explicit ratings: alternating least squares.
    Als,
    /// Implicit feedback (counts, clicks): alternating least squares over all pairs.
    Ials,
    /// Explicit ratings: mean of the posterior, the most accurate; nothing to tune.
    Bayes,
    /// Explicit ratings: stochastic gradient descent.
    Sgd,
    /// Full-batch gradient descent, the method of the classroom, on raw ratings.
    Gd,
}

impl AlgorithmName {
    /// All of them, in the order in which messages list them.
    pub const ALL: [Self; 5] = [Self::Als, Self::Ials, Self::Bayes, Self::Sgd, Self::Gd];

    /// As `--algorithm` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Als => "als",
            Self::Ials => "ials",
            Self::Bayes => "bayes",
            Self::Sgd => "sgd",
            Self::Gd => "gd",
        }
    }
}

/// How a row is solved, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum SolverName {
    /// Exactly.
    Cholesky,
    /// Approximately, by steps of conjugate gradients.
    Cg,
    /// Block by block of the vector (iALS++).
    Subspace,
}

/// How bayes approaches the posterior, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum InferenceName {
    /// Means over samples drawn one after another.
    Gibbs,
    /// Variational: the best independent normal distributions, a row each.
    Vb,
}

/// Which rows of a variational posterior have which covariance, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum CovarianceName {
    /// Users (or items) with similar numbers of ratings share one.
    Shared,
    /// Every user and item has its own: several times the time, k²/2 numbers of memory each.
    Own,
}

/// How the rate of sgd shrinks, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// For each user and item by the gradients it has met.
    Adaptive,
    /// For all alike, by the root of the epoch's number.
    Decay,
}

/// How a count becomes a confidence, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ConfidenceName {
    /// 1, whatever the count.
    Unit,
    /// 1 + α r.
    Linear,
    /// 1 + α ln(1 + r/ε).
    Log,
    /// α r.
    Raw,
}
