//! Area under the ROC curve of one user's candidates.

/// The share of pairs of a relevant and another candidate in which the relevant one scores higher.
///
/// Ties count half (Mann, Whitney 1947; Fawcett 2006). Relevant items that are not candidates lose
/// all their pairs. `None` if no item is relevant, or if every candidate is relevant.
///
/// `counts[j]` holds the number of candidates above the `j`-th relevant candidate, and the number
/// equal to it (itself included). `scores[j]` is its score.
pub(super) fn auc(
    counts: &[(u32, u32)],
    scores: &[f32],
    candidates: usize,
    relevant: usize,
) -> Option<f64> {
    let others = candidates - scores.len();
    if others == 0 || relevant == 0 {
        return None;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let won = |(&(above, equal), score): (&(u32, u32), &f32)| {
        // Pairs of two relevant candidates do not count. (Zeros of either sign are equal.)
        let own_above = sorted.partition_point(|s| s > score);
        let own_equal = sorted.partition_point(|s| s >= score) - own_above;
        let (above, equal) = (above as usize - own_above, equal as usize - own_equal);
        (others - above - equal) as f64 + equal as f64 / 2.0
    };
    let won: f64 = counts.iter().zip(scores).map(won).sum();
    Some(won / (others as f64 * relevant as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted() {
        // The candidates score 5, 4, 4, 3, 1. One of the 4s and the 1 are relevant.
        let area = |relevant| auc(&[(1, 2), (4, 1)], &[4.0, 1.0], 5, relevant);
        // Against 3 others, the 4 wins once, ties once and loses once; the 1 loses to all.
        assert_eq!(area(2), Some(1.5 / 6.0));
        // A third relevant item that is not a candidate loses three more pairs.
        assert_eq!(area(3), Some(1.5 / 9.0));
        assert_eq!(auc(&[], &[], 5, 1), Some(0.0));
        assert_eq!(auc(&[(0, 1)], &[1.0], 1, 1), None);
    }

    #[test]
    fn signed_zeros_are_equal() {
        assert_eq!(auc(&[(0, 3), (0, 3)], &[0.0, -0.0], 3, 2), Some(0.5));
    }
}
