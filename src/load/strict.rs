//! The exact reader: checks every cell of every record and locates the bad ones.
//!
//! It defines what a good row is. The fast reader must agree with it only on blocks without bad
//! rows.

use super::block::Block;
use super::columns::Collector;
use super::id_column::block_ids;
use super::options::IdType;
use super::quotes::scan_quotes;
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
struct Rows {
    users: Vec<String>,
    items: Vec<String>,
    values: Vec<f32>,
    weights: Vec<f32>,
    times: Vec<i64>,
}

/// A bad cell: the name of the column, the text of the cell, the reason.
type Bad<'r> = (&'r str, String, String);

/// Reads one block. `gather` receives the bad rows and stops or sets them aside.
pub(super) fn read(
    block: TextBlock<'_>,
    layout: &TextLayout,
    gather: &mut Collector<'_>,
) -> Result<()> {
    let (kind, unit) = (gather.options().id_type, gather.options().time_unit);
    let counts = gather.options().counts;
    let mut rows = Rows::default();
    let mut lines = Lines { bytes: block.bytes, at: 0, line: block.line };
    'records: while lines.skip_blank() {
        let start = lines.at;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(layout.separator)
            .quoting(layout.quote().is_some())
            .has_headers(false)
            .flexible(true)
            .from_reader(&block.bytes[start..]);
        let mut record = csv::ByteRecord::new();
        // Reading bytes from memory cannot fail.
        while lines.skip_blank() && reader.read_byte_record(&mut record).unwrap_or(false) {
            let (first, line) = (lines.at, lines.line);
            let end = start + reader.position().byte() as usize;
            let raw = block.bytes[first..end].trim_ascii_end();
            let several_lines = raw.contains(&b'\n');
            let open = |quote| scan_quotes(raw, quote, layout.separator).1;
            let checked = if several_lines && layout.quote().is_some_and(open) {
                let shown =
                    String::from_utf8_lossy(raw.split(|b| *b == b'\n').next().unwrap_or_default());
                Err(("row", shown.into_owned(), "a quote that is never closed".to_owned()))
            } else {
                check(&record, layout, kind, counts, |text| unit.parse(text))
            };
            match checked {
                Ok(row) => {
                    rows.users.push(row.user.to_owned());
                    rows.items.push(row.item.to_owned());
                    rows.values.push(row.value);
                    rows.weights.extend(row.weight);
                    rows.times.extend(row.time);
                    lines.advance_to(end);
                }
                Err((column, text, reason)) => {
                    gather.reject(line, column, &text, &reason)?;
                    // A quote that is never closed swallows the rows after it. So only the first
                    // line of a bad record of several lines is rejected.
                    if several_lines {
                        lines.advance_to(lines.line_end());
                        continue 'records;
                    }
                    // Not to the end of the line: a carriage return alone also ends a record.
                    lines.advance_to(end);
                }
            }
        }
        if lines.at == start {
            break;
        }
    }
    let Rows { users, items, values, weights, times } = rows;
    gather.push(Block {
        users: block_ids(kind, users.iter().map(String::as_str)),
        items: block_ids(kind, items.iter().map(String::as_str)),
        values,
        weights: layout.roles.weight.map(|_| weights),
        times: layout.roles.time.map(|_| times),
    })
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

/// One good row.
struct Row<'r> {
    user: &'r str,
    item: &'r str,
    value: f32,
    weight: Option<f32>,
    time: Option<i64>,
}

fn check<'r>(
    record: &'r csv::ByteRecord,
    layout: &'r TextLayout,
    kind: IdType,
    counts: bool,
    parse_time: impl Fn(&str) -> Option<i64>,
) -> Result<Row<'r>, Bad<'r>> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let columns = layout.names.len();
    let whole = || {
        let cells: Vec<String> = record.iter().map(shown).collect();
        cells.join(&char::from(layout.separator).to_string())
    };
    let expected = layout.physical_columns();
    if record.len() < expected || record.len() > expected && !layout.ragged {
        let found = if layout.doubled { record.len().div_ceil(2) } else { record.len() };
        return Err(("row", whole(), format!("{found} fields where {columns} are expected")));
    }
    if layout.doubled && record.iter().skip(1).step_by(2).any(|cell| !cell.is_empty()) {
        return Err(("row", whole(), "text inside a separator".to_owned()));
    }
    let cell = |column: usize| {
        let bytes = &record[layout.physical(column)];
        let name = layout.names[column].as_str();
        let text = std::str::from_utf8(bytes);
        text.map(|t| (name, t)).map_err(|_| (name, shown(bytes), "not valid UTF-8".to_owned()))
    };
    let id = |column: usize| {
        let (name, text) = cell(column)?;
        let reason = if text.is_empty() {
            "empty"
        } else if kind == IdType::Int && text.trim().parse::<i64>().is_err() {
            "not an integer (--id-type int)"
        } else {
            return Ok(text);
        };
        Err((name, text.to_owned(), reason.to_owned()))
    };
    let roles = &layout.roles;
    let (user, item) = (id(roles.user)?, id(roles.item)?);
    let value = match roles.rating {
        Some(column) => {
            let (name, text) = cell(column)?;
            let value = number(text)
                .and_then(|v| if counts && v < 0.0 { Err(NEGATIVE_COUNT) } else { Ok(v) });
            value.map_err(|reason| (name, text.to_owned(), reason.to_owned()))?
        }
        None => 1.0,
    };
    let weight = match roles.weight {
        Some(column) => {
            let (name, text) = cell(column)?;
            let weight =
                number(text).and_then(|w| if w < 0.0 { Err("negative weight") } else { Ok(w) });
            Some(weight.map_err(|reason| (name, text.to_owned(), reason.to_owned()))?)
        }
        None => None,
    };
    let time = match roles.time {
        Some(column) => {
            let (name, text) = cell(column)?;
            let reason = if text.is_empty() { "empty" } else { "not a time" };
            Some(parse_time(text).ok_or_else(|| (name, text.to_owned(), reason.to_owned()))?)
        }
        None => None,
    };
    Ok(Row { user, item, value, weight, time })
}

/// Parses a finite number.
fn number(text: &str) -> Result<f32, &'static str> {
    match text.trim().parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err("not a finite number"),
        Err(_) if text.trim().is_empty() => Err("empty"),
        Err(_) => Err("not a number"),
    }
}
