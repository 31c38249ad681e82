//! `manifest.json`: what was trained from what. Additive within a format version.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::{FoldedEntry, RunEntry};
use crate::error::{Error, Result};
use crate::metric::Bin;
use crate::model::Layout;
use crate::split::Split;
use crate::train::StopReason;

/// Version of the directory's format that this release writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The manifest; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program.
    pub tool: Tool,
    /// Derived from the inputs, the configuration and the release: equal ones give equal factors (bit
    /// for bit on one instruction set).
    pub model_version: String,
    /// The run it came from, in a run directory.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunEntry>,
    /// ISO 8601 in UTC, as all times here.
    pub started_at: String,
    /// When the model was complete; `SOURCE_DATE_EPOCH` overrules the clock.
    pub finished_at: String,
    /// Every setting with its value.
    pub config: serde_json::Value,
    /// SHA-256 of the settings that affect the result.
    pub config_sha256: String,
    /// Seed of the starting vectors and of a random split.
    pub seed: u64,
    /// Threads used; they do not affect the result.
    pub threads: usize,
    /// Whether the same inputs and settings give the same factors, bit for bit.
    pub deterministic: bool,
    /// Instruction set of the kernels: results agree bit for bit within one.
    pub instruction_set: String,
    /// Where the program ran: relative paths of inputs are from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// The files.
    pub inputs: Vec<InputEntry>,
    /// SHA-256 over the inputs' checksums.
    pub input_fingerprint: String,
    /// What the files held.
    pub data: Data,
    /// How the holdout was chosen.
    pub split: SplitEntry,
    /// What was fitted.
    pub model: ModelEntry,
    /// As in `metrics.json`.
    pub metrics: serde_json::Value,
    /// Seconds per stage.
    pub durations_s: serde_json::Value,
    /// Peak memory.
    pub resources: serde_json::Value,
    /// The files of the model.
    pub outputs: Vec<OutputEntry>,
    /// Exports in the directory, by the name of theirs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flavors: BTreeMap<String, Flavor>,
    /// Rows that were folded in after the training, in the order they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<FoldedEntry>,
}

/// An export of the model's vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// Name of the format.
    pub format: String,
    /// What the vectors are.
    pub layout: Layout,
    /// Number type of the vectors.
    pub dtype: String,
    /// What readers compute from it.
    pub score: String,
    /// Numbers of a vector.
    pub width: usize,
    /// `M` of the layout mips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mips_norm: Option<f64>,
    /// μ of the score.
    pub global_mean: f64,
    /// Rows left out because their vector is zero (layout cosine).
    #[serde(default)]
    pub left_out: usize,
    /// Its files.
    pub files: Vec<String>,
}

/// `manifest.json` of an export in a directory of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportManifest {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program.
    pub tool: Tool,
    /// Identity of the model.
    pub model_version: String,
    /// When it was exported.
    pub exported_at: String,
    /// What it is.
    #[serde(flatten)]
    pub flavor: Flavor,
    /// The files with their checksums.
    pub outputs: Vec<OutputEntry>,
}

/// The program that wrote the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `lacuna`.
    pub name: String,
    /// Release.
    pub version: String,
    /// Operating system and processor.
    pub target: String,
    /// Commit that it was built from, where the build was told (`LACUNA_GIT_SHA`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_sha: Option<String>,
    /// Cargo features it was built with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// One input file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputEntry {
    /// Path or URL as given; `archive:member` for a member of an archive.
    pub uri: String,
    /// `ratings`, or `test` for a test file.
    pub role: String,
    /// Size of the file.
    pub bytes: u64,
    /// Seconds since 1970 when it was last changed.
    pub mtime: Option<i64>,
    /// What the object store says of the content, for an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Checksum of the file.
    pub sha256: String,
    /// As recognised.
    pub layout: String,
    /// Rows read.
    pub rows: u64,
    /// Rows rejected, by reason.
    #[serde(deserialize_with = "by_reason")]
    pub rows_rejected: BTreeMap<String, u64>,
    /// Latest time, seconds since 1970.
    pub max_timestamp: Option<i64>,
}

/// The prepared ratings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Users with at least one rating.
    pub n_users: usize,
    /// Items with at least one rating.
    pub n_items: usize,
    /// Unique cells, training and holdout.
    pub n_ratings: usize,
    /// `n_ratings / (n_users n_items)`.
    pub density: f64,
    /// Smallest training rating.
    pub rating_min: f64,
    /// Largest training rating.
    pub rating_max: f64,
    /// Weighted mean of the training ratings.
    pub mean: f64,
    /// Their weighted standard deviation.
    pub std: f64,
    /// Ratings per value, or per tenth of the range where there are many values; training and holdout.
    #[serde(default)]
    pub histogram: Vec<Bin>,
    /// What became of repeated cells.
    pub duplicates_policy: String,
    /// Rows merged into another.
    pub duplicates: u64,
    /// Cells left out because their count is 0 (implicit feedback).
    #[serde(default)]
    pub zero_counts: u64,
    /// Cells left out by the minimum counts.
    pub below_minimum: u64,
    /// Rows left out because their weight is 0.
    pub zero_weight: u64,
    /// Rows left out by `since` and `until`.
    pub outside_time: u64,
    /// Share of the users that the run before did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_user_share: Option<f64>,
    /// Share of the items that the run before did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_item_share: Option<f64>,
    /// Type of the user ids: `int` or `text`.
    pub user_ids: String,
    /// Type of the item ids.
    pub item_ids: String,
}

/// How the holdout was chosen, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// The rule.
    #[serde(flatten)]
    pub split: Split,
    /// Name of the hash behind a hash split.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
    /// Files that held the test ratings.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub test_files: Vec<String>,
    /// What the holdout does and does not keep from training.
    #[serde(default)]
    pub leaks: String,
    /// Training cells.
    pub n_train: usize,
    /// Cells cut from training to choose the best iteration.
    pub n_validation: usize,
    /// Held-out cells.
    pub n_holdout: usize,
    /// Of them, cells whose user or item has no training rating.
    pub n_holdout_cold: u64,
    /// Training cells removed because the test files hold them.
    pub removed_from_training: usize,
}

/// What was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Name of the algorithm.
    pub algorithm: String,
    /// What was minimised.
    #[serde(default)]
    pub objective: String,
    /// What scores mean: `ratings`, or `preferences` (implicit feedback: higher is better, about 0 to
    /// 1).
    #[serde(default = "ratings")]
    pub scores: String,
    /// Entries of a vector.
    pub k: u32,
    /// λ as given, on standardised ratings.
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
    /// α₀, the weight of pairs that are not observed (ials).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unobserved_weight: Option<f64>,
    /// `s`: standard deviation of the training ratings (1 with `--no-mean`, which fits raw ratings).
    pub scale: f64,
    /// λ s: the λ of the vectors in units of the ratings.
    pub lambda_raw: f64,
    /// How λ is scaled with the number of ratings.
    pub weighting: String,
    /// The exponent in it.
    pub reg_exponent: f64,
    /// n̄ of the users: mean number of training ratings.
    pub mean_user_ratings: f64,
    /// n̄ of the items.
    pub mean_item_ratings: f64,
    /// Iterations of the published factors.
    pub sweeps: u32,
    /// Why they ended.
    pub stop_reason: StopReason,
    /// μ of the score.
    pub global_mean: f64,
    /// Mean of the training ratings: the fallback where nothing is known.
    pub training_mean: f64,
    /// Whether biases were fitted.
    pub biases: bool,
    /// Score layout of the files.
    pub layout: String,
    /// Number type of the vectors.
    pub dtype: String,
    /// `M`: what the norms of the item vectors stay below with biases beside them, for the layout mips. It
    /// is kept while it does, so that indexes stay valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mips_norm: Option<f64>,
    /// The scale of the factors that were measured, where the published ones were fitted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredScale>,
    /// Whether the published factors were fitted on all ratings, the holdout included.
    pub refit: bool,
    /// Standard deviation of a rating around its prediction, where it was estimated (bayes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Samples of the posterior in the directory.
    #[serde(default)]
    pub kept_samples: usize,
    /// Users left out because they have no training rating.
    pub untrained_users: usize,
    /// Items left out because they have no training rating.
    pub untrained_items: usize,
}

/// What turns the measured factors of a refitted model into scores: as of its training ratings alone.
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

/// One file of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputEntry {
    /// Name in the directory.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// Checksum.
    pub sha256: String,
    /// Rows.
    pub rows: usize,
    /// Columns and their types.
    pub schema: String,
}

/// Early manifests have a number.
fn by_reason<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u64),
        Reasons(BTreeMap<String, u64>),
    }
    Ok(match Form::deserialize(from)? {
        Form::Number(0) => BTreeMap::new(),
        Form::Number(rows) => BTreeMap::from([("not recorded".to_owned(), rows)]),
        Form::Reasons(reasons) => reasons,
    })
}

fn ratings() -> String {
    "ratings".into()
}

impl Manifest {
    /// Reads the manifest of a model.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, not a manifest, of a newer format, or lists files outside its
    /// directory.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest: Self = parse(path, read_value(path)?)?;
        check_names(path, &manifest.outputs)?;
        Ok(manifest)
    }
}

/// The identity of a model or an export in a directory, and the files that its manifest lists.
///
/// # Errors
/// As [`Manifest::read`].
pub fn listed_outputs(directory: &Path) -> Result<(String, Vec<OutputEntry>)> {
    let path = &directory.join(super::MANIFEST);
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

/// The JSON of a manifest of a format that this release reads.
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

/// Whether every name is once, and of a file in the directory.
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
