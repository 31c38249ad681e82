//! The model directory: factors as Parquet files, a manifest and metrics.
//!
//! ```text
//! OUT/
//!   user_factors.parquet  item_factors.parquet    one row per trained id, sorted by id
//!   manifest.json                inputs, settings and results of the training, file checksums
//!   metrics.json                 errors per iteration and of the final factors
//!   posterior.safetensors        priors and covariances, only of a variational Bayesian fit
//!   training_ratings.parquet  holdout_ratings.parquet   the prepared ratings, where they are kept
//!   sample_001_*                 factors of a posterior sample, where samples are kept
//!   train_*                      the factors that were measured, only after --refit
//!   folded_*_ratings.parquet     ratings of rows that were folded in after the training
//!   exports/NAME/                exports of the vectors
//!   rejected_rows.csv            only if rows were set aside
//! ```

mod checkpoint;
mod factors;
mod folded;
pub(crate) mod json;
mod kept;
mod manifest;
mod outdir;
mod posterior;
mod ranked;
mod row_target;
mod run_entry;
mod table;
mod trials;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use checkpoint::{CheckpointDir, parse_checkpoint};
pub use factors::{FactorTable, Lists, Stamp, read_factors, write_factors, write_spark_factors};
pub use folded::{FoldedEntry, FoldedRatings, folded_file};
pub use kept::{HOLDOUT_RATINGS, TRAINING_RATINGS, write_ratings};
pub use manifest::{
    Data, ExportManifest, FORMAT_VERSION, Flavor, InputEntry, Manifest, MeasuredScale, ModelEntry,
    OutputEntry, SplitEntry, Tool, listed_outputs,
};
pub use outdir::{DirKind, OutDir, REJECTED, SUCCESS};
pub(crate) use outdir::{files_below, unlisted_files, wrong_manifest};
pub use posterior::{POSTERIOR, read_posterior, write_posterior};
pub use ranked::{Reason, RowFormat, RowShape, RowWriter, Rows};
pub use row_target::RowTarget;
pub use run_entry::{Alignment, GateEntry, Lineage, RunEntry, Severity, Status, Trigger};
pub use table::{Predictions, RatingsWriter, write_predictions};
pub use trials::{Trial, TrialsDir};

use crate::error::{Error, Result};
use crate::ids::{Axis, Id};
use crate::load::fingerprint;
use crate::model::{Factors, Model, Scale};

/// File names in a model directory.
pub const USER_FACTORS: &str = "user_factors.parquet";
/// See [`USER_FACTORS`].
pub const ITEM_FACTORS: &str = "item_factors.parquet";
/// See [`USER_FACTORS`].
pub const MANIFEST: &str = "manifest.json";
/// See [`USER_FACTORS`].
pub const METRICS: &str = "metrics.json";

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
pub fn read_measured(path: &Path, manifest: &Manifest) -> Result<Option<Model>> {
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
pub fn read_samples(path: &Path, manifest: &Manifest) -> Result<Vec<Model>> {
    let kept = 0..manifest.model.kept_samples;
    kept.map(|number| read_factor_files(path, &sample_prefix(number), manifest)).collect()
}

/// Converts an id to JSON: an integer that a double holds exactly becomes a number, any other id
/// becomes text.
#[must_use]
pub fn json_id(id: Id<'_>) -> serde_json::Value {
    match id {
        Id::Int(id) if id.unsigned_abs() <= 1 << 53 => id.into(),
        id => id.text().into(),
    }
}

/// The prefix of the file names of a posterior sample; `number` counts from 0, the name from 1.
pub(crate) fn sample_prefix(number: usize) -> String {
    format!("sample_{:03}_", number + 1)
}

/// Converts a single-precision number to JSON, in the shortest decimal form that reads back as the
/// same number.
#[must_use]
pub fn json_number(value: f32) -> serde_json::Value {
    // The double nearest to that decimal form prints in the same form.
    value.to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into)
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
    let read = |entry| read_posterior(&verify(path, entry)?, (rank, manifest.model.biases));
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
