//! The settings of a recommendation.

use std::path::PathBuf;

use super::super::lists::TitleConfig;
use crate::model::RankBy;
use crate::param::{Count, Natural, Threads};
use crate::settings::LoadConfig;

/// The settings of `lacuna recommend`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct RecommendConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// A user to recommend for; may be repeated. All users of the model by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "ID", allow_hyphen_values = true))]
    pub user: Vec<String>,
    /// File of users to recommend for: one id per line, or a table with a column user_id.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub users: Option<PathBuf>,
    /// Largest number of items per user.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'n', long, value_name = "N", default_value_t = Self::COUNT)
    )]
    pub count: Count,
    /// File of ratings whose items are not recommended to their users, instead of the ratings that
    /// the model's manifest records; may be repeated.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RATINGS", conflicts_with = "include_seen")
    )]
    pub seen: Vec<String>,
    /// Also recommend items that the user has rated.
    #[cfg_attr(feature = "cli", arg(long))]
    pub include_seen: bool,
    /// File of items that may be recommended: one id per line, or a table with a column item_id.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub allow: Option<PathBuf>,
    /// File of items that must not be recommended: one id per line, or a table with a column
    /// item_id.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub deny: Option<PathBuf>,
    /// Order of the lists, and their scores, for models of ratings: relevance combines the
    /// predicted rating with the popularity of the item, rating is the predicted rating alone.
    /// [default: relevance]
    #[cfg_attr(feature = "cli", arg(long, value_name = "WHAT"))]
    pub rank_by: Option<RankBy>,
    /// Recommend only items with at least N training ratings.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = Natural::literal(0)))]
    pub min_support: Natural,
    /// Largest number of items of one category in a list. An item with several categories counts
    /// for each of them.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_per_category: Option<Count>,
    /// File with the categories of items; by default, the file of --item-names.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", requires = "max_per_category"))]
    pub item_table: Option<PathBuf>,
    /// Column of the item ids in the file with the categories; by default, the column of
    /// --table-id-col.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", requires = "max_per_category"))]
    pub category_id_col: Option<String>,
    /// Column of the categories; several categories are separated by |. If it is not specified,
    /// common names are recognised (genres, category ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", requires = "max_per_category"))]
    pub category_col: Option<String>,
    /// Report the K ratings of the user that contributed most to each score (als, ials, bayes).
    /// Without =K, it reports 3.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "K",
            num_args = 0..=1,
            default_missing_value = "3",
            require_equals = true
        )
    )]
    pub explain: Option<Count>,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// Titles.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub titles: TitleConfig,
    /// How the files of --seen are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

impl RecommendConfig {
    const COUNT: Count = Count::literal(10);

    /// Returns the defaults for the model in a directory.
    #[must_use]
    pub fn new(model: PathBuf) -> Self {
        Self {
            model,
            user: Vec::new(),
            users: None,
            count: Self::COUNT,
            seen: Vec::new(),
            include_seen: false,
            allow: None,
            deny: None,
            rank_by: None,
            min_support: Natural::literal(0),
            max_per_category: None,
            item_table: None,
            category_id_col: None,
            category_col: None,
            explain: None,
            threads: None,
            titles: TitleConfig::default(),
            load: LoadConfig::default(),
        }
    }
}
