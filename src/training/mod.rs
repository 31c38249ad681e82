//! Trains a model in a few calls on plain values.
//!
//! ```text
//! Plan → Dataset::read → Prepared::new → fit → measure → finish, write
//! ```
//!
//! [`train`] makes these calls in order. A nightly run makes the same calls, with its gates between
//! them.

mod averaged;
mod cells;
mod checkpoint;
mod compare;
mod cost;
mod dataset;
mod files;
mod finish;
mod fit;
mod folds;
mod held_out;
mod hints;
mod measure;
mod notes;
mod ranked;
mod results;
mod search;
mod segments;
mod sets;
mod train;
mod warm;
mod watch;
mod write;

pub(crate) use cells::{all_cells, cut, cut_validation, fold_in_side, values};
pub(crate) use checkpoint::Checkpoints;
pub use checkpoint::Resume;
pub use cost::Cost;
pub(crate) use cost::{Size, cost};
pub(crate) use dataset::Dataset;
pub(crate) use files::{
    input_entries, input_entry, keep_ratings, output_entry, reject_entry, tool, write_model,
};
pub(crate) use finish::{Outcome, finish};
pub(crate) use fit::{fit, run};
pub(crate) use folds::{cross_validate, fold};
pub(crate) use held_out::{Estimates, HeldOut};
pub(crate) use hints::{of_kept_rank, of_values};
pub(crate) use measure::measure;
pub(crate) use notes::{Began, Notes};
pub use ranked::RankingMetrics;
pub(crate) use ranked::{Ranked, Relevance, Vectors};
pub use results::{
    Baselines, Comparison, Durations, FoldMetrics, Metrics, ModelErrors, PosteriorMetrics, Report,
    Spread,
};
pub use segments::Segment;
pub(crate) use segments::Segments;
pub(crate) use sets::{Prepared, Sets, keys};
pub use train::train;
pub(crate) use watch::Validation;
pub(crate) use write::write_files;
