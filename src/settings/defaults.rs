//! Defaults that several settings share. Each one is written here and nowhere else; defaults of one
//! algorithm stand with it.

use crate::param::{Count, Fraction, NonNegative, Rank};

/// Number of factors of `als`, `ials` and `sgd`, and of estimates made before an algorithm is chosen.
pub(crate) const RANK: Rank = Rank::literal(64);

/// Iterations of alternating least squares.
pub(crate) const SWEEPS: Count = Count::literal(15);

/// Alternating least squares ends when an iteration improves the objective by less than this share.
pub(crate) const TOLERANCE: NonNegative = NonNegative::literal(1e-4);

/// Damping of biases, in ratings.
pub(crate) const BIAS_DAMPING: NonNegative = NonNegative::literal(4.0);

/// Share of the ratings, or of the users, that are held out.
pub(crate) const TEST_RATIO: Fraction = Fraction::literal(0.1);

/// Share of the ratings of a held-out user that it is folded in from.
pub(crate) const FOLD_IN_RATIO: Fraction = Fraction::literal(0.8);

/// Seed of everything random in a training.
pub(crate) const SEED: u64 = 42;
