//! Folds new or changed users (or items) into a published model, without a new training.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::new_rows::{NewRows, kept_ratings, merged, next_version, write};
use crate::error::Result;
use crate::ids::Axis;
use crate::job::{Job, with_threads};
use crate::param::Threads;
use crate::replay::{Published, read_files, recorded, replay_folded, solves_rows};
use crate::settings::LoadConfig;
use crate::store::{DirKind, OutDir, read_model};

/// The settings of `lacuna fold-in`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct FoldInConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Files with all ratings of every user (or item) to fold in.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model. With --force, it may be the model's own
    /// directory.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// Side to fold in: users or items.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SIDE", default_value = "user"))]
    pub side: Axis,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; by default like those of the training.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

/// The outcome of a fold-in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldedIn {
    /// Directory of the new version.
    pub output: PathBuf,
    /// Identity of the new version.
    pub model_version: String,
    /// The side that was folded in.
    pub side: Axis,
    /// Number of rows that the model did not have.
    pub added: usize,
    /// Number of rows that replaced earlier ones.
    pub replaced: usize,
    /// Number of rows left out because all of their ratings are of unknown items (or users).
    pub left_out: usize,
    /// Number of ratings used.
    pub ratings: usize,
    /// Number of ratings left out because their item (or user) is unknown.
    pub unknown_ratings: usize,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
    /// Seconds per stage.
    pub durations_s: FoldInSeconds,
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct FoldInSeconds {
    /// Reading the model.
    pub load: f64,
    /// Reading the new ratings.
    pub parse: f64,
    /// Solving the rows.
    pub solve: f64,
    /// Writing the new version.
    pub write: f64,
}

/// Folds in the rows of one side, each by one exact solve against the other side.
///
/// # Errors
/// [`crate::error::Error::Usage`] for algorithms without such a solve,
/// [`crate::error::Error::Model`], [`crate::error::Error::Numeric`], and the errors of reading and
/// writing.
pub fn fold_in(config: &FoldInConfig, job: &Job<'_>) -> Result<FoldedIn> {
    let since = Instant::now();
    let out = OutDir::create(&config.output, config.force, DirKind::Model)?.hold(job.stop)?;
    let (model, manifest) = read_model(&config.model)?;
    solves_rows(&model, &manifest, "fold-in")?;
    let published = Published { path: config.model.clone(), manifest };
    let axis = config.side;
    let mut durations =
        FoldInSeconds { load: since.elapsed().as_secs_f64(), ..FoldInSeconds::default() };
    with_threads(config.threads, || {
        let plan = recorded(&published.manifest)?;
        let since = Instant::now();
        let mut warnings = Vec::new();
        let found = read_files(&config.input, &config.load, &plan, job, &mut warnings)?;
        if published.manifest.model.scores == "ratings" {
            warnings.extend(found.outside(&published.manifest.data));
        }
        let new = NewRows::number(&model, axis, found)?;
        durations.parse = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let solved = new.solved(&model, &published.manifest, &*plan.fit.algorithm(), job)?;
        durations.solve = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let (replaced, added) = (new.replaced(), new.added());
        let folded = merged(model, &new, &solved);
        let next = next_version(&folded, &published.manifest, &new, "fold-in", &mut warnings)?;
        let model_version = next.model_version.clone();
        let earlier = replay_folded(axis, &published, &plan, job)?;
        let ratings = kept_ratings(&new, &folded, earlier.as_ref());
        let output = write(&published, out, &folded, axis, &ratings, next, job)?;
        durations.write = since.elapsed().as_secs_f64();
        if new.unknown > 0 {
            warnings.push(format!(
                "{} ratings of unknown {}s were left out",
                new.unknown,
                axis.other().name()
            ));
        }
        Ok(FoldedIn {
            output,
            model_version,
            side: axis,
            added,
            replaced,
            left_out: new.left_out,
            ratings: new.side.values.nnz(),
            unknown_ratings: new.unknown,
            warnings,
            durations_s: durations,
        })
    })
}
