//! `manifest.json`: the inputs, settings and results of a training.
//!
//! Within a format version, fields are only added.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::entries::{FoldedEntry, InputEntry, OutputEntry, Tool};
use super::names::MANIFEST;
use super::run_entry::RunEntry;
use crate::error::{Error, Result};
use crate::metric::Bin;
use crate::model::Layout;
use crate::split::Split;
use crate::train::StopReason;

/// Version of the directory's format that this release writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The manifest of a model; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program that wrote the manifest.
    pub tool: Tool,
    /// Derived from the inputs, the configuration, the release and the models that the factors
    /// depend on. Equal versions mean equal factors, bit for bit on one instruction set.
    pub model_version: String,
    /// The run that produced the model, in a run directory.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunEntry>,
    /// Start, in ISO 8601 and UTC like all times here.
    pub started_at: String,
    /// When the model was complete; `SOURCE_DATE_EPOCH` overrides the clock.
    pub finished_at: String,
    /// Every setting with its value.
    pub config: serde_json::Value,
    /// SHA-256 of the settings that affect the result.
    pub config_sha256: String,
    /// Seed of the starting vectors, of the algorithm's other random draws and of a random split.
    pub seed: u64,
    /// Number of threads, which does not affect the result.
    pub threads: usize,
    /// Whether the same inputs and settings give the same factors, bit for bit.
    pub deterministic: bool,
    /// Instruction set of the kernels; within one, results are bit-identical.
    pub instruction_set: String,
    /// Where the program ran; relative paths of inputs start there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// The input files.
    pub inputs: Vec<InputEntry>,
    /// SHA-256 over the inputs' checksums.
    pub input_fingerprint: String,
    /// Statistics of the prepared ratings.
    pub data: Data,
    /// How the holdout was chosen.
    pub split: SplitEntry,
    /// Settings and results of the fit.
    pub model: ModelEntry,
    /// The content of `metrics.json`.
    pub metrics: serde_json::Value,
    /// Seconds per stage.
    pub durations_s: serde_json::Value,
    /// Peak memory and processor time.
    pub resources: serde_json::Value,
    /// The files of the model.
    pub outputs: Vec<OutputEntry>,
    /// Exports in the directory, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flavors: BTreeMap<String, Flavor>,
    /// Fold-ins and updates after the training, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<FoldedEntry>,
}

/// An export of the model's vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// Name of the format.
    pub format: String,
    /// Layout of the vectors.
    pub layout: Layout,
    /// Number type of the vectors.
    pub dtype: String,
    /// The expression by which readers compute scores from the vectors.
    pub score: String,
    /// Numbers per vector.
    pub width: usize,
    /// `M` of the layout mips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mips_norm: Option<f64>,
    /// μ of the score.
    pub global_mean: f64,
    /// Number of rows left out because their vector is zero (layout cosine).
    #[serde(default)]
    pub left_out: usize,
    /// The files of the export.
    pub files: Vec<String>,
}

/// The `manifest.json` of an export that has its own directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportManifest {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program that wrote the manifest.
    pub tool: Tool,
    /// Identity of the model.
    pub model_version: String,
    /// Time of the export.
    pub exported_at: String,
    /// Description of the export.
    #[serde(flatten)]
    pub flavor: Flavor,
    /// The files with their checksums.
    pub outputs: Vec<OutputEntry>,
}

/// Statistics of the prepared ratings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Number of users with at least one rating.
    pub n_users: usize,
    /// Number of items with at least one rating.
    pub n_items: usize,
    /// Number of unique cells, training and holdout.
    pub n_ratings: usize,
    /// `n_ratings / (n_users n_items)`.
    pub density: f64,
    /// Smallest rating that the published factors were fitted on.
    pub rating_min: f64,
    /// Largest rating that the published factors were fitted on.
    pub rating_max: f64,
    /// Weighted mean of the ratings that the published factors were fitted on.
    pub mean: f64,
    /// Weighted standard deviation of these ratings.
    pub std: f64,
    /// Ratings per value, or per tenth of the range if there are many values; training and holdout.
    #[serde(default)]
    pub histogram: Vec<Bin>,
    /// How repeated cells were treated.
    pub duplicates_policy: String,
    /// Number of rows that were merged into another row.
    pub duplicates: u64,
    /// Number of cells left out because their count is 0 (implicit feedback).
    #[serde(default)]
    pub zero_counts: u64,
    /// Number of cells left out by the minimum counts.
    pub below_minimum: u64,
    /// Number of rows left out because their weight is 0.
    pub zero_weight: u64,
    /// Number of rows left out by `since` and `until`.
    pub outside_time: u64,
    /// Number of rows left out because they have no id.
    #[serde(default)]
    pub without_id: u64,
    /// Number of rows left out because their rating means that there is none.
    #[serde(default)]
    pub dropped_ratings: u64,
    /// Share of the users that the previous run did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_user_share: Option<f64>,
    /// Share of the items that the previous run did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_item_share: Option<f64>,
    /// Type of the user ids: `int` or `text`.
    pub user_ids: String,
    /// Type of the item ids.
    pub item_ids: String,
}

/// How the holdout was chosen, and the sizes of the parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// The rule.
    #[serde(flatten)]
    pub split: Split,
    /// Name of the hash of a hash or user split.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
    /// Files that held the test ratings.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub test_files: Vec<String>,
    /// What the split hides from training, and what training can still see.
    #[serde(default)]
    pub leaks: String,
    /// Number of training cells.
    pub n_train: usize,
    /// Number of validation cells, taken from training to choose the best iteration.
    pub n_validation: usize,
    /// Number of holdout cells.
    pub n_holdout: usize,
    /// Number of holdout cells whose user or item has no training rating.
    pub n_holdout_cold: u64,
    /// Number of training cells removed because the test files contain them.
    pub removed_from_training: usize,
}

/// Settings and results of the fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Name of the algorithm.
    pub algorithm: String,
    /// The objective that was minimised.
    #[serde(default)]
    pub objective: String,
    /// What scores mean: `ratings`, or `preferences` (implicit feedback: about 0 to 1, higher is
    /// better).
    #[serde(default = "ratings")]
    pub scores: String,
    /// Number of factors.
    pub k: u32,
    /// λ as specified, for standardised ratings.
    pub lambda: f64,
    /// λ of the user vectors.
    pub lambda_users: f64,
    /// λ of the item vectors.
    pub lambda_items: f64,
    /// λ of the biases.
    pub lambda_biases: f64,
    /// Damping of the biases, in ratings.
    #[serde(default)]
    pub bias_damping: f64,
    /// α₀, the weight of unrated cells (ials).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unobserved_weight: Option<f64>,
    /// `s`: standard deviation of the fitted ratings, or 1 if raw ratings were fitted (`--no-mean`,
    /// gd, ials).
    pub scale: f64,
    /// λ s: the regularisation of the vectors in units of the ratings.
    pub lambda_raw: f64,
    /// How λ scales with the number of ratings.
    pub weighting: String,
    /// The exponent in `weighting`.
    pub reg_exponent: f64,
    /// n̄ of the users: mean number of fitted ratings.
    pub mean_user_ratings: f64,
    /// n̄ of the items.
    pub mean_item_ratings: f64,
    /// Number of iterations of the published factors.
    pub sweeps: u32,
    /// Why the fit stopped.
    pub stop_reason: StopReason,
    /// μ of the score.
    pub global_mean: f64,
    /// Mean of the fitted ratings: the prediction if neither user nor item is known.
    pub training_mean: f64,
    /// Whether biases were fitted.
    pub biases: bool,
    /// Layout of the vectors in the model's own files.
    pub layout: String,
    /// Number type of the vectors.
    pub dtype: String,
    /// `M` of the layout mips: an upper bound of the norm of an item's vector and bias together. It
    /// is kept as long as it is an upper bound, so that existing indexes stay valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mips_norm: Option<f64>,
    /// The scale of the measured factors of a refitted model, if its scores are ratings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredScale>,
    /// Whether the published factors were fitted on all ratings, the holdout included.
    pub refit: bool,
    /// Standard deviation of a rating around its prediction, if it was estimated (bayes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Number of posterior samples in the directory.
    #[serde(default)]
    pub kept_samples: usize,
    /// Number of users left out because they have no training rating.
    pub untrained_users: usize,
    /// Number of items left out because they have no training rating.
    pub untrained_items: usize,
}

/// The scale of the measured factors of a refitted model, from its training ratings alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeasuredScale {
    /// μ of the score.
    pub global_mean: f64,
    /// Mean of the training ratings.
    pub training_mean: f64,
    /// Smallest training rating.
    pub rating_min: f64,
    /// Largest training rating.
    pub rating_max: f64,
}

fn ratings() -> String {
    "ratings".into()
}

impl Manifest {
    /// Reads the manifest of a model.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, not a manifest, of a newer format, or lists files outside
    /// its directory.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest: Self = parse(path, read_value(path)?)?;
        check_names(path, &manifest.outputs)?;
        Ok(manifest)
    }
}

/// Reads the model version and the listed files of a model or an export in a directory.
///
/// # Errors
/// As [`Manifest::read`].
pub fn listed_outputs(directory: &Path) -> Result<(String, Vec<OutputEntry>)> {
    let path = &directory.join(MANIFEST);
    let value = read_value(path)?;
    let (version, outputs) = match value.get("exported_at") {
        Some(_) => {
            let manifest: ExportManifest = parse(path, value)?;
            (manifest.model_version, manifest.outputs)
        }
        None => {
            let manifest: Manifest = parse(path, value)?;
            (manifest.model_version, manifest.outputs)
        }
    };
    check_names(path, &outputs)?;
    Ok((version, outputs))
}

fn wrong(path: &Path, message: String) -> Error {
    Error::Model { path: path.to_owned(), message }
}

/// Reads the JSON of a manifest and checks that this release supports its format.
fn read_value(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read(path);
    let text = text.map_err(|e| wrong(path, format!("the model is incomplete: {e}")))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| wrong(path, format!("not a manifest: {e}")))?;
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        None => Err(wrong(path, "not a manifest: no format_version".into())),
        Some(version) if version > u64::from(FORMAT_VERSION) => {
            let message = format!(
                "format version {version} is newer than the {FORMAT_VERSION} this release reads; \
                 use a newer lacuna"
            );
            Err(wrong(path, message))
        }
        Some(_) => Ok(value),
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| wrong(path, format!("not a manifest: {e}")))
}

/// Checks that every name is unique and lies in the directory.
fn check_names(path: &Path, outputs: &[OutputEntry]) -> Result<()> {
    let mut met = HashSet::new();
    for entry in outputs {
        let plain = |part| matches!(part, Component::Normal(_));
        if !Path::new(&entry.path).components().all(plain) || entry.path.is_empty() {
            let message = format!("it lists \"{}\", which is not in the directory", entry.path);
            return Err(wrong(path, message));
        }
        if !met.insert(&entry.path) {
            return Err(wrong(path, format!("it lists \"{}\" twice", entry.path)));
        }
    }
    Ok(())
}
