//! Reads JSON lines: one object per line, whose fields are the columns.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::block::integer;
use super::collector::Collector;
use super::cutter::{Cutter, Piece};
use super::format::{FileLayout, Format};
use super::input::Input;
use super::options::LoadOptions;
use super::recognised::{self, Recognised};
use super::roles::{InputColumns, describe_roles};
use super::sample::{Sample, wrong};
use super::strict::{Record, Rows, bad_row};
use super::text_layout::TextLayout;
use crate::error::Result;

/// JSON lines, also known as NDJSON.
pub(super) struct JsonLines;

/// The layout of a file of JSON lines: that of a text file with the fields as columns.
struct JsonLayout(TextLayout);

impl Format for JsonLines {
    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn fits(&self, head: &[u8]) -> bool {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match head.split_first() {
            Some((b'{', rest)) => rest.trim_ascii_start().starts_with(b"\""),
            Some((b'[', rest)) => rest.trim_ascii_start().starts_with(b"{"),
            _ => false,
        }
    }

    fn recognise(&self, input: &mut Input, options: &LoadOptions) -> Result<Box<dyn FileLayout>> {
        input.extend_head_to_lines()?;
        let layout = recognise(&input.path, &input.head, input.head_is_whole(), options)?;
        Ok(Box::new(JsonLayout(layout)))
    }
}

impl FileLayout for JsonLayout {
    fn columns(&self) -> InputColumns {
        let Self(layout) = self;
        let roles = describe_roles(&layout.names, &layout.roles, layout.time.as_ref());
        InputColumns { described: format!("JSON lines, {roles}"), ..layout.input_columns() }
    }

    fn read(
        &self,
        input: &mut Input,
        gather: &mut Collector<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let Self(layout) = self;
        let mut cutter = Cutter::new(input, layout);
        let mut spare = None;
        while let Some(Piece { buffer, range, line, consumed, .. }) = cutter.next(spare.take())? {
            read_block(&buffer[range], line, layout, gather)?;
            progress(consumed);
            spare = Some(buffer);
        }
        Ok(())
    }
}

fn recognise(path: &Path, head: &[u8], whole: bool, options: &LoadOptions) -> Result<TextLayout> {
    let skip = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if head[skip..].trim_ascii_start().starts_with(b"[") {
        return Err(wrong(
            path,
            "the file is one JSON array; write it as lines: jq -c '.[]' FILE > NEW.jsonl",
        ));
    }
    let mut lines: Vec<&[u8]> = head[skip..].split(|byte| *byte == b'\n').collect();
    // The last line may be incomplete.
    if lines.len() > 1 && !whole {
        lines.pop();
    }
    let objects: Vec<Map<String, Value>> =
        lines.into_iter().take(Sample::ROWS).filter_map(|line| object(line).ok()).collect();
    if objects.is_empty() {
        return Err(wrong(
            path,
            "the file looks like JSON, but no line is an object; write it as lines: \
             jq -c . FILE > NEW.jsonl",
        ));
    }
    let names = names(&objects);
    let sample = Sample { rows: objects.iter().map(|object| cells(object, &names)).collect() };
    let found = recognised::recognise(path, &names, true, &sample, options)?;
    let Recognised { roles, columns, time, warning } = found;
    let number = |cell: &str| cell.parse::<f64>().is_ok();
    Ok(TextLayout {
        separator: b',',
        doubled: false,
        quotes: None,
        header: false,
        skip,
        line: 1,
        numeric_time: roles.time.is_some_and(|at| sample.cells(at).all(number)),
        names,
        roles,
        columns,
        warning,
        time,
        decimal_comma: false,
        ragged: false,
    })
}

/// The names of all fields, in the order of their first occurrence.
fn names(objects: &[Map<String, Value>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in objects.iter().flat_map(Map::keys) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The fields with these names as cells.
fn cells(object: &Map<String, Value>, names: &[String]) -> Vec<String> {
    names.iter().map(|name| object.get(name).map(text).unwrap_or_default()).collect()
}

/// Whether a file with these bytes is JSON.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    JsonLines.fits(bytes)
}

/// The rows of a small file of JSON lines, below the names of their fields.
///
/// # Errors
/// A message that names the first line that is not an object.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let objects = lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(at, line)| object(line).map_err(|e| format!("line {at}: not a JSON object: {e}")))
        .collect::<Result<Vec<Map<String, Value>>, String>>()?;
    let names = names(&objects);
    let rows = objects.iter().map(|object| cells(object, &names)).collect::<Vec<_>>();
    Ok([vec![names], rows].concat())
}

fn object(line: &[u8]) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_slice(line)
}

/// A value as the text of a cell. Whole numbers have no decimal point.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            integer(&text).map_or(text, |whole| whole.to_string())
        }
        other => other.to_string(),
    }
}

/// One line: its number, and its cells or why it has none.
struct Line<'t> {
    number: u64,
    bytes: &'t [u8],
    cells: Result<Vec<Cow<'static, [u8]>>, String>,
}

/// Reads whole lines.
fn read_block(
    bytes: &[u8],
    first: u64,
    layout: &TextLayout,
    gather: &mut Collector<'_>,
) -> Result<()> {
    let lines: Vec<(u64, &[u8])> = (first..).zip(bytes.split(|byte| *byte == b'\n')).collect();
    let parsed: Vec<Line<'_>> = lines
        .into_par_iter()
        .filter(|(_, bytes)| !bytes.trim_ascii().is_empty())
        .map(|(number, bytes)| {
            let parsed = object(bytes).map_err(|e| format!("not a JSON object: {e}"));
            let owned = |cell: String| Cow::Owned(cell.into_bytes());
            let row =
                parsed.map(|object| cells(&object, &layout.names).into_iter().map(owned).collect());
            Line { number, bytes, cells: row }
        })
        .collect();
    let mut rows = Rows::default();
    for Line { number, bytes, cells } in &parsed {
        let checked = match cells {
            Ok(cells) => Record { cells, layout, options: gather.options() }.check(),
            Err(reason) => Err(bad_row(String::from_utf8_lossy(bytes).into_owned(), reason)),
        };
        rows.take(*number, checked, gather)?;
    }
    rows.push(layout, gather)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_by_its_first_bytes() {
        for (head, json) in [
            ("{\"user\": 1}\n", true),
            (" { \"user\": 1}\n", true),
            ("[\n {\"user\": 1}]", true),
            ("{1},2,3\n", false),
            ("[1],2,3\n", false),
            ("1,2,3\n", false),
        ] {
            assert_eq!(JsonLines.fits(head.as_bytes()), json, "{head}");
        }
    }

    #[test]
    fn numbers_have_the_text_of_integers_where_they_are() {
        let texts = |json: &str| text(&serde_json::from_str(json).expect("JSON"));
        assert_eq!(["5", "5.0", "5.5", "null", "\"5.0\""].map(texts), ["5", "5", "5.5", "", "5.0"]);
    }
}
