//! One JSON object per line.

use std::io;
use std::ops::Range;

use serde_json::{Map, Value};

use super::lines::write_rows;
use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;
use crate::store::{json_id, json_number};

/// `item_embeddings.ndjson`.
pub(super) struct NdJson;

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

/// The fields of one row: id, embedding, any bias, number of training ratings, model version.
pub(super) fn document(side: &ExportSide, row: usize, export: &Export) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(format!("{}_id", side.axis.name()), json_id(side.ids.get(row)));
    fields.insert("embedding".into(), vector(side, row));
    if let Some(biases) = &side.biases {
        fields.insert("bias".into(), json_number(biases[row]));
    }
    fields.insert("n_ratings".into(), side.counts[row].into());
    fields.insert("model_version".into(), export.stamp.model_version.clone().into());
    fields
}

/// A vector as a JSON list.
pub(super) fn vector(side: &ExportSide, row: usize) -> Value {
    side.vectors.row(row).iter().map(|&v| json_number(v)).collect()
}

/// Appends a JSON value and the end of the line.
pub(super) fn put(value: &Value, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.push(b'\n');
    Ok(())
}

/// Writes the output of `line` for rows of a side, formatted in parallel.
pub(super) fn write_lines(
    side: &ExportSide,
    rows: Range<usize>,
    name: &str,
    files: &mut dyn Files,
    line: &(dyn Fn(usize, &mut Vec<u8>) -> io::Result<()> + Sync),
) -> Result<()> {
    let text = |range: Range<usize>| -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        range.into_iter().try_for_each(|row| line(row, &mut out))?;
        Ok(out)
    };
    let schema = format!("a JSON object per line, vectors of {} numbers", side.vectors.cols());
    files.file(name, rows.len(), &schema, &mut |to| write_rows(rows.clone(), to, &text))
}
