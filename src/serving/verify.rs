//! Compares a model or an export with its manifest.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::with_threads;
use crate::param::Threads;
use crate::store::{MANIFEST, listed_outputs, unlisted_files, verify, wrong_manifest};

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Identity of the model.
    pub model_version: String,
    /// Number of files that the manifest lists.
    pub files: usize,
    /// Total size of these files, in bytes.
    pub bytes: u64,
    /// One message for each damaged file, the manifest included.
    pub damaged: Vec<String>,
    /// Files that the manifest does not list.
    pub unlisted: Vec<String>,
}

/// Compares the checksum of every file that the manifest lists.
///
/// # Errors
/// [`Error::Model`] if no manifest can be read, [`Error::Read`] if the directory cannot be read.
/// Damaged files are not errors; the outcome reports them.
pub fn verify_files(path: &Path, threads: Option<Threads>) -> Result<Verified> {
    let (model_version, outputs) = listed_outputs(path)?;
    with_threads(threads, || {
        let wrong = outputs.par_iter().map(|entry| match verify(path, entry) {
            Err(error) => Some(error.to_string()),
            Ok(_) => None,
        });
        let damaged: Vec<Option<String>> = wrong.collect();
        let manifest = wrong_manifest(path);
        let manifest = manifest.map(|why| format!("{}: {why}", path.join(MANIFEST).display()));
        let unlisted = unlisted_files(path, &outputs)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Verified {
            model_version,
            files: outputs.len(),
            bytes: outputs.iter().map(|entry| entry.bytes).sum(),
            damaged: manifest.into_iter().chain(damaged.into_iter().flatten()).collect(),
            unlisted,
        })
    })
}
