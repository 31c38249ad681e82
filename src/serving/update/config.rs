//! The settings of an update.

use std::path::PathBuf;

use crate::param::Threads;
use crate::settings::LoadConfig;

/// What is added to a model, and where the new version goes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct UpdateConfig {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Complete ratings of every user who has new ones; with --add the new ones alone.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model; with --force the model's own.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// NEW_RATINGS holds only what is new: what was known of its users stays.
    #[cfg_attr(feature = "cli", arg(long))]
    pub add: bool,
    /// The ratings that the model was trained on, where they have moved.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub seen: Vec<String>,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; as the training's where nothing is said.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}
