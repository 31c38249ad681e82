//! The values of settings that are names.

use serde::{Deserialize, Serialize};

macro_rules! algorithms {
    ($($(#[$doc:meta])* $algorithm:ident = $name:literal,)*) => {
        /// The algorithms by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
        #[serde(rename_all = "kebab-case")]
        pub enum AlgorithmName {
            $($(#[$doc])* $algorithm,)*
        }

        impl AlgorithmName {
            /// All algorithms, in the order in which messages list them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$algorithm),*];

            /// The name as `--algorithm` takes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$algorithm => $name,)*
                }
            }
        }
    };
}

algorithms! {
    /// Explicit ratings: alternating least squares.
    Als = "als",
    /// Implicit feedback (counts, clicks): alternating least squares over all pairs.
    Ials = "ials",
    /// Explicit ratings: mean of the posterior. The most accurate, with nothing to tune.
    Bayes = "bayes",
    /// Explicit ratings: stochastic gradient descent.
    Sgd = "sgd",
    /// Explicit ratings: full-batch gradient descent on raw ratings, as in textbooks.
    Gd = "gd",
}

/// The solvers of a row by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum SolverName {
    /// Exactly, by Cholesky decomposition.
    Cholesky,
    /// Approximately, by steps of conjugate gradients.
    Cg,
    /// One block of the vector at a time (iALS++).
    Subspace,
}

/// The ways in which bayes approximates the posterior, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum InferenceName {
    /// Gibbs sampling: averages over samples drawn one after another.
    Gibbs,
    /// Variational inference: approximates the posterior by one independent normal distribution per
    /// user and item.
    Vb,
}

/// Whether the rows of a variational posterior share covariances, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum CovarianceName {
    /// Users (or items) with similar numbers of ratings share a covariance.
    Shared,
    /// Every user and item has its own covariance. This takes k²/2 numbers of memory each and is
    /// several times slower.
    Own,
}

/// How the learning rate of sgd shrinks, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// Separately for each user and item, by its gradients so far.
    Adaptive,
    /// Equally for all users and items, by the square root of the epoch number.
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
