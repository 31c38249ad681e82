//! A model in an object store, for commands that read one.

use std::path::{Component, Path};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::directory::{LATEST, POINTER, Pointer, relative};
use crate::error::{Error, Result};
use crate::remote::{Location, Remote};
use crate::store::MANIFEST;

/// Copies the model at a URL into a directory that is removed with what is returned: a model or a run by its own URL,
/// the run that is served by that of its directory of runs, or that with /latest. Without `exports` only what
/// lacuna itself reads.
///
/// # Errors
/// [`Error::Model`] if there is none, [`Error::Read`], [`Error::Write`] for the temporary directory,
/// [`Error::Usage`] for a URL that is none, [`Error::Stopped`].
pub fn fetch_model(url: &str, exports: bool, stop: &AtomicBool) -> Result<TempDir> {
    let remote = find(url)?;
    let failed = |source| Error::Write { path: "the temporary directory".into(), source };
    let directory = TempDir::with_prefix("lacuna-").map_err(failed)?;
    for object in remote.list("", stop)? {
        if !exports && object.name.starts_with("exports/") {
            continue;
        }
        let path = directory.path().join(inside(&object.name, &remote)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        remote.fetch(&object, &path, (stop, &|_| {}))?;
    }
    Ok(directory)
}

/// The place of the model.
fn find(url: &str) -> Result<Remote> {
    let location = Location::parse(url)?;
    let remote = Remote::open(url)?;
    if remote.head(MANIFEST)?.is_some() {
        return Ok(remote);
    }
    let wrong = |message: &str| Error::Model { path: url.into(), message: message.to_owned() };
    let base = match location.name() {
        LATEST => location.parent(),
        _ => location,
    };
    let pointer = remote.at(base.clone())?.get(POINTER)?;
    let (pointer, _) = pointer.ok_or_else(|| {
        wrong("no model and no directory of runs (there is neither manifest.json nor latest.json)")
    })?;
    let pointer: Result<Pointer, _> = serde_json::from_slice(&pointer);
    let pointer = pointer.ok().filter(|pointer| super::began(&pointer.run_id).is_some());
    let pointer = pointer.ok_or_else(|| wrong("its latest.json names no run"))?;
    remote.at(base.join(&relative(&pointer.run_id)))
}

/// The name of an object as a path that leads to a file below where it is put.
pub(super) fn inside<'n>(name: &'n str, remote: &Remote) -> Result<&'n Path> {
    let path = Path::new(name);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    let message = format!("the name {name:?} leads outside of the directory");
    Err(Error::Model { path: remote.location().to_string().into(), message })
}
