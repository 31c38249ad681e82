//! One JSON object per line.

use std::io::{self, Write};
use std::ops::Range;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::{Dtype, Export, ExportSide, Exporter, Files, json_id};
use crate::error::Result;

/// `item_embeddings.ndjson`.
pub(super) struct NdJson;

/// Rows that are formatted at a time.
const ROWS_PER_CHUNK: usize = 1 << 11;

impl Exporter for NdJson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn about(&self) -> &'static str {
        "Weaviate, jq, any client library: an object per line"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let name = side.file("ndjson");
            write_lines(side, 0..side.rows(), &name, files, &|row, out| {
                put(&Value::Object(document(side, row, export)), out)
            })?;
        }
        Ok(())
    }
}

/// The fields of one row: id, embedding, bias where there is one, training ratings, version.
pub(super) fn document(side: &ExportSide, row: usize, export: &Export) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(format!("{}_id", side.axis.name()), json_id(&side.ids, row));
    fields.insert("embedding".into(), vector(side, row));
    if let Some(biases) = &side.biases {
        fields.insert("bias".into(), number(biases[row]));
    }
    fields.insert("n_ratings".into(), side.counts[row].into());
    fields.insert("model_version".into(), export.stamp.model_version.clone().into());
    fields
}

/// A vector as a JSON list.
pub(super) fn vector(side: &ExportSide, row: usize) -> Value {
    side.vectors.row(row).iter().map(|&v| number(v)).collect()
}

/// A number in the shortest decimal form that reads back as the same single-precision number.
fn number(value: f32) -> Value {
    // The nearest double of that decimal form prints as it.
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// Adds a JSON value and the end of the line.
pub(super) fn put(value: &Value, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.push(b'\n');
    Ok(())
}

/// Writes what `line` gives for rows of a side, formatted in parallel.
pub(super) fn write_lines(
    side: &ExportSide,
    rows: Range<usize>,
    name: &str,
    files: &mut dyn Files,
    line: &(dyn Fn(usize, &mut Vec<u8>) -> io::Result<()> + Sync),
) -> Result<()> {
    let chunk = |&first: &usize| -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let last = rows.end.min(first + ROWS_PER_CHUNK);
        (first..last).try_for_each(|row| line(row, &mut out))?;
        Ok(out)
    };
    let chunks: Vec<usize> = rows.clone().step_by(ROWS_PER_CHUNK).collect();
    let mut content = |to: &mut dyn Write| -> io::Result<()> {
        for group in chunks.chunks(rayon::current_num_threads() * 2) {
            let texts: Vec<io::Result<Vec<u8>>> = group.par_iter().map(chunk).collect();
            texts.into_iter().try_for_each(|text| to.write_all(&text?))?;
        }
        Ok(())
    };
    let schema = format!("a JSON object per line, vectors of {} numbers", side.vectors.cols());
    files.file(name, rows.len(), &schema, &mut content)
}
