//! Reports about the inputs that were read.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The report about one input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputReport {
    /// The file on disk; `None` for standard input and objects.
    pub file: Option<PathBuf>,
    /// Time of the last change in seconds since 1970, taken before the input was read.
    pub mtime: Option<i64>,
    /// ETag of an object, which identifies its content.
    pub etag: Option<String>,
    /// Path, URL or `-`; `archive.zip:member` for a member of an archive.
    pub uri: String,
    /// Size of the file or archive in bytes.
    pub bytes: u64,
    /// Recognised layout, for people.
    pub layout: String,
    /// The columns that are read.
    pub columns: Vec<ColumnReport>,
    /// Number of rows with a rating, including bad rows.
    pub rows: u64,
    /// Numbers of bad rows by reason.
    pub rows_rejected: BTreeMap<String, u64>,
    /// SHA-256 of a stream or an object, which is known after reading. `None` for a file: its
    /// checksum is computed separately.
    pub sha256: Option<String>,
    /// Earliest time in seconds since 1970, if times were read.
    pub min_timestamp: Option<i64>,
    /// Latest time in seconds since 1970, if times were read.
    pub max_timestamp: Option<i64>,
    /// Smallest and largest rating; `None` without rows.
    pub values: Option<Range>,
    /// Number of rows that extend over several lines, because a quoted cell contains line ends.
    pub long_rows: u64,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ColumnReport {
    /// What the column holds: `user`, `item`, `rating`, `time` or `weight`.
    pub role: &'static str,
    /// Its name, or its number from 1 in a file without header.
    pub name: String,
    /// Up to three different cells from the first rows.
    pub examples: Vec<String>,
}

/// The smallest and the largest of some values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Range {
    /// The smallest value.
    pub min: f32,
    /// The largest value.
    pub max: f32,
}

impl Range {
    /// Adds values.
    pub(super) fn widened(range: Option<Self>, values: &[f32]) -> Option<Self> {
        values.iter().fold(range, |range, &value| {
            let Self { min, max } = range.unwrap_or(Self { min: value, max: value });
            Some(Self { min: min.min(value), max: max.max(value) })
        })
    }
}

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The file.
    pub file: PathBuf,
    /// Line of a text file or row of a Parquet file, from 1.
    pub line: u64,
    /// Why the row is bad.
    pub reason: String,
    /// The text of the bad cell.
    pub text: String,
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: \"{}\"", self.file.display(), self.line, self.reason, self.text)
    }
}

/// The reason for rejecting a negative count of implicit feedback.
pub(super) const NEGATIVE_COUNT: &str = "negative count";

/// Receives the number of bytes read so far and the total, if it is known.
pub type Progress<'p> = dyn Fn(u64, Option<u64>) + 'p;

/// Returns a warning that names inputs without rows.
pub(super) fn without_rows(inputs: &[InputReport]) -> Option<String> {
    /// Number of names in the message, at most.
    const SHOWN: usize = 3;
    let empty: Vec<&str> =
        inputs.iter().filter(|input| input.rows == 0).map(|input| input.uri.as_str()).collect();
    let more = match empty.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let shown = empty.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let (found, all) = (empty.len(), inputs.len());
    (found > 0).then(|| format!("{found} of {all} inputs have no ratings: {shown}{more}"))
}
