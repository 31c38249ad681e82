//! The measure by which a model is chosen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metric::ranking::{RankingMetric, UnknownMetric};

/// A measure on held-out or validation ratings that ranks models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// Root mean squared error of clipped predictions: lower is better.
    Rmse,
    /// A ranking metric: higher is better.
    Ranking(RankingMetric),
}

impl Criterion {
    /// Whether `one` is better than `other`.
    #[must_use]
    pub fn better(self, one: f64, other: f64) -> bool {
        match self {
            Self::Rmse => one < other,
            Self::Ranking(_) => one > other,
        }
    }

    /// Orders two values, the better one first.
    #[must_use]
    pub fn compare(self, one: f64, other: f64) -> std::cmp::Ordering {
        match self {
            Self::Rmse => one.total_cmp(&other),
            Self::Ranking(_) => other.total_cmp(&one),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rmse => f.write_str("rmse"),
            Self::Ranking(metric) => metric.fmt(f),
        }
    }
}

/// The error for a name that is not a criterion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCriterion {
    /// The name is not a metric at all.
    #[error("{0}; or rmse")]
    Metric(UnknownMetric),
    /// The name is a metric for which larger values are not better.
    #[error(
        "\"{0}\" measures how lists are composed, not how good they are; use rmse or a metric \
         such as ndcg@10"
    )]
    NoQuality(RankingMetric),
}

impl FromStr for Criterion {
    type Err = UnknownCriterion;

    fn from_str(text: &str) -> Result<Self, UnknownCriterion> {
        if text == "rmse" {
            return Ok(Self::Rmse);
        }
        let metric: RankingMetric = text.parse().map_err(UnknownCriterion::Metric)?;
        if metric.per_user() {
            Ok(Self::Ranking(metric))
        } else {
            Err(UnknownCriterion::NoQuality(metric))
        }
    }
}

impl Serialize for Criterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Criterion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_measures_of_quality_choose() {
        assert_eq!("rmse".parse(), Ok(Criterion::Rmse));
        let ndcg: Criterion = "ndcg@10".parse().expect("a metric");
        assert!(ndcg.better(0.3, 0.2) && Criterion::Rmse.better(0.2, 0.3));
        assert_eq!(ndcg.to_string(), "ndcg@10");
        for text in ["coverage@10", "gini@5", "mae", "ndcg"] {
            let message = text.parse::<Criterion>().map_err(|e| e.to_string());
            assert!(message.is_err_and(|m| m.contains("rmse")), "{text}");
        }
    }
}
