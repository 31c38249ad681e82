//! What is known about inputs that were read.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One input as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputReport {
    /// The file on disk, none for standard input and objects.
    pub file: Option<PathBuf>,
    /// When it was last changed, before it was read.
    pub mtime: Option<i64>,
    /// What an object store says of the content of an object.
    pub etag: Option<String>,
    /// Path, URL or `-`; a member of an archive as `archive.zip:member`.
    pub uri: String,
    /// Size of the file in bytes (of the archive, where it is one).
    pub bytes: u64,
    /// Layout as recognised, for people.
    pub layout: String,
    /// Rows that hold a rating, rejected ones included.
    pub rows: u64,
    /// Rows rejected, by reason.
    pub rows_rejected: BTreeMap<String, u64>,
    /// SHA-256 of the file; of standard input when it was read, of files by [`super::fingerprint`].
    pub sha256: Option<String>,
    /// Latest time (seconds since 1970), where times were read.
    pub max_timestamp: Option<i64>,
}

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The file.
    pub file: PathBuf,
    /// Line of a text file, row of a Parquet file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The cell's text.
    pub text: String,
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: \"{}\"", self.file.display(), self.line, self.reason, self.text)
    }
}

/// Why a value cannot be a count of implicit feedback.
pub(super) const NEGATIVE_COUNT: &str = "negative count";

/// Bytes read so far and in all (where known), for a progress bar.
pub type Progress<'p> = dyn Fn(u64, Option<u64>) + 'p;
