//! The settings for reading rating files, which several commands share.

use serde::{Deserialize, Serialize};

use crate::load::prepare::{Duplicates, MinimumCounts};
use crate::load::time::{Date, TimeUnit};
use crate::load::{BadRows, Columns, Decimal, IdType, LoadOptions, QuoteMark, TimeUse};

/// How rating files are read and which ratings count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Reading"))]
pub struct LoadConfig {
    /// Column of the user ids: its name, or its number (from 1) in a file without a header. By
    /// default, common names are recognised (userId, user_id, user ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub user_col: Option<String>,
    /// Column of the item ids (movieId, item_id, item ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub item_col: Option<String>,
    /// Column of the ratings (rating, score, stars ...); none if every row is an event.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub rating_col: Option<String>,
    /// Column of the times (timestamp, time, date ...), as numbers, text or Parquet timestamps;
    /// none to ignore the times.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub time_col: Option<String>,
    /// Column of the weights, each at least 0; rows of weight 0 are left out. A weight multiplies
    /// the rating's term of the objective but not the regularisation, so weights should be about 1
    /// on average. By default, and with none, no weights are read.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub weight_col: Option<String>,
    /// Field separator of text files: one character, "::" or "tab". Recognised by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SEP"))]
    pub separator: Option<String>,
    /// Quotation mark of text files: none, or one mark such as " or '. Cells in such marks may then
    /// contain separators and line ends. By default it is ", except in TSV without a header, and a
    /// cell that contains whole rows is an error.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MARK"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteMark>,
    /// Decimal mark of numbers in text files: . or a comma. By default, a comma is recognised where
    /// the separator is another character and no number has a point.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MARK"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// Read the first line of text files as data even if it looks like a header.
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_header: bool,
    /// Unit of numeric times, which count from the start of 1970 in UTC. auto takes, for every
    /// file, the unit that puts its first times between 1980 and 2100, or else seconds.
    #[cfg_attr(feature = "cli", arg(long, value_name = "UNIT", default_value = "auto"))]
    pub time_unit: TimeUnit,
    /// Format of times in text, with the fields of strftime, such as "%d.%m.%Y %H:%M". By default,
    /// ISO 8601 and common dates are recognised.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FORMAT"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// Type of the ids. auto reads integers if every id of every file is a canonical 64-bit integer
    /// ("007" is not), otherwise text. int also reads "007" and "12.0".
    #[cfg_attr(feature = "cli", arg(long, value_name = "TYPE", default_value = "auto"))]
    pub id_type: IdType,
    /// Remove blanks around ids.
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(skip_serializing_if = "is_false")]
    pub trim: bool,
    /// Leave out rows whose user or item id is one of these texts, such as NULL,\N,nan. Rows with
    /// an empty id are then left out too.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXTS", value_delimiter = ','))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub null_ids: Vec<String>,
    /// Leave out rows with one of these ratings, such as -1,0, if they mean "not rated".
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RATINGS", value_delimiter = ',', allow_hyphen_values = true)
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop_rating: Vec<f32>,
    /// Read the files in all directories inside a directory as well.
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(skip_serializing_if = "is_false")]
    pub recursive: bool,
    /// What to do with a row that cannot be used: stop with an error, or set it aside in
    /// rejected_rows.csv.
    #[cfg_attr(feature = "cli", arg(long, value_name = "POLICY", default_value = "error"))]
    pub bad_rows: BadRows,
    /// Maximum number of bad rows to set aside; one more is an error.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "N", default_value_t = Self::default().max_bad_rows)
    )]
    pub max_bad_rows: u64,
    /// How to combine several ratings of one item by one user: keep the last (by time if known,
    /// otherwise in file order) or the first, take their mean, sum or maximum, or stop with an
    /// error. [default: last; ials on counts without weights: sum]
    #[cfg_attr(feature = "cli", arg(long, value_name = "POLICY"))]
    pub duplicates: Option<Duplicates>,
    /// Leave out ratings before this date (2019-01-31, 2019-01-31T12:00:00Z, @SECONDS).
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE"))]
    pub since: Option<Date>,
    /// Leave out ratings at or after this date.
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE"))]
    pub until: Option<Date>,
    /// Leave out users with fewer than N ratings. Users and items are left out in turn until both
    /// minimums hold.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    pub min_user_ratings: u32,
    /// Leave out items with fewer than N ratings.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    pub min_item_ratings: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            user_col: None,
            item_col: None,
            rating_col: None,
            time_col: None,
            weight_col: None,
            separator: None,
            quote: None,
            decimal: None,
            no_header: false,
            time_unit: TimeUnit::default(),
            time_format: None,
            id_type: IdType::default(),
            trim: false,
            null_ids: Vec::new(),
            drop_rating: Vec::new(),
            recursive: false,
            bad_rows: BadRows::default(),
            max_bad_rows: 1000,
            duplicates: None,
            since: None,
            until: None,
            min_user_ratings: 0,
            min_item_ratings: 0,
        }
    }
}

impl LoadConfig {
    /// The options of the reader; `time` says whether the caller needs times.
    #[must_use]
    pub fn options(&self, time: TimeUse) -> LoadOptions {
        let by_time = matches!(self.duplicates(), Duplicates::Last | Duplicates::First);
        let time = match time {
            _ if self.since.is_some() || self.until.is_some() => TimeUse::Required,
            TimeUse::Ignore if by_time || self.time_col.is_some() => TimeUse::IfPresent,
            time => time,
        };
        LoadOptions {
            columns: Columns {
                user: self.user_col.clone(),
                item: self.item_col.clone(),
                rating: self.rating_col.clone(),
                time: self.time_col.clone(),
                weight: self.weight_col.clone(),
            },
            separator: self.separator.clone(),
            quote: self.quote,
            decimal: self.decimal,
            no_header: self.no_header,
            time_unit: self.time_unit,
            time_format: self.time_format.clone(),
            id_type: self.id_type,
            trim: self.trim,
            null_ids: self.null_ids.clone(),
            drop_ratings: self.drop_rating.clone(),
            recursive: self.recursive,
            bad_rows: self.bad_rows,
            max_bad_rows: self.max_bad_rows,
            since: self.since.map(|d| d.0),
            until: self.until.map(|d| d.0),
            time,
            ids_only: false,
            counts: false,
        }
    }

    /// How several ratings of one cell are combined.
    #[must_use]
    pub fn duplicates(&self) -> Duplicates {
        self.duplicates.unwrap_or_default()
    }

    /// The minimum numbers of ratings per user and per item.
    #[must_use]
    pub const fn minimum(&self) -> MinimumCounts {
        MinimumCounts { user: self.min_user_ratings, item: self.min_item_ratings }
    }
}
