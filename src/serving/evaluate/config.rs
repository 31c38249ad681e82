//! The settings of an evaluation.

use std::path::PathBuf;

use crate::metric::ranking::RankingMetric;
use crate::model::RankBy;
use crate::param::{Count, Threads};
use crate::settings::{LoadConfig, SEED};

/// The metrics that are measured by default.
const METRICS: &str = "precision@10,recall@10,recall@20,recall@50,ndcg@10,ndcg@100,map@10,mrr@10,\
                       hit-rate@10,auc,coverage@10,popularity-rank@10,gini@10";

/// The settings of `lacuna evaluate`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct EvaluateConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Files of test ratings; the model's own holdout by default. Ratings that the model was
    /// trained on are left out and counted.
    #[cfg_attr(feature = "cli", arg(value_name = "RATINGS"))]
    pub input: Vec<String>,
    /// Files of the ratings that the model was trained on. By default, the ratings kept in the
    /// model are read, or else the files that its manifest records, whose checksums must be
    /// unchanged.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub seen: Vec<String>,
    /// Files of ratings that users are folded in from (strong generalisation; als, ials, bayes).
    /// Only the users in these files are measured, with vectors solved from these ratings.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", requires = "input"))]
    pub fold_in: Vec<String>,
    /// Ranking metrics: precision@K, recall@K, recall-min@K, ndcg@K, map@K, mrr@K, hit-rate@K, auc,
    /// coverage@K, popularity-rank@K, gini@K. [default: precision, ndcg, map, mrr, hit-rate,
    /// coverage, popularity-rank and gini @10, recall @10, @20 and @50, ndcg@100, auc]
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "NAMES",
            value_delimiter = ',',
            default_value = METRICS,
            hide_default_value = true
        )
    )]
    #[allow(rustdoc::broken_intra_doc_links, reason = "a default in brackets is no link")]
    pub metrics: Vec<RankingMetric>,
    /// Order of the lists, and their scores, for models of ratings: relevance combines the
    /// predicted rating with the popularity of the item, rating is the predicted rating alone.
    /// [default: relevance]
    #[cfg_attr(feature = "cli", arg(long, value_name = "WHAT"))]
    pub rank_by: Option<RankBy>,
    /// Smallest test rating that is relevant to ranking metrics. By default, all test ratings are
    /// relevant.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", allow_negative_numbers = true))]
    pub relevant_from: Option<f64>,
    /// Rank items for a sample of at most N users. The same ids always give the same sample.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub sample_users: Option<Count>,
    /// Seed of the bootstrap that gives the confidence interval.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SEED", default_value_t = SEED))]
    pub seed: u64,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the files of this command are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

impl EvaluateConfig {
    /// Returns the defaults for the model in a directory.
    #[must_use]
    pub fn new(model: PathBuf) -> Self {
        Self {
            model,
            input: Vec::new(),
            seen: Vec::new(),
            fold_in: Vec::new(),
            metrics: METRICS.split(',').filter_map(|name| name.parse().ok()).collect(),
            rank_by: None,
            relevant_from: None,
            sample_users: None,
            seed: SEED,
            threads: None,
            load: LoadConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_default_metrics_are_registered() {
        let config = EvaluateConfig::new("m".into());
        assert_eq!(config.metrics.len(), METRICS.split(',').count());
    }
}
