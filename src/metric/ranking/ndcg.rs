//! Normalised discounted cumulative gain with binary relevance.

use super::Judged;

/// The sum of `1 / log₂(place + 1)` over the hits, divided by its largest possible value.
///
/// That value is reached with `min(k, relevant)` hits at the top (Järvelin, Kekäläinen 2002).
pub(super) fn ndcg(judged: Judged<'_>, k: usize) -> f64 {
    let discount = |place: usize| 1.0 / ((place + 2) as f64).log2();
    let hits = judged.first(k).enumerate().filter(|(_, hit)| **hit);
    let gain: f64 = hits.map(|(place, _)| discount(place)).sum();
    let best: f64 = (0..judged.relevant.min(k)).map(discount).sum();
    gain / best
}
