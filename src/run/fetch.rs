//! Fetches a model from an object store, for commands that read one.

use std::fs::File;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::copy::inside;
use super::places::{LATEST, POINTER, Pointer, relative};
use super::run_id::began;
use crate::error::{Error, Result};
use crate::remote::{Location, Remote};
use crate::store::{MANIFEST, REJECTED, SUCCESS, listed_outputs};

/// Copies the model at a URL into a temporary directory.
///
/// The URL is that of a model or a run. It can also be that of a directory of runs, with or without
/// `/latest`; then the published run is copied. Exports are copied only if `exports` is set. The
/// directory is removed when the returned value is dropped.
///
/// # Errors
/// [`Error::Model`] if there is no model, [`Error::Read`], [`Error::Write`] for the temporary
/// directory, [`Error::Usage`] if the URL is invalid, [`Error::Stopped`].
pub(crate) fn fetch_model(url: &str, exports: bool, stop: &AtomicBool) -> Result<TempDir> {
    let remote = find(url, stop)?;
    let failed = |source| Error::Write { path: "the temporary directory".into(), source };
    let directory = TempDir::with_prefix("lacuna-").map_err(failed)?;
    let fetch = |name: &str| -> Result<bool> {
        let Some(object) = remote.head(name, stop)? else { return Ok(false) };
        let path = directory.path().join(inside(name, &remote)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = File::create(&path).map_err(failed)?;
        remote.fetch(&object, &file, &path, stop, &|_| {})?;
        Ok(true)
    };
    for name in [MANIFEST, SUCCESS, REJECTED] {
        fetch(name)?;
    }
    let named = |error: Error| match error {
        Error::Model { message, .. } => Error::Model { path: url.into(), message },
        other => other,
    };
    let (_, outputs) = listed_outputs(directory.path()).map_err(named)?;
    for entry in outputs {
        if exports || !entry.path.starts_with("exports/") {
            // The reader of the model reports a missing file.
            fetch(&entry.path)?;
        }
    }
    Ok(directory)
}

/// Finds the directory of the model in the store.
fn find(url: &str, stop: &AtomicBool) -> Result<Remote> {
    let location = Location::parse(url)?;
    let remote = Remote::open(url)?;
    if remote.head(MANIFEST, stop)?.is_some() {
        return Ok(remote);
    }
    let wrong = |message: &str| Error::Model { path: url.into(), message: message.to_owned() };
    let base = match location.name() {
        LATEST => location.parent(),
        _ => location,
    };
    let pointer = remote.at(base.clone())?.get(POINTER, stop)?;
    let Some((pointer, _)) = pointer else {
        // This request fails if the bucket does not exist.
        remote.children(stop)?;
        return Err(wrong(
            "not a model or a directory of runs (there is neither manifest.json nor latest.json)",
        ));
    };
    let pointer: Result<Pointer, _> = serde_json::from_slice(&pointer);
    let pointer = pointer.ok().filter(|pointer| began(&pointer.run_id).is_some());
    let pointer = pointer.ok_or_else(|| wrong("its latest.json does not name a run"))?;
    remote.at(base.join(&relative(&pointer.run_id)))
}
