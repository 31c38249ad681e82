//! A model in an object store, for commands that read one.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::places::{LATEST, POINTER, Pointer, relative};
use super::run_id::began;
use crate::error::{Error, Result};
use crate::remote::{Location, Remote};
use crate::store::{MANIFEST, REJECTED, SUCCESS, listed_outputs};

/// Copies the model at a URL into a directory that is removed with what is returned: a model or a run by its own URL,
/// the run that is served by that of its directory of runs, or that with /latest. Without `exports` only what
/// lacuna itself reads.
///
/// # Errors
/// [`Error::Model`] if there is none, [`Error::Read`], [`Error::Write`] for the temporary directory,
/// [`Error::Usage`] for a URL that is none, [`Error::Stopped`].
pub fn fetch_model(url: &str, exports: bool, stop: &AtomicBool) -> Result<TempDir> {
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
        remote.fetch(&object, (&file, &path), (stop, &|_| {}))?;
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
            // One that is missing is said by what reads it.
            fetch(&entry.path)?;
        }
    }
    Ok(directory)
}

/// A failure that names what is in an object store and not its copy here.
#[must_use]
pub fn name_source(error: Error, copy: &Path, url: &str) -> Error {
    let there = |path: PathBuf| match path.strip_prefix(copy) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from(url),
        Ok(rest) => Path::new(url).join(rest),
        Err(_) => path,
    };
    match error {
        Error::Model { path, message } => {
            let message = message.replace(&*copy.to_string_lossy(), url);
            Error::Model { path: there(path), message }
        }
        Error::Read { path, source } => Error::Read { path: there(path), source },
        Error::Format { path, message } => Error::Format { path: there(path), message },
        other => other,
    }
}

/// The place of the model.
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
        // A bucket that is not there says so here.
        remote.children(stop)?;
        return Err(wrong(
            "no model and no directory of runs (there is neither manifest.json nor latest.json)",
        ));
    };
    let pointer: Result<Pointer, _> = serde_json::from_slice(&pointer);
    let pointer = pointer.ok().filter(|pointer| began(&pointer.run_id).is_some());
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
