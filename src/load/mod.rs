//! Rating files in, columns with dense ids out.
//!
//! ```text
//! arguments ─source→ byte streams ─layout→ columns by role ─text | parquet→ blocks ─columns→ Interactions
//! ```
//!
//! Text is read in blocks that end at a record: Polars parses a block; a block with anything odd in it
//! is read again by the strict reader, which finds the line and column of every bad cell. So a good
//! file runs at Polars' speed, a bad one gets exact messages, and memory holds one block of text.
//! Polars stops here.

mod block;
mod columns;
mod fingerprint;
mod footer;
mod guard;
mod id_column;
mod layout;
mod object;
mod pages;
pub mod pairs;
mod parquet;
pub mod prepare;
mod source;
mod strict;
pub mod table;
mod text;
pub mod time;
mod zip_member;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use columns::Gather;
pub use columns::{Chunk, Interactions};
pub use fingerprint::{Fingerprint, fingerprint, hex};
pub(crate) use footer::check as check_footer;
pub(crate) use guard::decode;
pub use guard::is_decoding;
pub use layout::Columns;
use layout::Layout;
pub use object::ObjectSource;
use serde::{Deserialize, Serialize};
pub use source::{Source, expand};
pub use time::TimeUnit;

use crate::error::{Error, Result};

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
    /// SHA-256 of the file; of standard input when it was read, of files by [`fingerprint`].
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
const NEGATIVE_COUNT: &str = "negative count";

/// Bytes read so far and in all (where known), for a progress bar.
pub type Progress<'p> = dyn Fn(u64, Option<u64>) + 'p;

/// Reads rating files, and test files behind them (none where `tests` is empty).
///
/// # Errors
/// Every error names the file and, where there is one, the line, the column and the text.
pub fn load(
    (inputs, tests): (&[String], &[String]),
    options: &LoadOptions,
    stop: &AtomicBool,
    progress: &Progress<'_>,
) -> Result<Interactions> {
    let mut sources = expand(inputs, stop)?;
    let tests = expand(tests, stop)?;
    let n_test = tests.len();
    sources.extend(tests);
    let total = sources.iter().map(Source::size).sum::<Option<u64>>();
    let mut gather = Gather::new(options, n_test, stop);
    let mut done = 0;
    for source in &sources {
        // An object is fetched, then read.
        let passes = if matches!(source, Source::Object(_)) { 2 } else { 1 };
        let fetched = |bytes: u64| progress(done + bytes / passes, total);
        let size = source.size().unwrap_or(0);
        let report = |bytes: u64| progress(done + (size * (passes - 1) + bytes) / passes, total);
        let mut input = source.open(stop, &fetched)?;
        let layout = Layout::recognise(&mut input, options)?;
        gather.begin(&input, &layout);
        match &layout {
            Layout::Text(layout) => text::read(&mut input, layout, &mut gather, &report)?,
            Layout::Parquet(layout) => parquet::read(&mut input, layout, &mut gather, &report)?,
        }
        gather.end(&input)?;
        done += size;
    }
    gather.finish()
}

/// Ends with [`Error::Stopped`] where a stop was asked for.
fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
}
