//! Recall: the share of the relevant items that are among the first `k`.

use super::Judged;

/// `hits@k / relevant` (Manning, Raghavan, Schütze 2008, section 8.3).
pub(super) fn recall(judged: Judged<'_>, k: usize) -> f64 {
    judged.hits_at(k) as f64 / judged.relevant as f64
}

/// `hits@k / min(k, relevant)`: every user can reach 1 (Liang, Krishnan, Hoffman, Jebara 2018,
/// section 4.2; the recall of the iALS papers).
pub(super) fn recall_min(judged: Judged<'_>, k: usize) -> f64 {
    judged.hits_at(k) as f64 / judged.relevant.min(k) as f64
}
