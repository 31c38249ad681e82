//! Where the stages meet: settings in, a published model and a report out. Prints nothing.

mod algorithm;
mod basis;
mod checkpoint;
mod checks;
mod config;
mod criterion;
mod dataset;
mod evaluate;
mod export;
mod fold_in;
mod formulas;
mod given;
mod history;
mod inspect;
mod laws;
mod lists;
mod measure;
mod names;
mod predict;
mod publish;
mod reading;
mod recommend;
mod record;
mod report;
mod segments;
mod similar;
mod train;
mod tune;
mod update;
mod verify;

use std::path::Path;

pub(crate) use checkpoint::Checkpoints;
pub use config::{Holdout, TrainConfig};
pub use criterion::{Criterion, UnknownCriterion};
pub(crate) use dataset::{Dataset, values};
pub use evaluate::{EvaluateConfig, Evaluation, EvaluationSeconds, RatingMetrics, evaluate};
pub use export::{ExportConfig, ExportSpec, Exported, NoExport, Sides, export};
pub(crate) use export::{add_export, mips_norm};
pub use fold_in::{FoldInConfig, FoldInSeconds, FoldedIn, fold_in};
pub(crate) use inspect::cost;
pub use inspect::{Cost, InspectConfig, InspectedInput, Inspection, inspect};
pub use lists::{Because, Destination, List, Listed, TitleConfig};
pub use measure::RankingMetrics;
pub use names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
pub use predict::{Intervals, PairsOutcome, predict_pairs};
pub(crate) use publish::{
    Outcome, input_entries, keep_ratings, output_entry, reject_entry, tool, write_files,
};
pub use reading::LoadConfig;
pub use recommend::{RecommendConfig, RecommendSeconds, Recommended, recommend};
pub(crate) use record::recorded;
pub use report::{
    Baselines, CurvePoint, Durations, Errors, FoldMetrics, Metrics, PosteriorMetrics, Report,
    Spread,
};
pub use segments::Segment;
use sha2::{Digest, Sha256};
pub use similar::{SimilarConfig, Similars, similar};
pub use train::{Comparison, train};
pub(crate) use train::{Setup, Training};
pub use tune::{Chosen, TuneConfig, Tuning, tune};
pub use update::{UpdateConfig, Updated, update};
pub use verify::{Verified, verify_files};

use crate::error::{Error, Result};

/// What the pipeline tells while it runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Bytes read, and in all where known.
    Reading(u64, Option<u64>),
    /// All inputs are read: ratings, users, items.
    Read(usize, usize, usize),
    /// A phase begins, in a few words.
    Phase(&'static str),
    /// Iterations will be counted from 1 to the first number, each over the second number of ratings.
    Fitting(u32, usize),
    /// An iteration is done.
    Iteration(CurvePoint),
    /// A trial of a search is done: how many are, of how many, and its value.
    Trial(usize, usize, Option<f64>),
    /// A fold of a cross-validation is done: its number from 1, their number, its RMSE.
    Fold(u32, u32, Option<f64>),
    /// Lists are made for so many keys, of so many.
    Ranked(usize, usize),
    /// A fit goes on after this iteration, of this stage of the training.
    Resumed(&'static str, u32),
    /// The state after an iteration of a stage is on disk, after so many seconds of writing.
    Checkpoint(&'static str, u32, f64),
    /// What a person should know although nothing failed.
    Warning(String),
}

/// Receives the events.
pub type Observer<'o> = dyn Fn(&Event) + Sync + 'o;

/// Runs `work` on a pool of the given number of threads, all cores if none is given.
///
/// # Errors
/// Those of `work`; [`Error::Internal`] if no thread can be started.
pub fn with_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    pool.map_err(|e| Error::Internal(format!("no threads: {e}")))?.install(work)
}

/// ; did you mean "factors"?, if anything is close.
pub(crate) fn suggestion<T: AsRef<str>>(name: &str, known: &[T]) -> String {
    let scored = known.iter().map(|k| (strsim::jaro_winkler(name, k.as_ref()), k.as_ref()));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8)
        .map_or_else(String::new, |(_, k)| format!("; did you mean \"{k}\"?"))
}

/// Indented JSON, as manifests and metrics are written.
pub(crate) fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))
}

/// SHA-256 in hexadecimal over the parts, each preceded by its length.
pub(crate) fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    crate::load::hex(&hash.finalize())
}

/// Seconds since 1970: `SOURCE_DATE_EPOCH` if it is set, else the clock.
pub(crate) fn now() -> i64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.trim().parse().ok());
    given.unwrap_or_else(|| chrono::Utc::now().timestamp())
}

/// What the process took: `peak_rss_bytes`, `cpu_s`; null where the system does not tell.
fn resources() -> serde_json::Value {
    serde_json::json!({ "peak_rss_bytes": peak_memory(), "cpu_s": processor_seconds() })
}

/// Processor time of this process in all its threads, where the system tells (Linux).
fn processor_seconds() -> Option<f64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let total = ticks(11)? + ticks(12)?;
    Some(total as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Memory that can be had without swapping, in bytes, where the system tells (Linux).
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
