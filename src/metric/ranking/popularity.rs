//! How popular the recommended items are.

use super::Recommended;

/// The mean popularity rank of the recommended items, over all places of all lists.
///
/// The most rated item has rank 1. Equally rated items share the mean of their ranks. A low value
/// means that the lists hold well-known items. `None` if no item is recommended.
pub(super) fn mean_popularity_rank(recommended: Recommended<'_>) -> Option<f64> {
    let Recommended { times, popularity } = recommended;
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|&item| std::cmp::Reverse(popularity[item]));
    let (mut sum, mut places, mut before) = (0.0, 0.0, 0);
    for group in order.chunk_by(|&a, &b| popularity[a] == popularity[b]) {
        let rank = before as f64 + (group.len() + 1) as f64 / 2.0;
        let shown: u64 = group.iter().map(|&item| times[item]).sum();
        sum += rank * shown as f64;
        places += shown as f64;
        before += group.len();
    }
    (places > 0.0).then(|| sum / places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_popularity_shares_a_rank() {
        let rank =
            |times: &[u64]| mean_popularity_rank(Recommended { times, popularity: &[5, 9, 5, 1] });
        // The items have ranks 2.5, 1, 2.5, 4.
        assert_eq!(rank(&[1, 1, 0, 2]), Some((2.5 + 1.0 + 8.0) / 4.0));
        assert_eq!(rank(&[0; 4]), None);
    }
}
