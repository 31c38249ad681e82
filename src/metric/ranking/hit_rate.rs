//! Hit rate: the share of users with at least one hit.

use super::Judged;

/// 1 if any of the first `k` items is relevant, else 0 (Deshpande, Karypis 2004).
pub(super) fn hit_rate(judged: Judged<'_>, k: usize) -> f64 {
    f64::from(u8::from(judged.first(k).any(|hit| *hit)))
}
