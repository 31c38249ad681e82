//! The exact reader: record by record, every cell checked, every bad one located.
//!
//! It decides what a good row is; the fast reader only has to agree with it on blocks without a bad
//! one.

use std::collections::VecDeque;

use super::IdType;
use super::block::Block;
use super::columns::Gather;
use super::id_column::block_ids;
use super::layout::TextLayout;
use crate::error::Result;

/// A block of text and where it stands in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextBlock<'t> {
    /// Whole records.
    pub bytes: &'t [u8],
    /// Line of the first byte, from 1.
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

/// What is wrong with a row: the column's name, the cell's text, the reason.
type Bad<'r> = (&'r str, String, String);

/// Reads one block; bad rows go to `gather`, which stops or sets them aside.
pub(super) fn read(
    block: TextBlock<'_>,
    layout: &TextLayout,
    gather: &mut Gather<'_>,
) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(layout.separator)
        .quoting(layout.quote().is_some())
        .has_headers(false)
        .flexible(true)
        .from_reader(block.bytes);
    let mut record = csv::ByteRecord::new();
    let mut rows = Rows::default();
    // The reader counts lines from where it starts.
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => {
                gather.reject(
                    block.line + reader.position().line() - 1,
                    "row",
                    "",
                    &e.to_string(),
                )?;
                continue;
            }
        }
        let line = block.line + record.position().map_or(1, csv::Position::line) - 1;
        let kind = gather.options().id_type;
        let unit = gather.options().time_unit;
        let checked = check(&record, layout, kind, |text| unit.parse(text));
        match checked {
            Ok(row) => {
                rows.users.push(row.user.to_owned());
                rows.items.push(row.item.to_owned());
                rows.values.push(row.value);
                rows.weights.extend(row.weight);
                rows.times.extend(row.time);
            }
            Err((column, text, reason)) => gather.reject(line, column, &text, &reason)?,
        }
    }
    let kind = gather.options().id_type;
    let Rows { users, items, values, weights, times } = rows;
    gather.push(Block {
        users: block_ids(kind, users.iter().map(String::as_str)),
        items: block_ids(kind, items.iter().map(String::as_str)),
        values,
        weights: layout.roles.weight.map(|_| weights),
        times: layout.roles.time.map(|_| times),
    })
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
    parse_time: impl Fn(&str) -> Option<i64>,
) -> Result<Row<'r>, Bad<'r>> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let columns = layout.names.len();
    let expected = if layout.doubled { 2 * columns - 1 } else { columns };
    if record.len() != expected {
        let whole: VecDeque<_> = record.iter().map(shown).collect();
        let found = if layout.doubled { record.len().div_ceil(2) } else { record.len() };
        let text = Vec::from(whole).join(&char::from(layout.separator).to_string());
        return Err(("row", text, format!("{found} fields where {columns} are expected")));
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
    let (name, text) = cell(roles.rating)?;
    let value = number(text).map_err(|reason| (name, text.to_owned(), reason.to_owned()))?;
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

/// A finite number.
fn number(text: &str) -> Result<f32, &'static str> {
    match text.trim().parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err("not a finite number"),
        Err(_) if text.trim().is_empty() => Err("empty"),
        Err(_) => Err("not a number"),
    }
}
