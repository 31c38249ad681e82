//! The registry of formats of rating files.

use super::format::Format;
use super::json_lines::JsonLines;
use super::parquet::Parquet;
use super::text::Text;

/// The formats. The first one that fits reads a file; text comes last, because it takes the rest.
const FORMATS: &[&dyn Format] = &[&Parquet, &JsonLines, &Text];

/// The format of a file that starts with these bytes.
pub(super) fn format_of(head: &[u8]) -> &'static dyn Format {
    FORMATS.iter().copied().find(|format| format.fits(head)).unwrap_or(&Text)
}

/// The extensions of rating files, archives included.
pub(super) fn extensions() -> Vec<&'static str> {
    let formats = FORMATS.iter().rev().flat_map(|format| format.extensions());
    formats.copied().chain(["zip"]).collect()
}

/// The message for a directory without rating files.
pub(super) fn none_here() -> String {
    format!("no rating files ({}) in this directory", extensions().join(", "))
}
