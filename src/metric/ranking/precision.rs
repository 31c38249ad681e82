//! Precision: the share of the first `k` places that hold a relevant item.

use super::Judged;

/// `hits@k / k`. The denominator is `k` even if the list is shorter (Manning, Raghavan, Schütze
/// 2008, section 8.4).
pub(super) fn precision(judged: Judged<'_>, k: usize) -> f64 {
    judged.hits_at(k) as f64 / k as f64
}
