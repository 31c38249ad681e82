//! Reciprocal rank; its mean over the users is MRR.

use super::Judged;

/// `1 / place` of the first hit among the first `k` items, or 0 without a hit (Voorhees 1999).
pub(super) fn reciprocal_rank(judged: Judged<'_>, k: usize) -> f64 {
    judged.first(k).position(|hit| *hit).map_or(0.0, |place| 1.0 / (place + 1) as f64)
}
