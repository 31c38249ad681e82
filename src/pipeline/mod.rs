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

pub(crate) use checkpoint::Checkpoints;
pub use checkpoint::Resume;
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
    Baselines, Durations, Errors, FoldMetrics, Metrics, PosteriorMetrics, Report, Spread,
};
pub use segments::Segment;
pub use similar::{SimilarConfig, Similars, similar};
pub use train::{Comparison, train};
pub(crate) use train::{Setup, Training};
pub use tune::{Chosen, TuneConfig, Tuning, tune};
pub use update::{UpdateConfig, Updated, update};
pub use verify::{Verified, verify_files};

/// ; did you mean "factors"?, if anything is close.
pub(crate) fn suggestion<T: AsRef<str>>(name: &str, known: &[T]) -> String {
    let scored = known.iter().map(|k| (strsim::jaro_winkler(name, k.as_ref()), k.as_ref()));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8)
        .map_or_else(String::new, |(_, k)| format!("; did you mean \"{k}\"?"))
}
