//! The settings of a recommendation.

use std::path::PathBuf;

use super::super::lists::TitleConfig;
use crate::model::RankBy;
use crate::param::{Count, Natural, Threads};
use crate::settings::LoadConfig;

/// For whom, from what, and what is left out.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct RecommendConfig {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// A user to recommend for; may be repeated. All users of the model by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "ID", allow_hyphen_values = true))]
    pub user: Vec<String>,
    /// File of users to recommend for: one id per line, or a table with a column user_id.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub users: Option<PathBuf>,
    /// Most items for a user.
    #[cfg_attr(feature = "cli", arg(short = 'n', long, value_name = "N", default_value_t = Self::COUNT))]
    pub count: Count,
    /// File of ratings whose items are left out, instead of those that the model's manifest names; may
    /// be repeated.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RATINGS", conflicts_with = "include_seen")
    )]
    pub seen: Vec<String>,
    /// Recommend items that the user has rated, too.
    #[cfg_attr(feature = "cli", arg(long))]
    pub include_seen: bool,
    /// File of items that may be recommended: one id per line, or a table with a column item_id.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub allow: Option<PathBuf>,
    /// File of items that may not be recommended.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub deny: Option<PathBuf>,
    /// What lists of a model of ratings are ordered by, and their scores: the predicted rating and the
    /// popularity of the item together, or the predicted rating alone. [default: relevance]
    #[cfg_attr(feature = "cli", arg(long, value_name = "WHAT"))]
    pub rank_by: Option<RankBy>,
    /// Recommend only items with at least so many training ratings.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = Natural::literal(0)))]
    pub min_support: Natural,
    /// Most items of one category in a list; items of several categories count for each.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_per_category: Option<Count>,
    /// File with the categories of items, --item-names by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", requires = "max_per_category"))]
    pub item_table: Option<PathBuf>,
    /// Column of the item ids in the file with the categories: --table-id-col where
    /// not given.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", requires = "max_per_category"))]
    pub category_id_col: Option<String>,
    /// Column of the categories, several with | between them. Recognised by common names (genres,
    /// category ...) where not given.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", requires = "max_per_category"))]
    pub category_col: Option<String>,
    /// Say which K of the user's ratings carried each score (als, ials, bayes).
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "3", require_equals = true))]
    pub explain: Option<Count>,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// Titles.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub titles: TitleConfig,
    /// How the files given by --seen are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

impl RecommendConfig {
    const COUNT: Count = Count::literal(10);

    /// The defaults, for the model in a directory.
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
