//! How the holdout is chosen.

use serde::{Deserialize, Serialize};

/// How the holdout is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Holdout {
    /// A share of the ratings by a stable hash of user, item and salt: the same ones every night.
    Hash,
    /// An exact share of the ratings, drawn at random.
    Random,
    /// Each user's latest ratings.
    Last,
    /// All ratings from --split-time on.
    Time,
    /// Whole users (strong generalisation). Their vectors are solved from a share of their ratings,
    /// --fold-in-ratio.
    User,
    /// Nothing is held out.
    None,
}
