//! The exact reader: checks every cell of every record and locates the bad ones.
//!
//! It defines what a good row is. The fast reader must agree with it only on blocks without bad
//! rows.

use std::borrow::Cow;

use super::block::{Block, RowNumbers, integer};
use super::collector::Collector;
use super::id_column::block_ids;
use super::options::{IdType, LoadOptions};
use super::quotes::Ending;
use super::reports::NEGATIVE_COUNT;
use super::text_layout::TextLayout;
use crate::error::Result;

/// A block of text and its place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextBlock<'t> {
    /// Whole records.
    pub bytes: &'t [u8],
    /// Line number of the first byte, from 1.
    pub line: u64,
}

/// The cells of the good rows.
#[derive(Default)]
pub(super) struct Rows {
    numbers: Vec<u64>,
    users: Vec<String>,
    items: Vec<String>,
    values: Vec<f32>,
    weights: Vec<f32>,
    times: Vec<i64>,
}

/// A bad cell: the name of the column, the text of the cell, the reason.
pub(super) type Bad<'r> = (&'r str, String, String);

/// Why a row is not used.
pub(super) enum Unused<'r> {
    /// It has a bad cell.
    Bad(Bad<'r>),
    /// It has no id, and the options say what that looks like.
    WithoutId,
    /// Its rating means that there is none.
    WithoutRating,
}

impl<'r> From<Bad<'r>> for Unused<'r> {
    fn from(bad: Bad<'r>) -> Self {
        Self::Bad(bad)
    }
}

/// A bad row as a whole: the text of its first line, the reason.
pub(super) fn bad_row(text: String, reason: &str) -> Unused<'static> {
    Unused::Bad(("row", text, reason.to_owned()))
}

/// Reads one block. `gather` receives the bad rows and stops or sets them aside.
pub(super) fn read(
    block: TextBlock<'_>,
    layout: &TextLayout,
    gather: &mut Collector<'_>,
) -> Result<()> {
    let mut rows = Rows::default();
    let mut lines = Lines { bytes: block.bytes, at: 0, line: block.line };
    let (reader, mut cells) = (layout.cells(), Vec::new());
    while lines.skip_blank() {
        let start = lines.at;
        let (len, ending) = reader.read(&block.bytes[start..], &mut cells);
        let first = || {
            let line = block.bytes[start..].split(|b| *b == b'\n').next().unwrap_or_default();
            String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
        };
        let long = block.bytes[start..start + len].trim_ascii_end().contains(&b'\n');
        let checked = match ending {
            Ending::Whole => Record { cells: &cells, layout, options: gather.options() }.check(),
            Ending::Open => Err(bad_row(first(), "a quote that is never closed")),
            Ending::Suspect(lines) => Err(bad_row(
                first(),
                &format!(
                    "a quoted cell over {lines} lines that contains whole rows (--quote none reads \
                     the mark as text, --quote '\"' reads the whole cell)"
                ),
            )),
        };
        // A bad record of several lines loses its first line only: a stray quote must not take
        // other rows along.
        let good = rows.take(lines.line, checked, gather)?;
        if long && good {
            gather.note_long_row();
        }
        lines.advance_to(if long && !good { lines.line_end() } else { start + len });
    }
    rows.push(layout, gather)
}

impl Rows {
    /// Adds a row, or leaves it out. Returns false if the row is bad.
    pub(super) fn take(
        &mut self,
        line: u64,
        checked: Result<Row<'_>, Unused<'_>>,
        gather: &mut Collector<'_>,
    ) -> Result<bool> {
        let row = match checked {
            Ok(row) => row,
            Err(Unused::WithoutId) => {
                gather.leave_out_without_id();
                return Ok(true);
            }
            Err(Unused::WithoutRating) => {
                gather.leave_out_rating();
                return Ok(true);
            }
            Err(Unused::Bad((column, text, reason))) => {
                gather.reject(line, column, &text, &reason)?;
                return Ok(false);
            }
        };
        let time = match row.time {
            Some(Err((column, text, reason))) if gather.needs_times() => {
                gather.reject(line, column, &text, &reason)?;
                return Ok(false);
            }
            Some(Err((column, text, _))) => {
                gather.bad_time(line, column, &text);
                0
            }
            Some(Ok(time)) => time,
            None => 0,
        };
        self.numbers.push(line);
        self.users.push(row.user.to_owned());
        self.items.push(row.item.to_owned());
        self.values.push(row.value);
        self.weights.extend(row.weight);
        self.times.push(time);
        Ok(true)
    }

    /// Passes the rows on.
    pub(super) fn push(self, layout: &TextLayout, gather: &mut Collector<'_>) -> Result<()> {
        let kind = gather.options().id_type;
        let Self { numbers, users, items, values, weights, times } = self;
        gather.push(Block {
            numbers: RowNumbers::Each(numbers),
            users: block_ids(kind, users.iter().map(String::as_str)),
            items: block_ids(kind, items.iter().map(String::as_str)),
            values,
            weights: layout.roles.weight.map(|_| weights),
            times: layout.roles.time.map(|_| times),
        })
    }
}

/// A position in a block, and its line number.
struct Lines<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// Advances to a position and counts the line breaks on the way.
    fn advance_to(&mut self, at: usize) {
        let at = at.clamp(self.at, self.bytes.len());
        self.line += memchr::memchr_iter(b'\n', &self.bytes[self.at..at]).count() as u64;
        self.at = at;
    }

    /// Skips line breaks. Returns whether a record follows.
    fn skip_blank(&mut self) -> bool {
        let breaks =
            self.bytes[self.at..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.advance_to(self.at + breaks);
        self.at < self.bytes.len()
    }

    /// The end of the current line, including its line break.
    fn line_end(&self) -> usize {
        let rest = &self.bytes[self.at..];
        self.at + memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1)
    }
}

/// One good row. Its time may be bad all the same, because not every reader needs it.
pub(super) struct Row<'r> {
    user: &'r str,
    item: &'r str,
    value: f32,
    weight: Option<f32>,
    time: Option<Result<i64, Bad<'r>>>,
}

/// The cells of one record.
pub(super) struct Record<'r> {
    pub cells: &'r [Cow<'r, [u8]>],
    pub layout: &'r TextLayout,
    pub options: &'r LoadOptions,
}

impl<'r> Record<'r> {
    pub(super) fn check(&self) -> Result<Row<'r>, Unused<'r>> {
        self.check_shape()?;
        let roles = &self.layout.roles;
        let (user, item) = (self.id(roles.user)?, self.id(roles.item)?);
        let dropped = |value: &f32| self.options.drop_ratings.contains(value);
        let value = match roles.rating {
            Some(column) => match self.number(column)? {
                (_, value) if dropped(&value) => return Err(Unused::WithoutRating),
                (text, value) if self.options.counts && value < 0.0 => {
                    return Err(self.bad(column, text, NEGATIVE_COUNT).into());
                }
                (_, value) => value,
            },
            None => 1.0,
        };
        let weight = match roles.weight.map(|column| (column, self.number(column))) {
            Some((_, Ok((_, weight)))) if weight >= 0.0 => Some(weight),
            Some((column, Ok((text, _)))) => {
                return Err(self.bad(column, text, "negative weight").into());
            }
            Some((_, Err(bad))) => return Err(bad.into()),
            None => None,
        };
        let time = roles.time.map(|column| self.time(column));
        Ok(Row { user, item, value, weight, time })
    }

    /// Checks the number of cells, and that the row is not the header again.
    fn check_shape(&self) -> Result<(), Bad<'r>> {
        let Self { cells, layout, .. } = *self;
        let (expected, columns) = (layout.physical_columns(), layout.names.len());
        let whole = |reason: String| {
            let cells: Vec<String> = cells.iter().map(|cell| shown(cell)).collect();
            ("row", cells.join(&char::from(layout.separator).to_string()), reason)
        };
        if cells.len() < expected || cells.len() > expected && !layout.ragged {
            let found = if layout.doubled { cells.len().div_ceil(2) } else { cells.len() };
            return Err(whole(format!("{found} fields where {columns} are expected")));
        }
        let named = |(at, name): (usize, &String)| {
            cells[layout.physical(at)].trim_ascii() == name.as_bytes()
        };
        if layout.header && layout.names.iter().enumerate().all(named) {
            return Err(whole("the header again".to_owned()));
        }
        Ok(())
    }

    fn bad(&self, column: usize, text: &str, reason: &str) -> Bad<'r> {
        (self.layout.names[column].as_str(), text.to_owned(), reason.to_owned())
    }

    fn text(&self, column: usize) -> Result<&'r str, Bad<'r>> {
        let cells: &'r [Cow<'r, [u8]>] = self.cells;
        let bytes: &'r [u8] = &cells[self.layout.physical(column)];
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => Err(self.bad(column, text, "contains a NUL byte")),
            Ok(text) => Ok(text),
            Err(_) => Err(self.bad(column, &shown(bytes), NOT_UTF_8)),
        }
    }

    fn id(&self, column: usize) -> Result<&'r str, Unused<'r>> {
        let text = self.text(column)?;
        let text = if self.options.trim { text.trim() } else { text };
        let null_ids = &self.options.null_ids;
        if !null_ids.is_empty() && (text.is_empty() || null_ids.iter().any(|id| id == text.trim()))
        {
            return Err(Unused::WithoutId);
        }
        if text.is_empty() {
            return Err(self.bad(column, text, "empty").into());
        }
        if self.options.id_type == IdType::Int && integer(text).is_none() {
            return Err(self.bad(column, text, "not an integer (--id-type int)").into());
        }
        Ok(text)
    }

    /// Parses a finite number.
    fn number(&self, column: usize) -> Result<(&'r str, f32), Bad<'r>> {
        let text = self.text(column)?;
        let trimmed = text.trim();
        let parsed = match self.layout.decimal_comma {
            true if !trimmed.contains('.') => trimmed.replacen(',', ".", 1).parse::<f32>(),
            _ => trimmed.parse(),
        };
        match parsed {
            Ok(value) if value.is_finite() => Ok((text, value)),
            Ok(_) => Err(self.bad(column, text, "not a finite number")),
            Err(_) if trimmed.is_empty() => Err(self.bad(column, text, "empty")),
            Err(_) => Err(self.bad(column, text, "not a number")),
        }
    }

    fn time(&self, column: usize) -> Result<i64, Bad<'r>> {
        let text = self.text(column)?;
        let form = self.layout.time.as_ref();
        form.and_then(|form| form.parse(text)).ok_or_else(|| {
            let reason = match text.trim() {
                "" => "empty",
                _ => "not a time (--time-format names a format)",
            };
            self.bad(column, text, reason)
        })
    }
}

/// The reason for rejecting a cell in another encoding.
const NOT_UTF_8: &str =
    "not valid UTF-8 (for Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW)";

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
