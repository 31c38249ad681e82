//! Exports of vectors in the formats of other systems: one module per format, and a registry.
//!
//! ```
//! use lacuna::export::{Dtype, Export, Files, Format, MemoryFiles};
//! use lacuna::ids::{Axis, Ids};
//! use lacuna::linalg::Matrix;
//! use lacuna::model::{Embedding, Factors, Layout, Model, Scale, Trained};
//! use lacuna::store::Stamp;
//!
//! let side = |values: &[f32]| Embedding {
//!     vectors: Matrix::from_rows(2, 2, values),
//!     biases: vec![0.5, -0.5],
//! };
//! let trained = || Trained { ids: Ids::Int(vec![7, 42]), counts: vec![3, 1] };
//! let model = Model {
//!     factors: Factors { users: side(&[1.0, 0.0, 0.0, 1.0]), items: side(&[0.9, 0.1, 0.5, 0.6]) },
//!     users: trained(),
//!     items: trained(),
//!     scale: Scale { mean: 3.0, biases: true, ..Scale::preferences() },
//!     uncertainty: None,
//! };
//! let stamp = Stamp { model_version: "v1".into(), trained_at: 0, global_mean: 3.0 };
//! let export = Export::new(&model, &[Axis::Item], Layout::Dot, 0.0, stamp);
//! let format: Format = "npy".parse().unwrap();
//! let mut files = MemoryFiles::default();
//! format.write(&export, Dtype::F32, &mut files)?;
//! // The vectors [q, b, 1] of both items; their ids are in a separate file.
//! assert_eq!(files.contents["item_embeddings.npy"].len(), 128 + 2 * 4 * 4);
//! assert!(files.contents.contains_key("item_ids.npy"));
//! # Ok::<(), lacuna::error::Error>(())
//! ```

mod bulk;
mod csv;
mod dtype;
mod fbin;
mod files;
mod lines;
mod ndjson;
mod npy;
mod npz;
mod parquet;
mod pgcopy;
mod resp;
mod safetensors;
mod spark;
mod tensorboard;
mod vespa;
mod word2vec;

use std::fmt;
use std::str::FromStr;

pub use dtype::Dtype;
pub use files::{Content, Files, MemoryFiles};

use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::linalg::Matrix;
use crate::model::{Layout, Model, lay_out};
use crate::store::Stamp;

/// The content of an export: one or both sides of a model in a layout.
#[derive(Debug, Clone)]
pub struct Export {
    /// The sides, users first.
    pub sides: Vec<ExportSide>,
    /// Layout of the vectors.
    pub layout: Layout,
    /// Metadata that is written along with the vectors.
    pub stamp: Stamp,
}

/// One side of an export.
#[derive(Debug, Clone)]
pub struct ExportSide {
    /// Users or items.
    pub axis: Axis,
    /// External ids, sorted.
    pub ids: Ids,
    /// One vector per id (`rows x width`).
    pub vectors: Matrix,
    /// One bias per id; `None` if the vectors contain the biases or the layout does not use them.
    pub biases: Option<Vec<f32>>,
    /// Number of training ratings of each id.
    pub counts: Vec<u32>,
    /// Number of rows left out because their vector is zero (layout cosine).
    pub left_out: usize,
}

impl Export {
    /// Lays out sides of a model; `norm` is `M` of the layout mips (see [`crate::model::Layout`]).
    #[must_use]
    pub fn new(model: &Model, sides: &[Axis], layout: Layout, norm: f64, stamp: Stamp) -> Self {
        let side = |&axis: &Axis| {
            let (trained, embedding) = match axis {
                Axis::User => (&model.users, &model.factors.users),
                Axis::Item => (&model.items, &model.factors.items),
            };
            let laid = lay_out(model, axis, layout, norm);
            let kept = |row: usize| laid.rows.binary_search(&(row as u32)).is_ok();
            ExportSide {
                axis,
                ids: trained.ids.select(kept),
                biases: (layout == Layout::Raw).then(|| embedding.biases.clone()),
                counts: laid.rows.iter().map(|&row| trained.counts[row as usize]).collect(),
                left_out: trained.ids.len() - laid.rows.len(),
                vectors: laid.vectors,
            }
        };
        Self { sides: sides.iter().map(side).collect(), layout, stamp }
    }
}

impl ExportSide {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The name of the side's file, such as `item_embeddings.npy` for the ending `npy`.
    fn file(&self, ending: &str) -> String {
        format!("{}_embeddings.{ending}", self.axis.name())
    }
}

/// A format that an export can be written in.
trait Exporter: Sync {
    /// Kebab-case name, unique among the formats.
    fn name(&self) -> &'static str;

    /// The readers of the format, in a few words.
    fn about(&self) -> &'static str;

    /// Number types that the format supports for vectors.
    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32]
    }

    /// Why a layout would give wrong results in this format, if it would.
    fn refuses(&self, _layout: Layout) -> Option<&'static str> {
        None
    }

    /// Writes the files.
    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()>;
}

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
#[error("no such format; there are {}", Format::all().map(Format::name).collect::<Vec<_>>().join(", "))]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::all().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests;
