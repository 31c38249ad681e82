//! The settings of a training: defined once ([`TrainConfig`]), decided once (`Plan`).
//!
//! `train`, `reading` and `names` define the settings. The command line, the configuration file,
//! the environment and the manifest all derive from these definitions. `options` has one row per
//! option of a fit, and `algorithms` has one file per algorithm. `plan` decides every setting that
//! the caller left open.

mod algorithms;
mod choice;
mod criterion;
mod defaults;
mod help;
mod holdout;
mod laws;
mod names;
mod options;
mod plan;
mod reading;
mod similar_names;
mod split;
mod train;

pub(crate) use algorithms::{RowSolve, SearchedSetting, method, method_named, takes};
pub use criterion::{Criterion, UnknownCriterion};
pub(crate) use defaults::SEED;
pub use help::default_in_words;
pub use holdout::Holdout;
pub(crate) use laws::significant;
pub use names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
pub(crate) use options::tunable;
pub(crate) use plan::{Plan, Reading, Watch};
pub use reading::LoadConfig;
pub(crate) use similar_names::suggestion;
pub(crate) use train::LOCAL_KEYS;
pub use train::TrainConfig;
