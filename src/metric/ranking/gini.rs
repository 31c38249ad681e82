//! Gini index: how unequally the items are spread over the lists.

use super::Recommended;

/// `Σ (2 i − n − 1) x_i / (n Σ x)`, where `x_i` is the number of lists per item, in ascending
/// order.
///
/// `n` is the number of items in the catalogue. The index is 0 if all items are recommended equally
/// often, and near 1 if only a few items are recommended (Gini 1912; Fleder, Hosanagar 2009).
/// `None` if no item is recommended.
pub(super) fn gini(recommended: Recommended<'_>) -> Option<f64> {
    let mut times = recommended.times.to_vec();
    times.sort_unstable();
    let n = times.len() as f64;
    let total: f64 = times.iter().map(|&t| t as f64).sum();
    let weighted = times.iter().zip(1..).map(|(&t, i)| (2.0 * f64::from(i) - n - 1.0) * t as f64);
    let weighted: f64 = weighted.sum();
    (total > 0.0).then(|| weighted / (n * total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_zero_and_one_item_alone_is_near_one() {
        let gini = |times: &[u64]| gini(Recommended { times, popularity: &[] });
        assert_eq!(gini(&[3; 7]), Some(0.0));
        assert_eq!(gini(&[0, 0, 8, 0]), Some(0.75));
        assert_eq!(gini(&[0; 3]), None);
    }
}
