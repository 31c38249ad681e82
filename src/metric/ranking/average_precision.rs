//! Average precision; its mean over the users is MAP.

use super::Judged;

/// The sum of `precision@place` over the hits, divided by `relevant`.
///
/// The definition is that of Manning, Raghavan, Schütze 2008, section 8.4, and of `map_cut` in
/// trec_eval. Some packages divide by `min(k, relevant)`. Their value is larger if a user has more
/// than `k` relevant items.
pub(super) fn average_precision(judged: Judged<'_>, k: usize) -> f64 {
    let (mut hits, mut sum) = (0.0, 0.0);
    for (place, _) in judged.first(k).enumerate().filter(|(_, hit)| **hit) {
        hits += 1.0;
        sum += hits / (place + 1) as f64;
    }
    sum / judged.relevant as f64
}
