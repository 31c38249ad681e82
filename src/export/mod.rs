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
mod content;
mod csv;
mod dtype;
mod exporter;
mod fbin;
mod files;
mod lines;
mod ndjson;
mod npy;
mod npz;
mod parquet;
mod pgcopy;
mod registry;
mod resp;
mod safetensors;
mod spark;
mod tensorboard;
mod vespa;
mod word2vec;

#[cfg(test)]
mod tests;

pub use content::{Export, ExportSide};
pub use dtype::Dtype;
use exporter::Exporter;
pub use files::{Content, Files, MemoryFiles};
pub use registry::{Format, UnknownFormat};
