//! Reads a model directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::entries::OutputEntry;
use super::factors::read_factors;
use super::manifest::Manifest;
use super::names::{ITEM_FACTORS, MANIFEST, USER_FACTORS, sample_prefix};
use super::posterior::{POSTERIOR, read_posterior};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::load::fingerprint;
use crate::model::{Factors, Model, Scale};

/// Reads a model directory and verifies its factor files against the checksums in the manifest.
///
/// # Errors
/// [`Error::Model`] for a directory that is incomplete, damaged or of a newer format.
pub fn read_model(path: &Path) -> Result<(Model, Manifest)> {
    let wrong = |path: &Path, message: String| Error::Model { path: path.to_owned(), message };
    // A link such as `latest` may be swapped during the read, so it is resolved once.
    let resolved = path.canonicalize();
    let path = resolved.as_deref().unwrap_or(path);
    if !path.is_dir() {
        let message =
            if path.exists() { "not a model directory" } else { "no such model directory" };
        return Err(wrong(path, message.to_owned()));
    }
    let manifest = Manifest::read(&path.join(MANIFEST))?;
    if manifest.data.rating_min > manifest.data.rating_max {
        return Err(wrong(&path.join(MANIFEST), "rating_min is above rating_max".into()));
    }
    let model = read_factor_files(path, "", &manifest)?;
    Ok((model, manifest))
}

/// Reads the factors that the metrics of a refitted model were measured on.
///
/// These factors were fitted on the training ratings alone. Returns `None` for a model that was not
/// refitted, because its own factors were measured.
///
/// # Errors
/// As [`read_model`].
pub(crate) fn read_measured(path: &Path, manifest: &Manifest) -> Result<Option<Model>> {
    let read = || {
        let mut model = read_factor_files(path, "train_", manifest)?;
        if let Some(measured) = manifest.model.measured.filter(|_| model.scale.rates()) {
            model.scale.mean = measured.global_mean;
            model.scale.fallback = measured.training_mean;
            model.scale.range = (measured.rating_min, measured.rating_max);
        }
        Ok(model)
    };
    manifest.model.refit.then(read).transpose()
}

/// Reads the posterior samples that a model keeps and verifies their checksums.
///
/// The list is empty if the model keeps no samples.
///
/// # Errors
/// As [`read_model`].
pub(crate) fn read_samples(path: &Path, manifest: &Manifest) -> Result<Vec<Model>> {
    let kept = 0..manifest.model.kept_samples;
    kept.map(|number| read_factor_files(path, &sample_prefix(number), manifest)).collect()
}

/// Verifies the checksum of a model's file and returns its path.
pub(crate) fn verify(path: &Path, entry: &OutputEntry) -> Result<PathBuf> {
    let file = path.join(&entry.path);
    let wrong = |message: String| Error::Model { path: file.clone(), message };
    let found = match File::open(&file) {
        Ok(_) => fingerprint(&file)?.sha256,
        Err(e) => return Err(wrong(format!("the model is incomplete: {e}"))),
    };
    if found != entry.sha256 {
        let message =
            "its checksum differs from the one in manifest.json: the file was changed or damaged";
        return Err(wrong(message.into()));
    }
    Ok(file)
}

/// Reads the factors of both sides and any posterior, after their checksums are verified.
fn read_factor_files(path: &Path, prefix: &str, manifest: &Manifest) -> Result<Model> {
    let wrong = |path: &Path, message: &str| Error::Model {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let check = |name: &str| {
        let name = format!("{prefix}{name}");
        let entry = manifest.outputs.iter().find(|o| o.path == name);
        let entry = entry.ok_or_else(|| wrong(&path.join(&name), "not listed in manifest.json"))?;
        verify(path, entry)
    };
    let (user_file, item_file) = (check(USER_FACTORS)?, check(ITEM_FACTORS)?);
    let rank = manifest.model.k as usize;
    let (users, p) = read_factors(&user_file, Axis::User, rank)?;
    let (items, q) = read_factors(&item_file, Axis::Item, rank)?;
    let posterior = format!("{prefix}{POSTERIOR}");
    let posterior = manifest.outputs.iter().find(|entry| entry.path == posterior);
    let read = |entry| read_posterior(&verify(path, entry)?, rank, manifest.model.biases);
    let uncertainty = posterior.map(read).transpose()?;
    Ok(Model {
        uncertainty,
        factors: Factors { users: p, items: q },
        users,
        items,
        scale: Scale {
            mean: manifest.model.global_mean,
            deviation: 1.0,
            biases: manifest.model.biases,
            fallback: manifest.model.training_mean,
            range: match manifest.model.scores.as_str() {
                "preferences" => Scale::preferences().range,
                _ => (manifest.data.rating_min, manifest.data.rating_max),
            },
        },
    })
}
