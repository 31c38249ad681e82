//! Names of copies of objects on this machine.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::remote::Remote;

/// Makes an error name the object in the store and not its local copy.
#[must_use]
pub(crate) fn name_source(error: Error, copy: &Path, url: &str) -> Error {
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

/// The name of an object as a relative path.
///
/// # Errors
/// [`Error::Model`] if the path leads outside of the directory that it is relative to.
pub(super) fn inside<'n>(name: &'n str, remote: &Remote) -> Result<&'n Path> {
    let path = Path::new(name);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    let message = format!("the name {name:?} leads outside of the directory");
    Err(Error::Model { path: remote.location().to_string().into(), message })
}
