//! The places that commands read from and write to.
//!
//! A model in an object store is first copied to this machine. Only runs write to object stores;
//! all other commands write to this machine.

use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::task::Task;
use crate::error::{Error, Result};
use crate::remote::{is_url, local};
use crate::run::{fetch_model, name_source};

/// Checks that outputs are on this machine, and copies a model from an object store.
///
/// The copy is removed when the returned value is dropped.
pub(super) fn places(task: &mut dyn Task, stop: &AtomicBool) -> Result<Option<ModelCopy>> {
    let written = "the output of this command (only lacuna run writes to object stores)";
    task.output().map_or(Ok(()), |output| local(output, written))?;
    let files = task.files().into_iter().filter_map(|(flag, file)| Some((flag, file?)));
    files.into_iter().try_for_each(|(flag, file)| local(file, flag))?;
    let exports = task.reads_exports();
    let Some(model) = task.model() else { return Ok(None) };
    let Some(url) = model.to_str().filter(|model| is_url(model)) else { return Ok(None) };
    let (url, directory) = (url.to_owned(), fetch_model(url, exports, stop)?);
    directory.path().clone_into(model);
    task.copied_from(&url);
    Ok(Some(ModelCopy { url, directory }))
}

/// A copy of a model on this machine.
pub(super) struct ModelCopy {
    url: String,
    directory: TempDir,
}

impl ModelCopy {
    /// Makes an error name the URL of the model instead of the copy.
    pub(super) fn named(&self, error: Error) -> Error {
        name_source(error, self.directory.path(), &self.url)
    }
}
