//! Metrics by groups of users or items with similar numbers of training ratings.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::held_out::HeldOut;
use crate::linalg::simd::Kernels;
use crate::metric::ranking::{Ranking, RankingMetric};
use crate::metric::{Errors, RatingErrors};
use crate::model::Scorer;
use crate::pair::Pair;
use crate::ratings::{Cell, Side};

/// Number of groups that rows with training ratings are divided into.
const DECILES: usize = 10;

/// One decile of the users or items, or the rows without training ratings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Segment {
    /// Number of the decile, from 1 for the fewest training ratings to 10; 0 for rows without any.
    pub decile: usize,
    /// Smallest number of training ratings of a row.
    pub from: usize,
    /// Largest number of training ratings of a row.
    pub to: usize,
    /// Number of users, or items, in the group.
    pub rows: usize,
    /// Number of test ratings.
    pub n_ratings: u64,
    /// Errors of clipped predictions; unknown if scores are not ratings.
    #[serde(flatten)]
    pub errors: Errors,
    /// Number of users with a ranked list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranked: Option<usize>,
    /// Means of the ranking metrics over these users, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ranking: BTreeMap<String, Option<f64>>,
}

/// Segments while they are filled.
pub(crate) struct Segments {
    /// The decile of every row.
    deciles: Vec<u8>,
    groups: Vec<Segment>,
    errors: Vec<RatingErrors>,
    rated: bool,
}

impl Segments {
    /// Divides rows into deciles by their number of training ratings.
    ///
    /// Among rows with equal numbers, lower positions come first. This keeps the deciles of equal
    /// size.
    pub(crate) fn new(counts: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..counts.len()).filter(|&row| counts[row] > 0).collect();
        order.sort_by_key(|&row| counts[row]);
        let mut deciles = vec![0; counts.len()];
        let mut segments: Vec<Segment> =
            (0..=DECILES).map(|decile| Segment { decile, ..Segment::default() }).collect();
        segments[0].rows = counts.len() - order.len();
        for (place, &row) in order.iter().enumerate() {
            let decile = place * DECILES / order.len() + 1;
            deciles[row] = decile as u8;
            let segment = &mut segments[decile];
            if segment.rows == 0 {
                segment.from = counts[row];
            }
            segment.to = counts[row];
            segment.rows += 1;
        }
        Self {
            deciles,
            errors: vec![RatingErrors::default(); segments.len()],
            groups: segments,
            rated: false,
        }
    }

    /// Returns the errors of clipped predictions on the holdout, by segments of users and of items.
    ///
    /// The lists are empty without a holdout.
    pub(crate) fn of_holdout(held: &HeldOut<'_>, scorer: &Scorer<'_>) -> Pair<Vec<Segment>> {
        if held.cells.is_empty() {
            return Pair::default();
        }
        let (kernels, known) = (Kernels::detect(), held.known());
        let error = |cell: &Cell| {
            let (user, item) = known.rows(cell);
            f64::from(cell.value) - scorer.clip(scorer.score(kernels, user, item))
        };
        let errors: Vec<f64> = held.cells.par_iter().map(error).collect();
        let of = |side: &Side, row: &dyn Fn(&Cell) -> u32| {
            let counts: Vec<usize> = (0..side.rows()).map(|row| side.count(row)).collect();
            let mut segments = Self::new(&counts);
            held.cells
                .iter()
                .zip(&errors)
                .for_each(|(cell, error)| segments.add(row(cell), *error));
            segments.finish()
        };
        Pair::new(of(held.seen(), &|cell| cell.user), of(&held.ratings.by_item, &|cell| cell.item))
    }

    /// Adds the error of a test rating of a row.
    pub(crate) fn add(&mut self, row: u32, error: f64) {
        self.rated = true;
        self.errors[self.deciles[row as usize] as usize].push(error);
    }

    /// Counts a test rating of a row without adding an error.
    pub(crate) fn count(&mut self, row: u32) {
        self.errors[self.deciles[row as usize] as usize].count += 1;
    }

    /// Adds the mean ranking metrics of the users in each segment.
    pub(crate) fn rank(&mut self, rows: &[u32], metrics: &[RankingMetric], ranking: &Ranking) {
        for segment in &mut self.groups {
            let of = |row: &u32| usize::from(self.deciles[*row as usize]) == segment.decile;
            segment.ranked = Some(rows.iter().filter(|row| of(row)).count());
            let per_user = metrics.iter().zip(&ranking.per_user).filter(|(m, _)| m.per_user());
            for (metric, values) in per_user {
                let own = rows.iter().zip(values).filter(|(row, v)| of(row) && !v.is_nan());
                let (sum, count) = own.fold((0.0, 0.0), |(s, n), (_, v)| (s + v, n + 1.0));
                let mean = (count > 0.0).then(|| sum / count);
                segment.ranking.insert(metric.to_string(), mean);
            }
        }
    }

    /// Returns the segments with test ratings, fewest training ratings first.
    pub(crate) fn finish(self) -> Vec<Segment> {
        let rated = self.rated;
        let filled = self.groups.into_iter().zip(&self.errors).map(|(segment, errors)| Segment {
            n_ratings: errors.count,
            errors: errors.metrics().filter(rated),
            ..segment
        });
        filled.filter(|segment| segment.n_ratings > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciles_are_of_equal_size_and_hold_their_errors() {
        // Row r has r ratings: row 0 has none, 20 rows have some.
        let mut segments = Segments::new(&(0..21).collect::<Vec<_>>());
        segments.add(0, 2.0);
        segments.add(1, 1.0);
        segments.add(2, 3.0);
        segments.add(20, 4.0);
        let found = segments.finish();
        let shown: Vec<_> = found
            .iter()
            .map(|s| (s.decile, s.from, s.to, s.rows, s.n_ratings, s.errors.get("mae")))
            .collect();
        assert_eq!(
            shown,
            [(0, 0, 0, 1, 1, Some(2.0)), (1, 1, 2, 2, 2, Some(2.0)), (10, 19, 20, 2, 1, Some(4.0)),]
        );
    }
}
