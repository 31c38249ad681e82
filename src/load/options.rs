//! Options for reading rating files.

use serde::{Deserialize, Serialize};

use super::quotes::QuoteMark;
use super::time::TimeUnit;

/// The column names that the user specified, by role. In a file without header, numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Columns {
    /// Column of the user ids.
    pub user: Option<String>,
    /// Column of the item ids.
    pub item: Option<String>,
    /// Column of the ratings.
    pub rating: Option<String>,
    /// Column of the times.
    pub time: Option<String>,
    /// Column of the weights.
    pub weight: Option<String>,
}

/// How to handle bad rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Stop at the first bad row.
    #[default]
    Error,
    /// Set bad rows aside, up to a limit.
    Quarantine,
}

/// The type of an id column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum IdType {
    /// Integers if every id in every file is a canonical 64-bit integer, otherwise text.
    #[default]
    Auto,
    /// 64-bit integers. A row with any other id is bad.
    Int,
    /// Text.
    Text,
}

/// The decimal mark of numbers in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decimal {
    /// A point: 3.5.
    #[serde(rename = ".")]
    Point,
    /// A comma: 3,5.
    #[serde(rename = ",")]
    Comma,
}

/// The error for a text that is not a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it needs . or ,")]
pub struct NoDecimal;

impl std::str::FromStr for Decimal {
    type Err = NoDecimal;

    fn from_str(text: &str) -> Result<Self, NoDecimal> {
        match text {
            "." => Ok(Self::Point),
            "," => Ok(Self::Comma),
            _ => Err(NoDecimal),
        }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Point => ".",
            Self::Comma => ",",
        })
    }
}

/// Options for reading rating files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadOptions {
    /// Column names by role.
    pub columns: Columns,
    /// Field separator of text files; `None` to recognise it.
    pub separator: Option<String>,
    /// Quotation mark of text files; `None` for the usual one: `"`, except in TSV without header.
    pub quote: Option<QuoteMark>,
    /// Whether text files have no header, even if the first line looks like one.
    pub no_header: bool,
    /// Unit of numeric times.
    pub time_unit: TimeUnit,
    /// Format of times in text, with the fields of strftime; `None` to recognise it.
    pub time_format: Option<String>,
    /// Whether blanks around ids are removed.
    pub trim: bool,
    /// Texts that mean that there is no id. Their rows are left out.
    pub null_ids: Vec<String>,
    /// Decimal mark of numbers in text files; `None` to recognise it.
    pub decimal: Option<Decimal>,
    /// Ratings that mean that there is no rating. Their rows are left out.
    pub drop_ratings: Vec<f32>,
    /// Type of the ids.
    pub id_type: IdType,
    /// How to handle bad rows.
    pub bad_rows: BadRows,
    /// Maximum number of bad rows under [`BadRows::Quarantine`].
    pub max_bad_rows: u64,
    /// Leave out ratings before this time (seconds since 1970).
    pub since: Option<i64>,
    /// Leave out ratings at or after this time.
    pub until: Option<i64>,
    /// Whether a time column is required, read if there is one, or ignored.
    pub time: TimeUse,
    /// Whether values are counts of implicit feedback. Without a rating column, every row then
    /// counts as 1. A negative value is a bad cell.
    pub counts: bool,
    /// Whether only the ids are read, as for pairs to predict. Inputs may then be empty.
    pub ids_only: bool,
    /// Whether files in the directories of a directory are read as well.
    pub recursive: bool,
}

/// Whether the time column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUse {
    /// The time column is not read.
    Ignore,
    /// The time column is read if there is one.
    #[default]
    IfPresent,
    /// An input without a time column is an error.
    Required,
}
