//! How rating files are read.

use serde::{Deserialize, Serialize};

use super::time::TimeUnit;

/// Column names by role, as the user gives them; for a file without header, numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Columns {
    /// Of the user ids.
    pub user: Option<String>,
    /// Of the item ids.
    pub item: Option<String>,
    /// Of the ratings.
    pub rating: Option<String>,
    /// Of the times.
    pub time: Option<String>,
    /// Of the weights.
    pub weight: Option<String>,
}

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Stop at the first one.
    #[default]
    Error,
    /// Set it aside, up to a limit.
    Quarantine,
}

/// The type of an id column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum IdType {
    /// Integer if every cell of every file is a canonical 64-bit integer, else text.
    #[default]
    Auto,
    /// Integer; anything else is a bad cell.
    Int,
    /// Text.
    Text,
}

/// How to read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadOptions {
    /// Column names (or numbers from 1 for files without header) by role.
    pub columns: Columns,
    /// Field separator of text files: recognised where absent.
    pub separator: Option<String>,
    /// Text files have no header even if it looks as if they had.
    pub no_header: bool,
    /// Unit of numeric times.
    pub time_unit: TimeUnit,
    /// Type of the ids.
    pub id_type: IdType,
    /// What to do with bad rows.
    pub bad_rows: BadRows,
    /// How many bad rows `Quarantine` takes before it gives up.
    pub max_bad_rows: u64,
    /// Leave out ratings before this time (seconds since 1970).
    pub since: Option<i64>,
    /// Leave out ratings at or after this time.
    pub until: Option<i64>,
    /// Whether a time column is needed, used where present, or not read.
    pub time: TimeUse,
    /// Values are counts of implicit feedback: without a rating column every row counts as 1, and a
    /// negative value is a bad cell.
    pub counts: bool,
}

/// Whether the time column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUse {
    /// Not read.
    Ignore,
    /// Read where there is one.
    #[default]
    IfPresent,
    /// An input without one is an error.
    Required,
}
