//! Bulk requests for Elasticsearch and OpenSearch, with the mapping of the index.

use serde_json::{Value, json};

use super::ndjson::{document, put, write_lines};
use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::{Error, Result};
use crate::model::Layout;

/// Approximate size of a request; by default, servers accept 100 MB.
const BYTES_PER_BODY: usize = 50 << 20;

/// `_bulk` requests and a `dense_vector` mapping.
pub(super) struct Elasticsearch;

/// `_bulk` requests and a `knn_vector` mapping.
pub(super) struct OpenSearch;

impl Exporter for Elasticsearch {
    fn name(&self) -> &'static str {
        "elasticsearch"
    }

    fn about(&self) -> &'static str {
        "bodies of POST /INDEX/_bulk, and the mapping"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        // `dot_product` accepts only unit vectors. An unmapped array would be searched by cosine.
        let similarity = match export.layout {
            Layout::Raw => None,
            Layout::Dot => Some("max_inner_product"),
            Layout::Mips | Layout::Cosine => Some("cosine"),
        };
        write(export, files, &|side| {
            let dims = side.vectors.cols();
            let embedding = match similarity {
                Some(s) => {
                    json!({ "type": "dense_vector", "dims": dims, "index": true, "similarity": s })
                }
                None => json!({ "type": "dense_vector", "dims": dims, "index": false }),
            };
            json!({ "mappings": { "properties": properties(side, &embedding) } })
        })
    }
}

impl Exporter for OpenSearch {
    fn name(&self) -> &'static str {
        "opensearch"
    }

    fn about(&self) -> &'static str {
        "the same for OpenSearch"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        let space = match export.layout {
            Layout::Raw => None,
            Layout::Dot => Some("innerproduct"),
            Layout::Mips | Layout::Cosine => Some("cosinesimil"),
        };
        write(export, files, &|side| {
            let dimension = side.vectors.cols();
            let Some(space) = space else {
                let embedding = json!({ "type": "float", "index": false });
                return json!({ "mappings": { "properties": properties(side, &embedding) } });
            };
            let method = json!({ "name": "hnsw", "engine": "lucene", "space_type": space });
            let embedding =
                json!({ "type": "knn_vector", "dimension": dimension, "method": method });
            json!({
                "settings": { "index": { "knn": true } },
                "mappings": { "properties": properties(side, &embedding) },
            })
        })
    }
}

fn properties(side: &ExportSide, embedding: &Value) -> Value {
    let id = if side.ids.kind() == "int" { "long" } else { "keyword" };
    let mut properties = json!({
        "embedding": embedding,
        "n_ratings": { "type": "integer" },
        "model_version": { "type": "keyword" },
    });
    properties[format!("{}_id", side.axis.name())] = json!({ "type": id });
    if side.biases.is_some() {
        properties["bias"] = json!({ "type": "float" });
    }
    properties
}

/// Refuses ids that a server would reject.
fn check_ids(side: &ExportSide) -> Result<()> {
    /// The longest `_id` in bytes.
    const LONGEST: usize = 512;
    let name = side.axis.name();
    match (0..side.rows()).map(|row| side.ids.get(row).text()).find(|id| id.len() > LONGEST) {
        None => Ok(()),
        Some(id) => Err(Error::Usage(format!(
            "the {name} id \"{}...\" has {} bytes, but Elasticsearch and OpenSearch take at most \
             {LONGEST} for an _id: train on shorter ids",
            id.chars().take(40).collect::<String>(),
            id.len()
        ))),
    }
}

fn write(
    export: &Export,
    files: &mut dyn Files,
    mapping: &dyn Fn(&ExportSide) -> Value,
) -> Result<()> {
    for side in &export.sides {
        let name = side.axis.name();
        check_ids(side)?;
        let rows = (BYTES_PER_BODY / (200 + 13 * side.vectors.cols())).max(1);
        for (nth, first) in (0..side.rows()).step_by(rows).enumerate() {
            let file = match side.rows() <= rows {
                true => format!("{name}_bulk.ndjson"),
                false => format!("{name}_bulk-{nth:05}.ndjson"),
            };
            let range = first..side.rows().min(first + rows);
            write_lines(side, range, &file, files, &|row, out| {
                put(&json!({ "index": { "_id": side.ids.get(row).text() } }), out)?;
                put(&Value::Object(document(side, row, export)), out)
            })?;
        }
        let text = format!("{:#}\n", mapping(side));
        files.file(&format!("{name}_mapping.json"), 0, "body of PUT /INDEX", &mut |to| {
            to.write_all(text.as_bytes())
        })?;
    }
    Ok(())
}
