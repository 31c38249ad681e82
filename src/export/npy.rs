//! NumPy arrays: vectors, biases and ids, all with the same order of rows.

use std::io::{self, Write};

use npyz::{DType, WriterBuilder};

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;
use crate::ids::Ids;

/// One `.npy` file per array.
pub(super) struct Npy;

impl Exporter for Npy {
    fn name(&self) -> &'static str {
        "npy"
    }

    fn about(&self) -> &'static str {
        "NumPy, FAISS, hnswlib: arrays that can be memory-mapped"
    }

    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32, Dtype::F16]
    }

    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let rows = side.rows();
            let schema = format!("{}[{rows}, {}]", dtype.name(), side.vectors.cols());
            files.file(&side.file("npy"), rows, &schema, &mut |to| vectors(side, dtype, to))?;
            write_biases(side, files)?;
            write_ids(side, files)?;
        }
        Ok(())
    }
}

/// Writes any biases of a side to a separate file, for a format that cannot hold them.
pub(super) fn write_biases(side: &ExportSide, files: &mut dyn Files) -> Result<()> {
    let Some(biases) = &side.biases else { return Ok(()) };
    let (name, rows) = (side.axis.name(), side.rows());
    let content = &mut |to: &mut dyn Write| floats(biases, to);
    files.file(&format!("{name}_biases.npy"), rows, &format!("f32[{rows}]"), content)
}

/// Writes the ids of a side to a separate file, for a format that cannot hold them: integers as
/// `.npy`, text as a JSON list.
pub(super) fn write_ids(side: &ExportSide, files: &mut dyn Files) -> Result<()> {
    let (name, rows) = (side.axis.name(), side.rows());
    match &side.ids {
        Ids::Int(ids) => {
            let content = &mut |to: &mut dyn Write| integers(ids, to);
            files.file(&format!("{name}_ids.npy"), rows, &format!("i64[{rows}]"), content)
        }
        Ids::Text(ids) => {
            let content = &mut |to: &mut dyn Write| Ok(serde_json::to_writer(to, ids)?);
            files.file(&format!("{name}_ids.json"), rows, "JSON list of text", content)
        }
    }
}

/// Writes the vectors of a side as an array.
pub(super) fn vectors(side: &ExportSide, dtype: Dtype, to: &mut dyn Write) -> io::Result<()> {
    let kind = match dtype {
        Dtype::F32 => "<f4",
        Dtype::F16 => "<f2",
    };
    header(kind, &[side.rows() as u64, side.vectors.cols() as u64], to)?;
    dtype.write_rows(&side.vectors, to)
}

/// Writes single-precision numbers as an array.
pub(super) fn floats(values: &[f32], to: &mut dyn Write) -> io::Result<()> {
    header("<f4", &[values.len() as u64], to)?;
    values.iter().try_for_each(|v| to.write_all(&v.to_le_bytes()))
}

/// Writes integers as an array.
pub(super) fn integers(values: &[i64], to: &mut dyn Write) -> io::Result<()> {
    header("<i8", &[values.len() as u64], to)?;
    values.iter().try_for_each(|v| to.write_all(&v.to_le_bytes()))
}

/// Writes the header of an array; its numbers follow.
fn header(kind: &str, shape: &[u64], to: &mut dyn Write) -> io::Result<()> {
    let kind = kind.parse().map_err(|e| io::Error::other(format!("{kind}: {e}")))?;
    npyz::WriteOptions::new_header_only()
        .dtype(DType::Plain(kind))
        .shape(shape)
        .writer(to)
        .write_header_only()
        .map(|_| ())
}
