//! One archive of NumPy arrays, with the names that the package `implicit` uses.

use std::io::{self, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::npy::{floats, integers, vectors, write_ids};
use super::{Dtype, Export, Exporter, Files};
use crate::error::Result;
use crate::ids::Ids;

/// `embeddings.npz`.
pub(super) struct Npz;

impl Exporter for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn about(&self) -> &'static str {
        "NumPy, implicit: one archive of arrays"
    }

    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32, Dtype::F16]
    }

    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        let rows = export.sides.iter().map(super::ExportSide::rows).sum();
        let sides: Vec<&str> = export.sides.iter().map(|side| side.axis.name()).collect();
        let schema = format!("{{{}}}_factors: {}", sides.join(","), dtype.name());
        files.file("embeddings.npz", rows, &schema, &mut |to| archive(export, dtype, to))?;
        for side in &export.sides {
            // Text ids are not in the archive.
            if matches!(side.ids, Ids::Text(_)) {
                write_ids(side, files)?;
            }
        }
        Ok(())
    }
}

fn archive(export: &Export, dtype: Dtype, to: &mut dyn Write) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(to);
    // Like NumPy's savez, this does not compress: factors hardly shrink.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(true);
    let mut array = |name: String, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        zip.start_file(format!("{name}.npy"), options).map_err(io::Error::other)?;
        write(&mut zip)
    };
    for side in &export.sides {
        let name = side.axis.name();
        array(format!("{name}_factors"), &|to| vectors(side, dtype, to))?;
        if let Some(biases) = &side.biases {
            array(format!("{name}_biases"), &|to| floats(biases, to))?;
        }
        if let Ids::Int(ids) = &side.ids {
            array(format!("{name}_ids"), &|to| integers(ids, to))?;
        }
    }
    let mean = export.stamp.global_mean as f32;
    array("global_mean".into(), &|to| floats(&[mean], to))?;
    zip.finish().map(|_| ()).map_err(io::Error::other)
}
