//! The binary COPY format of PostgreSQL, and the SQL that loads it.
//!
//! The format follows the PostgreSQL documentation, COPY, "Binary Format". It starts with a
//! signature and a header. Each row is the number of its fields, followed by the length and the
//! bytes of each field, big-endian. The file ends with -1.

use std::io::{self, Write};

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::{Error, Result};
use crate::ids::{Id, Ids};

/// `item_embeddings.pgcopy` and `load.sql`.
pub(super) struct PgCopy;

/// Type oid of `real`, the type of the array's entries.
const REAL: i32 = 700;

/// Seconds from 1970 to 2000, the origin of PostgreSQL's times.
const EPOCH: i64 = 946_684_800;

impl Exporter for PgCopy {
    fn name(&self) -> &'static str {
        "pgcopy"
    }

    fn about(&self) -> &'static str {
        "PostgreSQL, pgvector: binary COPY and the SQL for it"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            if let Ids::Text(ids) = &side.ids
                && let Some(id) = ids.iter().find(|id| id.contains('\0'))
            {
                return Err(Error::Usage(format!(
                    "--format pgcopy: the {} id {id:?} contains a zero byte, which PostgreSQL \
                     cannot store",
                    side.axis.name()
                )));
            }
            let schema = listed(side, ", ");
            let content = &mut |to: &mut dyn Write| copy(export, side, to);
            files.file(&side.file("pgcopy"), side.rows(), &schema, content)?;
        }
        let text = sql(export);
        files.file("load.sql", 0, "SQL for psql", &mut |to| to.write_all(text.as_bytes()))
    }
}

/// The names and SQL types of the columns of a side's table.
fn columns(side: &ExportSide) -> Vec<(String, String)> {
    let id = if side.ids.kind() == "int" { "bigint" } else { "text" };
    let mut columns = vec![(format!("{}_id", side.axis.name()), format!("{id} PRIMARY KEY"))];
    let mut column =
        |name: &str, kind: &str| columns.push((name.into(), format!("{kind} NOT NULL")));
    column("embedding", "real[]");
    if side.biases.is_some() {
        column("bias", "real");
    }
    column("n_ratings", "integer");
    column("model_version", "text");
    column("trained_at", "timestamptz");
    columns
}

fn listed(side: &ExportSide, separator: &str) -> String {
    let columns: Vec<String> =
        columns(side).iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    columns.join(separator)
}

fn field(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let length = i32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

fn copy(export: &Export, side: &ExportSide, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(b"PGCOPY\n\xff\r\n\0")?;
    // No flags, no header extension.
    to.write_all(&[0; 8])?;
    let fields = columns(side).len() as i16;
    let trained_at = (export.stamp.trained_at - EPOCH) * 1_000_000;
    let (mut row_bytes, mut array) = (Vec::new(), Vec::new());
    for row in 0..side.rows() {
        row_bytes.clear();
        row_bytes.extend(fields.to_be_bytes());
        match side.ids.get(row) {
            Id::Int(id) => field(&id.to_be_bytes(), &mut row_bytes)?,
            Id::Text(id) => field(id.as_bytes(), &mut row_bytes)?,
        }
        array.clear();
        let width = side.vectors.cols() as i32;
        // One dimension (none if the array is empty), no nulls, indices from 1.
        let head: &[i32] = if width == 0 { &[0, 0, REAL] } else { &[1, 0, REAL, width, 1] };
        array.extend(head.iter().flat_map(|v| v.to_be_bytes()));
        for value in side.vectors.row(row) {
            array.extend(4_i32.to_be_bytes());
            array.extend(value.to_be_bytes());
        }
        field(&array, &mut row_bytes)?;
        if let Some(biases) = &side.biases {
            field(&biases[row].to_be_bytes(), &mut row_bytes)?;
        }
        let count = i32::try_from(side.counts[row]).unwrap_or(i32::MAX);
        field(&count.to_be_bytes(), &mut row_bytes)?;
        field(export.stamp.model_version.as_bytes(), &mut row_bytes)?;
        field(&trained_at.to_be_bytes(), &mut row_bytes)?;
        to.write_all(&row_bytes)?;
    }
    to.write_all(&(-1_i16).to_be_bytes())
}

/// The SQL that loads new tables and swaps them in at once: readers see the old or the new ones.
fn sql(export: &Export) -> String {
    let mut text = format!(
        "-- Loads the vectors of model {} (layout {}).\n\
         -- Run in the directory of this file: psql -f load.sql\n\
         -- score: {}; global_mean {}\n\
         \\set ON_ERROR_STOP on\n\
         BEGIN;\n",
        export.stamp.model_version,
        export.layout.name(),
        export.layout.score(),
        export.stamp.global_mean
    );
    for side in &export.sides {
        let table = format!("{}_embeddings", side.axis.name());
        let columns = listed(side, ",\n    ");
        text += &format!(
            "DROP TABLE IF EXISTS {table}_new;\n\
             CREATE TABLE {table}_new (\n    {columns}\n);\n\
             \\copy {table}_new FROM '{}' WITH (FORMAT binary)\n\
             DROP TABLE IF EXISTS {table};\n\
             ALTER TABLE {table}_new RENAME TO {table};\n\
             ALTER INDEX {table}_new_pkey RENAME TO {table}_pkey;\n",
            side.file("pgcopy")
        );
    }
    text += "COMMIT;\n";
    for side in &export.sides {
        let (name, width) = (side.axis.name(), side.vectors.cols());
        text += &format!("ANALYZE {name}_embeddings;\n");
        let operators = match export.layout {
            crate::model::Layout::Raw => continue,
            crate::model::Layout::Dot => "vector_ip_ops",
            _ => "vector_cosine_ops",
        };
        text += &format!(
            "-- With pgvector (HNSW up to 2000 dimensions; <#> is the negative inner product):\n\
             -- ALTER TABLE {name}_embeddings ALTER embedding TYPE vector({width}) \
             USING embedding::vector({width});\n\
             -- CREATE INDEX ON {name}_embeddings USING hnsw (embedding {operators});\n"
        );
    }
    text
}
