//! What is exported: one or both sides of a model in a layout.

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
    pub(super) fn file(&self, ending: &str) -> String {
        format!("{}_embeddings.{ending}", self.axis.name())
    }
}
