//! The one list of ranking metrics.

use std::fmt;
use std::str::FromStr;

use super::judged::{Judged, Recommended};
use super::{
    average_precision, coverage, gini, hit_rate, ndcg, popularity, precision, recall,
    reciprocal_rank,
};

/// The input of a metric.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// One value per user at a cut-off; their mean is reported.
    PerUser(fn(Judged<'_>, usize) -> f64),
    /// One value over all lists at a cut-off.
    OverLists(fn(Recommended<'_>) -> Option<f64>),
    /// One value per user from the whole order of the candidates, without cut-off: [`auc::auc`].
    Order,
}

/// An entry of the registry.
struct Entry {
    name: &'static str,
    value: Value,
}

/// All ranking metrics.
const REGISTRY: &[Entry] = &[
    Entry { name: "precision", value: Value::PerUser(precision::precision) },
    Entry { name: "recall", value: Value::PerUser(recall::recall) },
    Entry { name: "recall-min", value: Value::PerUser(recall::recall_min) },
    Entry { name: "ndcg", value: Value::PerUser(ndcg::ndcg) },
    Entry { name: "map", value: Value::PerUser(average_precision::average_precision) },
    Entry { name: "mrr", value: Value::PerUser(reciprocal_rank::reciprocal_rank) },
    Entry { name: "hit-rate", value: Value::PerUser(hit_rate::hit_rate) },
    Entry { name: "auc", value: Value::Order },
    Entry { name: "coverage", value: Value::OverLists(coverage::coverage) },
    Entry { name: "popularity-rank", value: Value::OverLists(popularity::mean_popularity_rank) },
    Entry { name: "gini", value: Value::OverLists(gini::gini) },
];

/// Positions in the registry of the metrics that are measured by default.
#[cfg(feature = "files")]
const NDCG: usize = position("ndcg");
#[cfg(feature = "files")]
const RECALL: usize = position("recall");

/// The position of a registered name. Any other name does not compile.
#[cfg(feature = "files")]
const fn position(name: &str) -> usize {
    let mut at = 0;
    while !equal(REGISTRY[at].name.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at
}

#[cfg(feature = "files")]
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// A ranking metric with its cut-off: `recall@20`, `auc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RankingMetric {
    /// Position in the registry.
    entry: usize,
    /// Length of the list; `None` for a metric of the whole order.
    cutoff: Option<u32>,
}

impl RankingMetric {
    /// `ndcg@cutoff`.
    #[cfg(feature = "files")]
    pub(crate) const fn ndcg(cutoff: u32) -> Self {
        Self { entry: NDCG, cutoff: Some(cutoff) }
    }

    /// `recall@cutoff`.
    #[cfg(feature = "files")]
    pub(crate) const fn recall(cutoff: u32) -> Self {
        Self { entry: RECALL, cutoff: Some(cutoff) }
    }

    /// Length of the list; `None` for a metric of the whole order.
    #[must_use]
    pub const fn cutoff(self) -> Option<u32> {
        self.cutoff
    }

    /// Whether every user has a value; the mean of the values is reported.
    #[must_use]
    pub fn per_user(self) -> bool {
        !matches!(self.value(), Value::OverLists(_))
    }

    /// Whether larger values are better. False for `gini`, and for `popularity-rank`, where neither
    /// direction is better.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        self.per_user() || REGISTRY[self.entry].name == "coverage"
    }

    /// Names of all metrics, in the form that the parser accepts.
    #[must_use]
    pub fn names() -> Vec<String> {
        let name = |e: &Entry| match e.value {
            Value::Order => e.name.to_owned(),
            _ => format!("{}@K", e.name),
        };
        REGISTRY.iter().map(name).collect()
    }

    pub(super) fn value(self) -> Value {
        REGISTRY[self.entry].value
    }
}

impl fmt::Display for RankingMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REGISTRY[self.entry].name)?;
        self.cutoff.map_or(Ok(()), |k| write!(f, "@{k}"))
    }
}

/// The error for a name that is not a ranking metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a ranking metric; the metrics are {}, with K from 1 to 10000",
    RankingMetric::names().join(", ")
)]
pub struct UnknownMetric {
    text: String,
}

impl FromStr for RankingMetric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        let wrong = || UnknownMetric { text: text.to_owned() };
        let (name, cutoff) = match text.trim().split_once('@') {
            Some((name, k)) => (name, Some(k.parse::<u32>().map_err(|_| wrong())?)),
            None => (text.trim(), None),
        };
        let entry = REGISTRY.iter().position(|e| e.name == name).ok_or_else(wrong)?;
        let order = matches!(REGISTRY[entry].value, Value::Order);
        match cutoff {
            None if order => {}
            Some(1..=10_000) if !order => {}
            _ => return Err(wrong()),
        }
        Ok(Self { entry, cutoff })
    }
}

impl serde::Serialize for RankingMetric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RankingMetric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_to_themselves() {
        #[cfg(feature = "files")]
        for (metric, name) in
            [(RankingMetric::ndcg(10), "ndcg@10"), (RankingMetric::recall(20), "recall@20")]
        {
            assert_eq!(metric.to_string(), name);
        }
        for entry in REGISTRY {
            assert_eq!(REGISTRY.iter().filter(|e| e.name == entry.name).count(), 1);
            assert!(entry.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            let text = match entry.value {
                Value::Order => entry.name.to_owned(),
                _ => format!("{}@20", entry.name),
            };
            let metric: RankingMetric = text.parse().expect("a registered name");
            assert_eq!(metric.to_string(), text);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["recall", "recall@0", "recall@x", "auc@5", "rmse", "", "@3", "ndcg@-1"] {
            let message = text.parse::<RankingMetric>().map_err(|e| e.to_string());
            assert!(message.is_err_and(|m| m.contains("recall-min@K") && m.contains("auc")));
        }
    }
}
