//! Identifies the rating files of a run before they are read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::{Source, expand, fingerprint};
use crate::settings::Reading;
use crate::store::InputEntry;
use crate::store::json::digest;

/// Checksums of files by their role.
#[derive(Debug, Clone)]
pub(super) struct Checksums<T> {
    pub ratings: Vec<T>,
    pub tests: Vec<T>,
}

/// The input files and their checksums.
pub(super) struct Inputs {
    pub sources: Vec<Source>,
    /// SHA-256 of the files. For objects in a store, the ETag.
    pub checksums: Checksums<String>,
    /// Size and time of the last change of each file.
    states: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl Inputs {
    /// Finds and hashes the files.
    pub(super) fn scan(reading: &Reading, job: &Job<'_>) -> Result<Self> {
        let recursive = reading.options.recursive;
        let sources = expand(&reading.input, recursive, job.stop)?;
        let tests = expand(&reading.test_file, recursive, job.stop)?;
        let all = sources.iter().chain(&tests);
        let states = all.filter_map(|source| state(source.file()?)).collect();
        let checksums = Checksums { ratings: hashed(&sources)?, tests: hashed(&tests)? };
        Ok(Self { sources, checksums, states })
    }

    /// Checks that no file has changed since it was hashed, by size and time of the last change.
    pub(super) fn unchanged(&self) -> Result<()> {
        let changed = self.states.iter().find(|before| state(&before.0).as_ref() != Some(before));
        match changed {
            None => Ok(()),
            Some((path, ..)) => {
                let message = "the file changed while it was read; run again".to_owned();
                Err(Error::Format { path: path.clone(), message })
            }
        }
    }

    /// One checksum over all checksums.
    pub(super) fn fingerprint(&self) -> String {
        let Checksums { ratings, tests } = &self.checksums;
        let parts = ratings.iter().map(String::as_str).chain(["tests"]);
        digest(parts.chain(tests.iter().map(String::as_str)))
    }
}

fn state(path: &Path) -> Option<(PathBuf, u64, Option<SystemTime>)> {
    let state = std::fs::metadata(path).ok()?;
    Some((path.to_owned(), state.len(), state.modified().ok()))
}

fn hashed(sources: &[Source]) -> Result<Vec<String>> {
    let mut sums = Vec::with_capacity(sources.len());
    for source in sources {
        sums.push(match source {
            Source::Stream(path) => {
                let message = "run reads files: an input that can be read only once cannot be \
                               compared with the files of the latest run";
                return Err(Error::Format { path: path.clone(), message: message.into() });
            }
            // The ETag identifies an object without a download.
            Source::Object(object) => object.etag().to_owned(),
            _ => fingerprint(source.file().unwrap_or(source.path()))?.sha256,
        });
    }
    Ok(sums)
}

/// The checksum of an input in a manifest, in the form of [`Inputs::checksums`].
pub(super) fn identity(input: &InputEntry) -> &str {
    input.etag.as_deref().unwrap_or(&input.sha256)
}
