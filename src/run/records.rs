//! What the manifests of runs say, for people who look back.

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

/// A run, published or rejected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its directory.
    pub path: PathBuf,
    /// Whether it is served.
    pub served: bool,
    /// What it says of itself; none where its manifest is of no run.
    #[serde(flatten)]
    pub run: Option<RunEntry>,
    /// Why its manifest cannot be read, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// Its ratings and what its model is worth; null where it has no model.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub measured: Value,
    /// All that its manifest says.
    #[serde(skip)]
    pub manifest: Value,
}

impl Record {
    /// A number of the manifest, by its path of keys.
    #[must_use]
    pub fn number(&self, path: &[&str]) -> Option<f64> {
        path.iter().try_fold(&self.manifest, |value, key| value.get(key))?.as_f64()
    }

    /// The name and value of its first ranking metric, and that of popularity.
    #[must_use]
    pub fn ranking(&self) -> Option<(&str, f64, Option<f64>)> {
        let metrics = self.manifest.get("metrics")?;
        let own = metrics.get("ranking")?.as_object()?;
        // In the order of the names ndcg comes before recall, and "users" is none.
        let name = own
            .keys()
            .find(|name| name.starts_with("ndcg"))
            .or_else(|| own.keys().find(|name| name.contains('@') || *name == "auc"))?;
        let popular = self.number(&["metrics", "baselines", "popularity", name]);
        Some((name, own.get(name)?.as_f64()?, popular))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        let name = self.path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        self.run.as_ref().map_or(name, |run| &run.run_id)
    }

    /// Whether it was rejected.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.status == Status::Rejected)
    }
}

/// The figures of a manifest that are compared from run to run.
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
    Ok(Record { path, served: false, run, damaged: None, measured, manifest: value })
}

/// All complete runs and all rejected ones, oldest first; those whose manifest cannot be read say so.
///
/// # Errors
/// [`Error::Model`] if there is no such directory.
pub fn list(root: &Path, job: &Job<'_>) -> Result<Vec<Record>> {
    Ok(all(&RunDirectory::open(root, job)?))
}

fn all(directory: &RunDirectory) -> Vec<Record> {
    let latest = directory.latest();
    let record = |place: Place, id: &str, path: PathBuf| {
        let found = read(&path).unwrap_or_else(|error| Record {
            path,
            served: false,
            run: None,
            damaged: Some(error.to_string()),
            measured: Value::Null,
            manifest: Value::Null,
        });
        Record { path: directory.shown(place, id), ..found }
    };
    let mut records = Vec::new();
    for id in directory.runs() {
        let served = latest.as_deref() == Some(&*id);
        records.push(Record { served, ..record(Place::RUNS, &id, directory.run(&id)) });
    }
    let rejects = directory.rejects();
    records.extend(rejects.iter().map(|id| record(Place::REJECTS, id, directory.rejected(id))));
    records.sort_by(|a, b| a.id().cmp(b.id()));
    records
}

/// One run: by its id, by the beginning of it, or `latest`.
///
/// # Errors
/// [`Error::Usage`] if there is none or several.
pub fn show(root: &Path, name: &str, job: &Job<'_>) -> Result<Record> {
    choose(list(root, job)?, root, name)
}

fn choose(mut records: Vec<Record>, root: &Path, name: &str) -> Result<Record> {
    if name == "latest" {
        let served = records.into_iter().find(|record| record.served);
        return served.ok_or_else(|| Error::Usage("no run is served yet".into()));
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

/// Serves an earlier run again, after its checksums; its id, and that of the run that was served.
///
/// # Errors
/// [`Error::Usage`] for a run that was rejected or is none, [`Error::Model`] for a damaged one,
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
            // By a clock that was set back, what came before may have a later name; but not what was rolled back.
            let other = |id: &&String| Some(*id) != latest.as_ref() && !gone.contains(id);
            let earlier = |id: &&String| latest.as_ref().is_none_or(|latest| *id < latest);
            let mut others = runs.iter().rev().filter(other);
            let before = others.clone().find(earlier).or_else(|| others.next());
            let Some(before) = before else {
                return Err(Error::Usage("there is no earlier run to serve".into()));
            };
            read(&directory.run(before))?
        }
    };
    let id = record.id().to_owned();
    if record.is_rejected() {
        return Err(Error::Usage(format!("run {id} was rejected; it cannot be served")));
    }
    let path = directory.run(&id);
    directory.fetch(&id, &|_| true, job)?;
    let checked = verify_files(&path, None)?;
    if let Some(first) = checked.damaged.first() {
        return Err(directory.named(Error::Model { path, message: first.clone() }));
    }
    let mut rolled_back = directory.pointer().map(|p| p.rolled_back).unwrap_or_default();
    // All that came after it: one does not want what was built on what one does not want.
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
