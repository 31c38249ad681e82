//! Documents for `vespa feed`, with their schema.

use serde_json::{Value, json};

use super::ndjson::{document, put, vector, write_lines};
use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;
use crate::model::Layout;

/// Put operations, one per line.
pub(super) struct Vespa;

impl Exporter for Vespa {
    fn name(&self) -> &'static str {
        "vespa"
    }

    fn about(&self) -> &'static str {
        "Vespa: documents for vespa feed, and their schema"
    }

    fn refuses(&self, layout: Layout) -> Option<&'static str> {
        (layout == Layout::Mips)
            .then_some("Vespa's dotproduct distance adds that dimension itself; use --layout dot")
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let name = side.axis.name();
            let feed = format!("{name}_feed.jsonl");
            write_lines(side, 0..side.rows(), &feed, files, &|row, out| {
                let mut fields = document(side, row, export);
                fields.insert("embedding".into(), json!({ "values": vector(side, row) }));
                let id = format!("id:lacuna:{name}::{}", side.ids.get(row));
                put(&json!({ "put": id, "fields": Value::Object(fields) }), out)
            })?;
            let text = schema(export, side);
            files.file(&format!("{name}.sd"), 0, "Vespa schema", &mut |to| {
                to.write_all(text.as_bytes())
            })?;
        }
        Ok(())
    }
}

fn schema(export: &Export, side: &ExportSide) -> String {
    let (name, width) = (side.axis.name(), side.vectors.cols());
    let id = if side.ids.kind() == "int" { "long" } else { "string" };
    let (indexing, metric) = match export.layout {
        // There is no index, because inner products of raw vectors leave the biases out.
        Layout::Raw => ("attribute", ""),
        Layout::Cosine => {
            ("attribute | index", "            attribute { distance-metric: angular }\n")
        }
        _ => ("attribute | index", "            attribute { distance-metric: dotproduct }\n"),
    };
    let bias = match side.biases {
        Some(_) => "        field bias type float { indexing: summary | attribute }\n",
        None => "",
    };
    format!(
        "schema {name} {{
    document {name} {{
        field {name}_id type {id} {{ indexing: summary | attribute }}
        field embedding type tensor<float>(x[{width}]) {{
            indexing: {indexing}
{metric}        }}
{bias}        field n_ratings type int {{ indexing: summary | attribute }}
        field model_version type string {{ indexing: summary | attribute }}
    }}
}}
"
    )
}
