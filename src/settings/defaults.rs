//! Defaults that several settings share, each defined here alone.
//!
//! The defaults of a single algorithm are in that algorithm's file.

use crate::param::{Count, Fraction, NonNegative, Rank};

/// Number of factors of `als`, `ials` and `sgd`.
///
/// Estimates that are made before an algorithm is chosen use it as well.
pub(crate) const RANK: Rank = Rank::literal(64);

/// Maximum number of iterations of alternating least squares.
pub(crate) const SWEEPS: Count = Count::literal(15);

/// Relative improvement of the objective below which alternating least squares ends.
pub(crate) const TOLERANCE: NonNegative = NonNegative::literal(1e-4);

/// Damping of the biases, as a number of ratings.
pub(crate) const BIAS_DAMPING: NonNegative = NonNegative::literal(4.0);

/// Share of the ratings, or of the users, that is held out.
pub(crate) const TEST_RATIO: Fraction = Fraction::literal(0.1);

/// Share of a held-out user's ratings that fold the user in.
pub(crate) const FOLD_IN_RATIO: Fraction = Fraction::literal(0.8);

/// Seed of all random numbers of a training.
pub(crate) const SEED: u64 = 42;
