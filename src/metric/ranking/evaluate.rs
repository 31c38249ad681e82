//! Computes ranking metrics for many users at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;

use super::auc::auc;
use super::judged::{Judged, Recommended};
use super::registry::{RankingMetric, Value};
use crate::error::{Error, Result};
use crate::linalg::Matrix;
use crate::linalg::simd::Kernels;
use crate::model::{Ranked, Ranker, Scratch, USERS_PER_BLOCK, Wanted};

/// One list of numbers per user, stored contiguously.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    ends: Vec<usize>,
    values: Vec<u32>,
}

impl Lists {
    /// Appends a list.
    pub fn push(&mut self, values: impl IntoIterator<Item = u32>) {
        self.values.extend(values);
        self.ends.push(self.values.len());
    }

    /// One list.
    #[must_use]
    pub fn get(&self, nth: usize) -> &[u32] {
        let start = if nth == 0 { 0 } else { self.ends[nth - 1] };
        &self.values[start..self.ends[nth]]
    }

    /// Number of lists.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lists.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// The users to rank for, and their relevant items. Candidates are numbered as in the [`Ranker`].
#[derive(Debug, Clone, Default)]
pub struct Judgements {
    /// Rows of the user vectors; every user has at least one relevant item.
    pub rows: Vec<u32>,
    /// For each user, the candidates that are not ranked, ascending: usually those that the user
    /// rated in training.
    pub seen: Lists,
    /// For each user, the relevant candidates, ascending. None of them is in `seen`.
    pub relevant: Lists,
    /// For each user, the number of relevant items that are not candidates. They count as misses.
    pub missing: Vec<u32>,
}

/// Ranking metrics over some users.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Every requested metric, in the order of the request; `None` if no user has a value.
    pub values: Vec<(RankingMetric, Option<f64>)>,
    /// For each metric with a value per user, these values; NaN for a user without a value (AUC if
    /// all candidates are relevant). Empty for a metric over all lists.
    pub per_user: Vec<Vec<f64>>,
}

/// Ranks all candidates for the users of `judgements` and measures the lists.
///
/// `popularity` holds the number of training ratings of every candidate. Values are summed in the
/// order of the users, so the result does not depend on the number of threads. Memory grows with
/// the number of values per user, not with the number of users times candidates.
///
/// # Errors
/// [`Error::Stopped`] if a stop was requested.
pub fn rank(
    kernels: Kernels,
    users: &Matrix,
    ranker: &Ranker,
    popularity: &[u32],
    judgements: &Judgements,
    metrics: &[RankingMetric],
    stop: &AtomicBool,
) -> Result<Ranking> {
    let k = metrics.iter().filter_map(|m| m.cutoff()).max().unwrap_or(0) as usize;
    let whole_order = metrics.iter().any(|m| matches!(m.value(), Value::Order));
    let times: BTreeMap<u32, Vec<AtomicU64>> = metrics
        .iter()
        .filter(|m| matches!(m.value(), Value::OverLists(_)))
        .filter_map(|m| m.cutoff())
        .map(|k| (k, (0..ranker.candidates()).map(|_| AtomicU64::new(0)).collect()))
        .collect();
    let users_of = |block: usize| {
        let first = block * USERS_PER_BLOCK;
        first..judgements.rows.len().min(first + USERS_PER_BLOCK)
    };
    let blocks = judgements.rows.len().div_ceil(USERS_PER_BLOCK);
    let measure = |scratch: &mut Scratch, block: usize| -> Result<Vec<f64>> {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let wanted: Vec<Wanted<'_>> = users_of(block)
            .map(|nth| Wanted {
                row: judgements.rows[nth],
                excluded: judgements.seen.get(nth),
                placed: if whole_order { judgements.relevant.get(nth) } else { &[] },
            })
            .collect();
        let ranked = ranker.rank(kernels, users, &wanted, k, scratch);
        let mut values = Vec::with_capacity(wanted.len() * metrics.len());
        for (nth, ranked) in users_of(block).zip(&ranked) {
            for (k, times) in &times {
                for scored in ranked.best.iter().take(*k as usize) {
                    // Sums of whole numbers are the same in any order.
                    times[scored.item as usize].fetch_add(1, Ordering::Relaxed);
                }
            }
            judge(judgements, nth, ranked, ranker.candidates(), metrics, &mut values);
        }
        Ok(values)
    };
    let found: Vec<Vec<f64>> =
        (0..blocks).into_par_iter().map_init(Scratch::default, measure).collect::<Result<_>>()?;
    let mut per_user = vec![Vec::new(); metrics.len()];
    for values in found.iter().flat_map(|block| block.chunks_exact(metrics.len().max(1))) {
        for ((values, &value), metric) in per_user.iter_mut().zip(values).zip(metrics) {
            if metric.per_user() {
                values.push(value);
            }
        }
    }
    let over_lists = |metric: &RankingMetric| -> Option<f64> {
        let Value::OverLists(value) = metric.value() else { return None };
        let times: Vec<u64> = times.get(&metric.cutoff()?)?.iter().map(relaxed).collect();
        value(Recommended { times: &times, popularity })
    };
    let value = |(metric, values): (&RankingMetric, &Vec<f64>)| {
        (*metric, if metric.per_user() { mean(values) } else { over_lists(metric) })
    };
    let values = metrics.iter().zip(&per_user).map(value).collect();
    Ok(Ranking { values, per_user })
}

fn relaxed(times: &AtomicU64) -> u64 {
    times.load(Ordering::Relaxed)
}

/// The mean of the values that are not NaN.
fn mean(values: &[f64]) -> Option<f64> {
    let (sum, count) =
        values.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Appends the values of one user, in the order of the metrics.
fn judge(
    judgements: &Judgements,
    nth: usize,
    ranked: &Ranked,
    candidates: usize,
    metrics: &[RankingMetric],
    values: &mut Vec<f64>,
) {
    let relevant = judgements.relevant.get(nth);
    let hits: Vec<bool> =
        ranked.best.iter().map(|s| relevant.binary_search(&s.item).is_ok()).collect();
    let count = relevant.len() + judgements.missing[nth] as usize;
    let judged = Judged { hits: &hits, relevant: count };
    for metric in metrics {
        values.push(match metric.value() {
            Value::PerUser(value) => value(judged, metric.cutoff().unwrap_or(0) as usize),
            Value::Order => {
                let candidates = candidates - judgements.seen.get(nth).len();
                auc(&ranked.places, &ranked.scores, candidates, count).unwrap_or(f64::NAN)
            }
            Value::OverLists(_) => f64::NAN,
        });
    }
}
