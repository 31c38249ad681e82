//! The settings of a search.

use std::path::PathBuf;

use crate::param::Count;
use crate::settings::TrainConfig;

/// The settings of `tune`: those of `train` and those of the search.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TuneConfig {
    /// Space to search (TOML): method, trials and the values of each setting to tune. By default
    /// the standard space of the algorithm, which the README lists.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Tuning"))]
    pub space: Option<PathBuf>,
    /// Start no more trials after N seconds.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Tuning"))]
    pub max_seconds: Option<Count>,
    /// Number of trials to run at the same time, each on its share of the threads. By default one
    /// per thread, or fewer if memory is short.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Tuning"))]
    pub parallel: Option<Count>,
    /// The settings that are not tuned.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub train: TrainConfig,
}
