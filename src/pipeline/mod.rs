//! Where the stages meet: settings in, a published model and a report out. Prints nothing.

mod algorithm;
mod basis;
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
mod verify;

use std::path::Path;

pub use config::{Holdout, TrainConfig};
pub use criterion::{Criterion, UnknownCriterion};
pub use evaluate::{EvaluateConfig, Evaluation, EvaluationSeconds, RatingMetrics, evaluate};
pub use export::{ExportConfig, Exported, Sides, export};
pub use fold_in::{FoldInConfig, FoldInSeconds, FoldedIn, fold_in};
pub use inspect::{Bin, Cost, InspectConfig, InspectedInput, Inspection, inspect};
pub use lists::{Because, Destination, List, Listed, TitleConfig};
pub use measure::RankingMetrics;
pub use names::{AlgorithmName, ConfidenceName, InferenceName, ScheduleName, SolverName};
pub use predict::{Intervals, PairsOutcome, predict_pairs};
pub use reading::LoadConfig;
pub use recommend::{RecommendConfig, RecommendSeconds, Recommended, recommend};
pub use report::{
    Baselines, CurvePoint, Durations, Errors, FoldMetrics, Metrics, PosteriorMetrics, Report,
    Spread,
};
pub use segments::Segment;
use sha2::{Digest, Sha256};
pub use similar::{SimilarConfig, Similars, similar};
pub use train::train;
pub use tune::{Chosen, TuneConfig, Tuning, tune};
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
fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))
}

/// SHA-256 in hexadecimal over the parts, each preceded by its length.
fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    crate::load::hex(&hash.finalize())
}

/// Seconds since 1970: `SOURCE_DATE_EPOCH` if it is set, else the clock.
fn now() -> i64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.trim().parse().ok());
    given.unwrap_or_else(|| chrono::Utc::now().timestamp())
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
