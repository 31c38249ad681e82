//! What is odd about the ratings: a value that may mean "not rated", files with different scales.

use std::collections::BTreeMap;

use super::prepare::Prepared;
use super::reports::InputReport;

/// Number of cells that are looked at, about.
const LOOKED_AT: usize = 1 << 20;
/// Ratings with more different values are measurements, not a scale.
const SCALE: usize = 200;

/// A value and its share of all ratings.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    value: f32,
    share: f64,
}

/// Warnings about ratings that may not be what they seem. Counts need none.
#[must_use]
pub(crate) fn value_warnings(prepared: &Prepared, inputs: &[InputReport]) -> Vec<String> {
    let step = prepared.cells.len() / LOOKED_AT + 1;
    let scale = scale(prepared.cells.iter().step_by(step).map(|cell| cell.value));
    let missing = scale.as_deref().and_then(not_rated).map(|Share { value, share }| {
        format!(
            "{:.0} % of the ratings are {value}. If this value means \"not rated\", pass \
             --drop-rating {value}",
            share * 100.0
        )
    });
    missing.into_iter().chain(other_scale(inputs)).collect()
}

/// The different values in ascending order; `None` if there are too many for a scale.
fn scale(values: impl Iterator<Item = f32>) -> Option<Vec<Share>> {
    let mut counts: BTreeMap<i64, (f32, u64)> = BTreeMap::new();
    let mut all = 0_u64;
    for value in values {
        // Sixteenths tell all usual steps apart.
        let entry = counts.entry((f64::from(value) * 16.0).round() as i64).or_insert((value, 0));
        entry.1 += 1;
        all += 1;
        if counts.len() > SCALE {
            return None;
        }
    }
    let share = |(value, count)| Share { value, share: count as f64 / all as f64 };
    Some(counts.into_values().map(share).collect())
}

/// The value that most likely means that there is no rating.
///
/// It has a large share, and one of two things holds. It is the lowest or highest value, and at
/// least 1.5 times as far from its neighbour as any two others are from each other. Or it is the
/// only value that is not positive, and much more frequent than its neighbour.
fn not_rated(scale: &[Share]) -> Option<Share> {
    const FURTHER: f32 = 1.5;
    const LEAST: f64 = 0.02;
    const MUCH: f64 = 3.0;
    if scale.len() < 4 {
        return None;
    }
    let gaps: Vec<f32> = scale.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
    let largest = |gaps: &[f32]| gaps.iter().copied().fold(0.0, f32::max);
    let (inner, last) = (gaps.len() - 1, scale.len() - 1);
    let low_is_far = gaps[0] > FURTHER * largest(&gaps[1..]);
    let high_is_far = gaps[inner] > FURTHER * largest(&gaps[..inner]);
    let alone = scale[0].value <= 0.0 && scale[1].value > 0.0;
    let frequent = scale[0].share > MUCH * scale[1].share;
    [(scale[0], low_is_far || alone && frequent), (scale[last], high_is_far)]
        .into_iter()
        .find(|(value, far)| *far && value.share >= LEAST)
        .map(|(value, _)| value)
}

/// A warning about a file whose ratings end far below those of another.
fn other_scale(inputs: &[InputReport]) -> Option<String> {
    const ROWS: u64 = 100;
    const FARTHER: f32 = 1.8;
    let ranges = inputs.iter().filter(|input| input.rows >= ROWS);
    let ranges = ranges.filter_map(|input| Some((input, input.values?)));
    let low = ranges.clone().min_by(|a, b| a.1.max.total_cmp(&b.1.max))?;
    let high = ranges.max_by(|a, b| a.1.max.total_cmp(&b.1.max))?;
    (low.1.max > 0.0 && high.1.max >= FARTHER * low.1.max).then(|| {
        format!(
            "ratings run from {} to {} in {}, but from {} to {} in {}: bring them to one scale",
            low.1.min, low.1.max, low.0.uri, high.1.min, high.1.max, high.0.uri
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::reports::Range;
    use super::*;

    /// The value that is odd among some values with their numbers.
    fn odd(counts: &[(f32, usize)]) -> Option<f32> {
        let values = counts.iter().flat_map(|&(value, count)| std::iter::repeat_n(value, count));
        scale(values).as_deref().and_then(not_rated).map(|share| share.value)
    }

    #[test]
    fn a_value_far_from_the_others_is_odd() {
        let stars = [(1.0, 5), (2.0, 10), (3.0, 25), (4.0, 35), (5.0, 25)];
        assert_eq!(odd(&stars), None);
        let with = |extra: (f32, usize)| odd(&[&[extra], &stars[..]].concat());
        assert_eq!(with((-1.0, 20)), Some(-1.0));
        assert_eq!(with((0.0, 60)), Some(0.0));
        assert_eq!(with((99.0, 20)), Some(99.0));
        // Some people do give no star.
        assert_eq!(with((0.0, 4)), None);
        assert_eq!(with((-1.0, 1)), None);
        let thumbs = [(-1.0, 30), (1.0, 70)];
        assert_eq!(odd(&thumbs), None);
        let measured: Vec<(f32, usize)> = (0..1000).map(|n| (n as f32 * 0.37, 1)).collect();
        assert_eq!(odd(&measured), None);
        let half: Vec<(f32, usize)> = (1..=10).map(|n| (n as f32 / 2.0, n)).collect();
        assert_eq!(odd(&half), None);
    }

    #[test]
    fn files_with_another_scale_are_named() {
        let input = |uri: &str, max: f32| InputReport {
            uri: uri.to_owned(),
            rows: 1000,
            values: Some(Range { min: 1.0, max }),
            ..InputReport::default()
        };
        assert_eq!(other_scale(&[input("a", 5.0), input("b", 5.0)]), None);
        assert_eq!(other_scale(&[input("a", 5.0), input("b", 4.0)]), None);
        let found = other_scale(&[input("a", 5.0), input("b", 10.0)]).unwrap_or_default();
        assert!(found.contains("1 to 5 in a, but from 1 to 10 in b"), "{found}");
    }
}
