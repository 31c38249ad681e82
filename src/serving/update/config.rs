//! The settings of an update.

use std::path::PathBuf;

use crate::param::Threads;
use crate::settings::LoadConfig;

/// The settings of `lacuna update`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct UpdateConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Files with all ratings of every user who has new ones; with --add, files with the new
    /// ratings only.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model. With --force, it may be the model's own
    /// directory.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// Add NEW_RATINGS to the earlier ratings of the same users, instead of replacing them.
    #[cfg_attr(feature = "cli", arg(long))]
    pub add: bool,
    /// File of ratings that the model was trained on, if the files have moved; may be repeated.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub seen: Vec<String>,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; by default like those of the training.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}
