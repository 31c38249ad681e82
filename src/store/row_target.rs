//! Where rows are written.

use std::io::Write;
use std::path::PathBuf;

/// Where rows go.
pub enum RowTarget {
    /// A stream, such as standard output. It is not an error if its reader closes it.
    Stream(Box<dyn Write + Send>),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace an existing file.
        replace: bool,
    },
}
