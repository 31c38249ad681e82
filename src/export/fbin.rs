//! Vectors in the format of big-ann-benchmarks: two 32-bit counts, followed by the numbers.

use std::io::{self, Write};

use super::npy::{write_biases, write_ids};
use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;

/// `item_embeddings.fbin` (half precision: `.hbin`), with ids and any biases in separate files.
pub(super) struct Fbin;

impl Exporter for Fbin {
    fn name(&self) -> &'static str {
        "fbin"
    }

    fn about(&self) -> &'static str {
        "usearch, DiskANN, big-ann-benchmarks"
    }

    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32, Dtype::F16]
    }

    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        let ending = match dtype {
            Dtype::F32 => "fbin",
            Dtype::F16 => "hbin",
        };
        for side in &export.sides {
            let schema = format!("{}[{}, {}]", dtype.name(), side.rows(), side.vectors.cols());
            let content = &mut |to: &mut dyn Write| matrix(side, dtype, to);
            files.file(&side.file(ending), side.rows(), &schema, content)?;
            write_biases(side, files)?;
            write_ids(side, files)?;
        }
        Ok(())
    }
}

fn matrix(side: &ExportSide, dtype: Dtype, to: &mut dyn Write) -> io::Result<()> {
    for count in [side.rows(), side.vectors.cols()] {
        let count = u32::try_from(count).map_err(io::Error::other)?;
        to.write_all(&count.to_le_bytes())?;
    }
    dtype.write_rows(&side.vectors, to)
}
