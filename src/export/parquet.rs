//! Parquet tables with fixed-size lists, like the model's own tables, or with plain lists.

use super::{Dtype, Export, Exporter, Files};
use crate::error::Result;
use crate::store::{FactorTable, Lists};

/// Fixed-size lists: pyarrow, pandas, Polars, DuckDB, Spark, BigQuery, LanceDB.
pub(super) struct Parquet;

/// Plain lists, for readers that do not support fixed-size lists, such as older Milvus importers.
pub(super) struct ParquetList;

impl Exporter for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "pyarrow, pandas, Polars, DuckDB, Spark, BigQuery, LanceDB"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        write(export, Lists::Fixed, files)
    }
}

impl Exporter for ParquetList {
    fn name(&self) -> &'static str {
        "parquet-list"
    }

    fn about(&self) -> &'static str {
        "readers of plain lists alone: Milvus and older Arrow readers"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        write(export, Lists::Plain, files)
    }
}

fn write(export: &Export, lists: Lists, files: &mut dyn Files) -> Result<()> {
    for side in &export.sides {
        let table = FactorTable {
            axis: side.axis,
            ids: &side.ids,
            vectors: &side.vectors,
            biases: side.biases.as_deref(),
            counts: &side.counts,
            layout: export.layout,
            lists,
            stamp: &export.stamp,
        };
        let content = &mut |to: &mut dyn std::io::Write| table.write(to);
        files.file(&side.file("parquet"), side.rows(), &table.schema(), content)?;
    }
    Ok(())
}
