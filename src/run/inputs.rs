//! The rating files of a run before they are read.

use crate::error::{Error, Result};
use crate::load::{Source, expand, fingerprint};
use crate::pipeline::{TrainConfig, digest};

/// Files with their checksums.
pub(super) struct Inputs {
    pub sources: Vec<Source>,
    /// Of the ratings, and of the test ratings.
    pub checksums: (Vec<String>, Vec<String>),
}

impl Inputs {
    /// Finds and hashes the files.
    pub(super) fn scan(settings: &TrainConfig) -> Result<Self> {
        let sources = expand(&settings.input)?;
        let ratings = hashed(&sources)?;
        let tests = hashed(&expand(&settings.test_file)?)?;
        Ok(Self { sources, checksums: (ratings, tests) })
    }

    /// One checksum over all.
    pub(super) fn fingerprint(&self) -> String {
        let (ratings, tests) = &self.checksums;
        let parts = ratings.iter().map(String::as_str).chain(["tests"]);
        digest(parts.chain(tests.iter().map(String::as_str)))
    }
}

fn hashed(sources: &[Source]) -> Result<Vec<String>> {
    let mut sums = Vec::with_capacity(sources.len());
    for source in sources {
        if let Source::Stream(path) = source {
            let message = "run reads files: what can be read only once cannot be compared with the latest run's";
            return Err(Error::Format { path: path.clone(), message: message.into() });
        }
        sums.push(fingerprint(source.path())?.sha256);
    }
    // As manifests are compared: the same file twice in a row is one.
    sums.dedup();
    Ok(sums)
}
