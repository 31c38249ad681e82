//! Finds the checkpoints of interrupted runs that belong to this training.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::config::RunConfig;
use super::directory::RunDirectory;
use super::inputs::Inputs;
use super::log::Log;
use super::previous::Previous;
use crate::error::{Error, Result};
use crate::linalg::simd::Kernels;
use crate::settings::TrainConfig;
use crate::store::CheckpointDir;
use crate::store::json::digest;
use crate::training::{Checkpoints, Resume};

/// Everything that the state of a training depends on.
pub(super) fn about(settings: &TrainConfig, inputs: &Inputs, warm: Option<&Previous>) -> Value {
    json!({
        "settings": settings.identity(),
        "inputs": inputs.fingerprint(),
        "warm_start": warm.map(|previous| &previous.manifest.model_version),
        "version": env!("CARGO_PKG_VERSION"),
        "instruction_set": Kernels::detect().level().name(),
    })
}

/// The directory for the checkpoints of a training; its name is a checksum of `about`.
fn of(directory: &RunDirectory, about: &Value) -> CheckpointDir {
    let fingerprint = &digest([about.to_string().as_str()])[..16];
    CheckpointDir::new(directory.checkpoints().join(fingerprint))
}

/// Whether a directory has a name of the form that [`of`] gives.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The checkpoint directories of all trainings.
fn all(directory: &RunDirectory) -> impl Iterator<Item = CheckpointDir> {
    let entries = std::fs::read_dir(directory.checkpoints()).into_iter().flatten().flatten();
    entries.map(|entry| CheckpointDir::new(entry.path()))
}

/// The checkpoint directory of another training that has checkpoints, if there is one.
fn another(directory: &RunDirectory, own: &CheckpointDir) -> Option<CheckpointDir> {
    all(directory).find(|dir| dir.path() != own.path() && !dir.is_empty())
}

/// The differences between the training of a checkpoint and this one, in words.
fn difference(then: &Value, now: &Value) -> String {
    let mut found = Vec::new();
    let settings = |of: &Value| of["settings"].as_object().cloned().unwrap_or_default();
    let (before, after) = (settings(then), settings(now));
    for (key, value) in &after {
        let was = before.get(key).unwrap_or(&Value::Null);
        if was != value {
            found.push(format!("{key} was {was} and is {value}"));
        }
    }
    for (key, what) in [
        ("inputs", "the ratings have changed"),
        ("warm_start", "it started from other factors"),
        ("version", "it is from another release"),
        ("instruction_set", "it is from a machine with another instruction set"),
    ] {
        if then[key] != now[key] {
            found.push(what.to_owned());
        }
    }
    match found.is_empty() {
        true => "it is from another training".to_owned(),
        false => found.join(", "),
    }
}

/// Whether an interrupted run would be resumed, or why not. `None` if no run was interrupted.
pub(super) fn interrupted(directory: &RunDirectory, about: &Value) -> Option<String> {
    let own = of(directory, about);
    if !own.is_empty() {
        return Some("an interrupted run would be resumed".to_owned());
    }
    let other = another(directory, &own)?;
    let why = difference(&other.about().unwrap_or_default(), about);
    Some(format!("the checkpoint of an interrupted run cannot be used: {why}"))
}

/// The checkpoints of this training, for a fit to resume from and to write to.
///
/// # Errors
/// [`Error::Checkpoint`] if a checkpoint is required and there is none that can be used.
pub(super) fn checkpoints(
    directory: &RunDirectory,
    config: &RunConfig,
    about: &Value,
    log: &Log<'_>,
) -> Result<Checkpoints> {
    let own = of(directory, about);
    if config.resume == Resume::Never {
        own.remove();
    }
    let readable =
        || !["train", "refit"].iter().all(|stage| own.latest(stage, |_, _| {}).is_none());
    let none = own.is_empty() || (config.resume == Resume::Require && !readable());
    if none && config.resume != Resume::Never {
        let other = another(directory, &own);
        let why = other.map(|other| difference(&other.about().unwrap_or_default(), about));
        match (config.resume, why) {
            (Resume::Require, why) => {
                let none = if own.is_empty() { "there is none" } else { "all of them are damaged" };
                let why = why.unwrap_or_else(|| none.to_owned());
                return Err(Error::Checkpoint(why));
            }
            (_, Some(why)) => {
                log.info(
                    "resumed",
                    &format!("the training starts anew; the checkpoint cannot be used: {why}"),
                    json!({}),
                );
            }
            (_, None) => {}
        }
    }
    if let Err(error) = own.describe(about) {
        log.warn(&format!("checkpoints cannot be written: {}", error.chain()));
    }
    let every = Duration::from_secs(u64::from(config.checkpoint_every.get()));
    Ok(Checkpoints::new(own, every, config.resume))
}

/// Removes the checkpoints for these ratings and settings. Their run is published already: it was
/// killed before it could remove them.
pub(super) fn remove_done(directory: &RunDirectory, settings: &TrainConfig, inputs: &Inputs) {
    let now = about(settings, inputs, None);
    remove(directory, |then| ["settings", "inputs"].iter().all(|key| then[key] == now[key]));
}

/// Removes the checkpoints of all trainings. They are not needed once a training is complete.
pub(super) fn remove_all(directory: &RunDirectory) {
    remove(directory, |_| true);
}

/// Removes the checkpoints of the trainings that `of` accepts. Everything else stays.
fn remove(directory: &RunDirectory, of: impl Fn(&Value) -> bool) {
    for dir in all(directory) {
        match dir.about() {
            Some(then) if of(&then) => dir.remove(),
            // A run was killed while it removed this directory.
            None if is_ours(dir.path()) => dir.remove_empty(),
            _ => {}
        }
    }
}
