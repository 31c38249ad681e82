//! Measures how far a set of values has drifted from an earlier set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The count of one distinct value, or of one range of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The value, or the lower end of the range.
    pub from: f32,
    /// The value, or the upper end of the range.
    pub to: f32,
    /// Number of values.
    pub count: u64,
}

/// Up to this many distinct values, each value has its own bin.
const EXACT: usize = 20;

/// Counts each distinct value if there are at most 20, otherwise each tenth of the range.
#[must_use]
pub fn histogram(values: impl Iterator<Item = f32> + Clone) -> Vec<Bin> {
    let mut exact: BTreeMap<u32, u64> = BTreeMap::new();
    // The bits of a float, flipped so that they sort as the numbers do.
    let order = |v: f32| if v.is_sign_negative() { !v.to_bits() } else { v.to_bits() | 1 << 31 };
    let number = |b: u32| f32::from_bits(if b >> 31 == 1 { b & !(1 << 31) } else { !b });
    for value in values.clone() {
        *exact.entry(order(value + 0.0)).or_default() += 1;
        if exact.len() > EXACT {
            break;
        }
    }
    if exact.len() <= EXACT {
        return exact
            .into_iter()
            .map(|(b, count)| Bin { from: number(b), to: number(b), count })
            .collect();
    }
    let (lo, hi) =
        values.clone().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let width = (hi - lo) / 10.0;
    let edge = |bin: usize| width.mul_add(bin as f32, lo);
    let mut bins: Vec<Bin> =
        (0..10).map(|b| Bin { from: edge(b), to: edge(b + 1), count: 0 }).collect();
    for value in values {
        bins[(((value - lo) / width) as usize).min(9)].count += 1;
    }
    bins
}

/// The population stability index of values against an earlier histogram.
///
/// The index is `Σ (p − q) ln(p / q)` over the bins, with shares `p` of the values and `q` of the
/// histogram (Siddiqi 2006). By convention, an index below 0.1 means no change and one above 0.25 a
/// large change. Values outside all bins form a bin of their own. An empty share counts as half a
/// value. `None` if either side has no values.
#[must_use]
pub fn stability_index(bins: &[Bin], values: impl Iterator<Item = f32>) -> Option<f64> {
    let mut counts = vec![0_u64; bins.len() + 1];
    for value in values {
        // A range includes its lower end. The last range, and a single number, include both ends.
        let inside = |(at, bin): (usize, &Bin)| {
            let last = at + 1 == bins.len() || bin.from == bin.to;
            value >= bin.from && (value < bin.to || (last && value <= bin.to))
        };
        let bin = bins.iter().enumerate().position(inside).unwrap_or(bins.len());
        counts[bin] += 1;
    }
    let (now, then) = (counts.iter().sum::<u64>(), bins.iter().map(|b| b.count).sum::<u64>());
    if now == 0 || then == 0 {
        return None;
    }
    let earlier = bins.iter().map(|bin| bin.count).chain([0]);
    let share = |count: u64, of: u64| (count as f64).max(0.5) / of as f64;
    let terms = counts.iter().zip(earlier).filter(|(now, then)| **now > 0 || *then > 0);
    let term = |(&a, b): (&u64, u64)| {
        let (p, q) = (share(a, now), share(b, then));
        (p - q) * (p / q).ln()
    };
    Some(terms.map(term).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_counted_each_and_many_in_tenths() {
        let bins = histogram([1.0, -0.5, 1.0, 0.0, -0.0].into_iter());
        let of: Vec<_> = bins.iter().map(|b| (b.from, b.count)).collect();
        assert_eq!(of, [(-0.5, 1), (0.0, 2), (1.0, 2)]);
        let many = histogram((0..=100).map(|v| v as f32 / 10.0));
        assert_eq!(many.len(), 10);
        assert_eq!(many.iter().map(|b| b.count).sum::<u64>(), 101);
        assert_eq!((many[0].from, many[9].to, many[9].count), (0.0, 10.0, 11));
    }

    #[test]
    fn the_index_is_that_of_the_formula() {
        let bins = histogram([1.0, 1.0, 2.0, 2.0].into_iter());
        let same = stability_index(&bins, [2.0, 1.0].into_iter());
        assert!(same.is_some_and(|index| index.abs() < 1e-12));
        // Shares 3/4 and 1/4 instead of halves: (1/4) ln(3/2) - (1/4) ln(1/2).
        let moved = stability_index(&bins, [1.0, 1.0, 1.0, 2.0].into_iter());
        let want = 0.25 * 1.5_f64.ln() - 0.25 * 0.5_f64.ln();
        assert!(moved.is_some_and(|index| (index - want).abs() < 1e-12));
        // Values that are new count, and so do values that no longer occur.
        let strange = stability_index(&bins, std::iter::repeat_n(10.0, 100));
        assert!(strange.is_some_and(|index| index > 5.0), "{strange:?}");
        assert_eq!(stability_index(&bins, std::iter::empty()), None);
        assert_eq!(stability_index(&[], [1.0].into_iter()), None);
        // With ranges, every value lies in a bin, so the same values mean no change.
        let values = || (0..1000).map(|v| v as f32 * 0.37);
        let index = stability_index(&histogram(values()), values());
        assert!(index.is_some_and(|index| index < 1e-3), "{index:?}");
    }
}
