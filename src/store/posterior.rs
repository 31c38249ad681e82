//! The priors and posterior covariances of a Bayesian fit, in one safetensors file.
//!
//! | array | shape |
//! |---|---|
//! | `users.prior.mean` | order |
//! | `users.prior.precision` | order × order |
//! | `users.covariances` | classes × order × order, see [`crate::model::covariance_class`] |
//! | `items.*` | the same for items |
//! | `noise.precision` | 1 |
//!
//! All numbers are doubles and refer to standardised ratings. `order` is the number of factors,
//! plus one with biases.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::model::{Beliefs, Uncertainty};

/// Name of the file in a model directory.
pub(crate) const POSTERIOR: &str = "posterior.safetensors";

/// Writes the file and returns a description of its content.
///
/// # Errors
/// [`Error::Write`], naming `shown`.
pub(crate) fn write_posterior(
    path: &Path,
    shown: &Path,
    uncertainty: &Uncertainty,
) -> Result<String> {
    let failed = |source| Error::Write { path: shown.to_owned(), source };
    let mut arrays: BTreeMap<String, (Vec<usize>, Cow<'_, [f64]>)> = BTreeMap::new();
    arrays.insert("noise.precision".into(), (vec![1], Cow::Owned(vec![uncertainty.precision])));
    for (side, beliefs) in [("users", &uncertainty.users), ("items", &uncertainty.items)] {
        let order = beliefs.mean.len();
        let classes = beliefs.covariances.len();
        let mut put = |name: &str, shape: Vec<usize>, values| {
            arrays.insert(format!("{side}.{name}"), (shape, values));
        };
        put("prior.mean", vec![order], Cow::Borrowed(&beliefs.mean[..]));
        put("prior.precision", vec![order, order], Cow::Borrowed(&beliefs.precision[..]));
        let covariances = Cow::Owned(beliefs.covariances.concat());
        put("covariances", vec![classes, order, order], covariances);
    }
    let bytes: BTreeMap<&String, Vec<u8>> = arrays
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let view = |(name, (shape, _)): (&String, &(Vec<usize>, Cow<'_, [f64]>))| {
        TensorView::new(Dtype::F64, shape.clone(), &bytes[name]).map(|view| (name.clone(), view))
    };
    let views = arrays.iter().map(view).collect::<std::result::Result<Vec<_>, _>>();
    let packed = views.and_then(|views| safetensors::serialize(views, None));
    let packed = packed.map_err(|e| Error::Internal(format!("{POSTERIOR}: {e}")))?;
    std::fs::write(path, packed).map_err(failed)?;
    std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
    Ok("prior and covariances of users and items, precision of the noise: f64".into())
}

/// Reads the file of a model with `rank` factors, with or without biases.
///
/// # Errors
/// [`Error::Model`] for a file that is damaged or has other shapes.
pub(super) fn read_posterior(path: &Path, rank: usize, biases: bool) -> Result<Uncertainty> {
    let wrong = |message: String| Error::Model { path: path.to_owned(), message };
    let bytes = std::fs::read(path).map_err(|e| wrong(format!("the model is incomplete: {e}")))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
    let order = rank + usize::from(biases);
    let read = |name: &str, shape: &[Option<usize>]| -> Result<Vec<f64>> {
        let tensor = tensors.tensor(name).map_err(|e| wrong(e.to_string()))?;
        let fits = tensor.shape().len() == shape.len()
            && tensor.shape().iter().zip(shape).all(|(n, want)| want.is_none_or(|want| want == *n));
        if tensor.dtype() != Dtype::F64 || !fits {
            return Err(wrong(format!("\"{name}\" is not of the shape of this model")));
        }
        let (chunks, _) = tensor.data().as_chunks::<8>();
        let values: Vec<f64> = chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(wrong(format!("\"{name}\" holds numbers that are not finite"))),
        }
    };
    let square = Some(order);
    let beliefs = |side: &str| -> Result<Beliefs> {
        let covariances = read(&format!("{side}.covariances"), &[None, square, square])?;
        Ok(Beliefs {
            mean: read(&format!("{side}.prior.mean"), &[square])?,
            precision: read(&format!("{side}.prior.precision"), &[square, square])?,
            covariances: covariances.chunks(order * order).map(<[f64]>::to_vec).collect(),
        })
    };
    let precision = read("noise.precision", &[Some(1)])?[0];
    if precision <= 0.0 {
        return Err(wrong("\"noise.precision\" is not above 0".into()));
    }
    Ok(Uncertainty { biases, precision, users: beliefs("users")?, items: beliefs("items")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_other_shapes_are_refused() {
        let beliefs = |seed: f64| Beliefs {
            mean: vec![seed, 2.0, 3.0],
            precision: (0..9).map(|i| f64::from(i) + seed).collect(),
            covariances: vec![vec![seed; 9], vec![0.5; 9]],
        };
        let uncertainty =
            Uncertainty { biases: true, precision: 1.5, users: beliefs(0.1), items: beliefs(0.2) };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(POSTERIOR);
        write_posterior(&path, &path, &uncertainty).expect("writes");
        assert_eq!(read_posterior(&path, 2, true).expect("reads"), uncertainty);
        let message = |rank| read_posterior(&path, rank, true).map_err(|e| e.to_string());
        assert!(message(3).is_err_and(|m| m.contains("shape")));
        std::fs::write(&path, b"not tensors").expect("writes");
        assert!(matches!(message(2), Err(m) if m.contains(POSTERIOR)));
    }
}
