//! The one list of formats.

use std::fmt;
use std::str::FromStr;

use super::content::Export;
use super::dtype::Dtype;
use super::exporter::Exporter;
use super::files::Files;
use super::{
    bulk, csv, fbin, ndjson, npy, npz, parquet, pgcopy, resp, safetensors, spark, tensorboard,
    vespa, word2vec,
};
use crate::error::{Error, Result};
use crate::model::Layout;

/// All formats.
const EXPORTERS: &[&dyn Exporter] = &[
    &parquet::Parquet,
    &parquet::ParquetList,
    &npy::Npy,
    &npz::Npz,
    &csv::Csv,
    &ndjson::NdJson,
    &bulk::Elasticsearch,
    &bulk::OpenSearch,
    &vespa::Vespa,
    &word2vec::Word2Vec,
    &safetensors::Safetensors,
    &fbin::Fbin,
    &pgcopy::PgCopy,
    &resp::Resp,
    &tensorboard::TensorBoard,
    &spark::SparkAls,
];

/// A registered format.
#[derive(Clone, Copy)]
pub struct Format(&'static dyn Exporter);

impl Format {
    /// All formats.
    pub fn all() -> impl Iterator<Item = Self> {
        EXPORTERS.iter().map(|&exporter| Self(exporter))
    }

    /// The name, as passed to `--format`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The readers of the format, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.0.about()
    }

    /// Number types that the format supports for vectors.
    #[must_use]
    pub fn dtypes(self) -> &'static [Dtype] {
        self.0.dtypes()
    }

    /// Checks that this format supports a layout and a number type.
    ///
    /// # Errors
    /// [`Error::Usage`] with the reason if it does not.
    pub fn check(self, layout: Layout, dtype: Dtype) -> Result<()> {
        if !self.dtypes().contains(&dtype) {
            let of = EXPORTERS.iter().filter(|e| e.dtypes().contains(&dtype)).map(|e| e.name());
            let message = format!(
                "--dtype {}: the format {} holds single precision; {} hold it",
                dtype.name(),
                self.name(),
                of.collect::<Vec<_>>().join(", ")
            );
            return Err(Error::Usage(message));
        }
        match self.0.refuses(layout) {
            Some(reason) => Err(Error::Usage(format!(
                "--layout {} with --format {}: {reason}",
                layout.name(),
                self.name()
            ))),
            None => Ok(()),
        }
    }

    /// Writes an export.
    ///
    /// # Errors
    /// [`Error::Usage`] for a layout or number type that the format does not support, or for
    /// vectors or ids that it cannot hold; the errors of `files`.
    pub fn write(self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        self.check(export.layout, dtype)?;
        for side in &export.sides {
            dtype.check(side)?;
        }
        self.0.write(export, dtype, files)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

/// A name that no format has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such format; the formats are {}",
    Format::all().map(Format::name).collect::<Vec<_>>().join(", ")
)]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::all().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}
