//! Measures how near the top of a ranked list a user's relevant items are.
//!
//! Every user with at least one relevant item (a held-out cell, see [`Judgements`]) counts once.
//! Other users are left out. A list holds the best candidates: higher scores first, equal scores by
//! position (that is, by id). A user with fewer than `k` candidates has a shorter list. Each metric
//! defines its own denominator, which is never the length of the list.

mod auc;
mod average_precision;
mod coverage;
mod evaluate;
mod gini;
mod hit_rate;
mod judged;
mod ndcg;
mod popularity;
mod precision;
mod recall;
mod reciprocal_rank;
mod registry;

pub use evaluate::{Judgements, Lists, Ranking, rank};
pub use judged::{Judged, Recommended};
pub use registry::{RankingMetric, UnknownMetric};
