//! Lists past runs by their manifests, and rolls back to one of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::directory::RunDirectory;
use super::places::{Place, Pointer, relative};
use super::run_id::timestamp;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::hex;
use crate::serving::verify_files;
use crate::store::{MANIFEST, RunEntry, Status};

/// A complete run, published or rejected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Directory or URL of the run.
    pub path: PathBuf,
    /// Whether this is the published run.
    #[serde(rename = "served")]
    pub published: bool,
    /// The description of the run in its manifest. `None` if the manifest does not describe a run.
    #[serde(flatten)]
    pub run: Option<RunEntry>,
    /// Why the manifest cannot be read, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// Number of ratings and metrics of the model; null if the run has no model.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub measured: Value,
    /// The whole manifest.
    #[serde(skip)]
    pub manifest: Value,
}

impl Record {
    /// A number in the manifest, by its path of keys.
    #[must_use]
    pub fn number(&self, path: &[&str]) -> Option<f64> {
        path.iter().try_fold(&self.manifest, |value, key| value.get(key))?.as_f64()
    }

    /// Name and value of a ranking metric of the model, and the value for popularity.
    #[must_use]
    pub fn ranking(&self) -> Option<(&str, f64, Option<f64>)> {
        let metrics = self.manifest.get("metrics")?;
        let own = metrics.get("ranking")?.as_object()?;
        // Prefer ndcg. The object also has other keys, such as "users".
        let name = own
            .keys()
            .find(|name| name.starts_with("ndcg"))
            .or_else(|| own.keys().find(|name| name.contains('@') || *name == "auc"))?;
        let popular = self.number(&["metrics", "baselines", "popularity", name]);
        Some((name, own.get(name)?.as_f64()?, popular))
    }

    /// Id of the run.
    #[must_use]
    pub fn id(&self) -> &str {
        let name = self.path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        self.run.as_ref().map_or(name, |run| &run.run_id)
    }

    /// Whether the run was rejected.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.status == Status::Rejected)
    }
}

/// The numbers of a manifest that a list of runs compares.
fn measured(manifest: &Value) -> Value {
    let metrics = &manifest["metrics"];
    if metrics.is_null() {
        return Value::Null;
    }
    serde_json::json!({
        "n_ratings": manifest["data"]["n_ratings"],
        "sweeps": manifest["model"]["sweeps"],
        "holdout_rmse": metrics["holdout_rmse"],
        "bias_only_rmse": metrics["baselines"]["bias_only"]["rmse"],
        "ranking": metrics["ranking"],
        "popularity": metrics["baselines"]["popularity"],
    })
}

/// Reads the record of a run.
pub(super) fn read(path: &Path) -> Result<Record> {
    let manifest = path.join(MANIFEST);
    let wrong = |message: String| Error::Model { path: manifest.clone(), message };
    let text =
        std::fs::read(&manifest).map_err(|e| wrong(format!("the run is incomplete: {e}")))?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|e| wrong(format!("not a manifest: {e}")))?;
    let run = serde_json::from_value(value.clone()).ok();
    let measured = measured(&value);
    let path = path.to_owned();
    Ok(Record { path, published: false, run, damaged: None, measured, manifest: value })
}

/// All published and rejected runs, oldest first. [`Record::damaged`] is set if a manifest cannot
/// be read.
///
/// # Errors
/// [`Error::Model`] if the directory does not exist or is not a directory of runs.
pub fn list(root: &Path, job: &Job<'_>) -> Result<Vec<Record>> {
    Ok(all(&RunDirectory::open(root, job)?))
}

fn all(directory: &RunDirectory) -> Vec<Record> {
    let latest = directory.latest();
    let record = |place: Place, id: &str, path: PathBuf| {
        let found = read(&path).unwrap_or_else(|error| Record {
            path,
            published: false,
            run: None,
            damaged: Some(error.to_string()),
            measured: Value::Null,
            manifest: Value::Null,
        });
        Record { path: directory.shown(place, id), ..found }
    };
    let mut records = Vec::new();
    for id in directory.runs() {
        let published = latest.as_deref() == Some(&*id);
        records.push(Record { published, ..record(Place::RUNS, &id, directory.run(&id)) });
    }
    let rejects = directory.rejects();
    records.extend(rejects.iter().map(|id| record(Place::REJECTS, id, directory.rejected(id))));
    records.sort_by(|a, b| a.id().cmp(b.id()));
    records
}

/// One run: by its id, by the beginning of its id, or `latest` for the published one.
///
/// # Errors
/// [`Error::Usage`] if no run or several runs match.
pub fn show(root: &Path, name: &str, job: &Job<'_>) -> Result<Record> {
    choose(list(root, job)?, root, name)
}

fn choose(mut records: Vec<Record>, root: &Path, name: &str) -> Result<Record> {
    if name == "latest" {
        let published = records.into_iter().find(|record| record.published);
        return published.ok_or_else(|| Error::Usage("no run is published yet".into()));
    }
    records.retain(|record| record.id().starts_with(name));
    match records.len() {
        1 => Ok(records.remove(0)),
        0 => {
            let message = format!("no run {name} in {} (see lacuna runs list)", root.display());
            Err(Error::Usage(message))
        }
        n => Err(Error::Usage(format!("{n} runs begin with {name}; give more of the id"))),
    }
}

/// Publishes an earlier run again, after it has verified the checksums of the run.
///
/// Without `to`, this is the latest earlier run that was not rolled back before. Returns the id of
/// the run and the id of the run that was published before the call.
///
/// # Errors
/// [`Error::Usage`] if the run was rejected or does not exist, [`Error::Model`] if it is damaged,
/// [`Error::Locked`], [`Error::Write`].
pub fn rollback(root: &Path, to: Option<&str>, job: &Job<'_>) -> Result<(String, Option<String>)> {
    let directory = RunDirectory::open(root, job)?;
    let lock = directory.lock("rollback", Duration::ZERO, job, &|_| {})?;
    directory.pull(job)?;
    let latest = directory.latest();
    let record = match to {
        Some(name) => choose(all(&directory), root, name)?,
        None => {
            let runs = directory.runs();
            let gone = directory.pointer().map(|p| p.rolled_back).unwrap_or_default();
            // If the clock was set back, the earlier run may have a later id. A run that was rolled
            // back is never chosen.
            let other = |id: &&String| Some(*id) != latest.as_ref() && !gone.contains(id);
            let earlier = |id: &&String| latest.as_ref().is_none_or(|latest| *id < latest);
            let mut others = runs.iter().rev().filter(other);
            let before = others.clone().find(earlier).or_else(|| others.next());
            let Some(before) = before else {
                return Err(Error::Usage("there is no earlier run to roll back to".into()));
            };
            read(&directory.run(before))?
        }
    };
    let id = record.id().to_owned();
    if record.is_rejected() {
        return Err(Error::Usage(format!("run {id} was rejected; it cannot be published")));
    }
    let path = directory.run(&id);
    directory.fetch(&id, &|_| true, job)?;
    let checked = verify_files(&path, None)?;
    if let Some(first) = checked.damaged.first() {
        return Err(directory.named(Error::Model { path, message: first.clone() }));
    }
    let mut rolled_back = directory.pointer().map(|p| p.rolled_back).unwrap_or_default();
    // Mark all later runs as rolled back: they may be built on the run that is not wanted.
    rolled_back.extend(directory.runs().into_iter().filter(|later| *later > id));
    rolled_back.extend(latest.clone());
    rolled_back.retain(|other| *other != id);
    rolled_back.sort();
    rolled_back.dedup();
    let text = std::fs::read(path.join(MANIFEST));
    let text = text.map_err(|source| Error::Read { path: path.join(MANIFEST), source })?;
    lock.check()?;
    directory.point(&Pointer {
        run_id: id.clone(),
        path: relative(&id),
        manifest_sha256: hex(&Sha256::digest(&text)),
        promoted_at: timestamp(),
        rolled_back,
    })?;
    Ok((id, latest))
}
