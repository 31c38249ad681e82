//! Named tensors in the safetensors format of Hugging Face.

use std::collections::HashMap;
use std::io;

use safetensors::tensor::{Dtype as TensorType, TensorView};
use serde_json::json;

use super::npy::write_ids;
use super::{Dtype, Export, Exporter, Files};
use crate::error::Result;
use crate::ids::Ids;

/// `embeddings.safetensors`.
pub(super) struct Safetensors;

impl Exporter for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn about(&self) -> &'static str {
        "PyTorch, JAX, candle: named tensors"
    }

    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32, Dtype::F16]
    }

    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        let rows = export.sides.iter().map(super::ExportSide::rows).sum();
        let schema = format!("*_embeddings: {}, *_ids: i64, *_biases: f32", dtype.name());
        files.file("embeddings.safetensors", rows, &schema, &mut |to| {
            to.write_all(&serialized(export, dtype)?)
        })?;
        for side in &export.sides {
            // Tensors cannot hold text.
            if matches!(side.ids, Ids::Text(_)) {
                write_ids(side, files)?;
            }
        }
        Ok(())
    }
}

fn serialized(export: &Export, dtype: Dtype) -> io::Result<Vec<u8>> {
    let mut tensors: Vec<(String, TensorType, Vec<usize>, Vec<u8>)> = Vec::new();
    for side in &export.sides {
        let name = side.axis.name();
        let (rows, width) = (side.rows(), side.vectors.cols());
        let mut bytes = Vec::with_capacity(rows * width * dtype.size());
        dtype.write_rows(&side.vectors, &mut bytes)?;
        let kind = match dtype {
            Dtype::F32 => TensorType::F32,
            Dtype::F16 => TensorType::F16,
        };
        tensors.push((format!("{name}_embeddings"), kind, vec![rows, width], bytes));
        if let Some(biases) = &side.biases {
            let bytes = biases.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("{name}_biases"), TensorType::F32, vec![rows], bytes));
        }
        if let Ids::Int(ids) = &side.ids {
            let bytes = ids.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("{name}_ids"), TensorType::I64, vec![rows], bytes));
        }
    }
    let views: Result<Vec<(&str, TensorView<'_>)>, _> = tensors
        .iter()
        .map(|(name, kind, shape, bytes)| {
            TensorView::new(*kind, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect();
    // There is only one key, because the library writes several keys in no fixed order.
    let about = json!({
        "layout": export.layout.name(),
        "score": export.layout.score(),
        "global_mean": export.stamp.global_mean,
        "model_version": export.stamp.model_version,
    });
    let about = HashMap::from([("lacuna".to_owned(), about.to_string())]);
    let serialized = views.and_then(|views| safetensors::serialize(views, Some(about)));
    serialized.map_err(io::Error::other)
}
