//! Locates the files of a training and checks whether they are unchanged.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::ids::Ids;
use crate::job::Job;
use crate::load::{self, expand, fingerprint};
use crate::pair::Pair;
use crate::ratings::Cell;
use crate::remote::is_url;
use crate::store::{InputEntry, Manifest, TRAINING_RATINGS};

/// Cells and the ids that they refer to.
#[derive(Default)]
pub(crate) struct Source {
    pub cells: Vec<Cell>,
    pub ids: Pair<Ids>,
}

/// A published model: its directory and its manifest.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub path: PathBuf,
    pub manifest: Manifest,
}

/// Where the files of a training are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// At the recorded paths.
    Recorded,
    /// At these paths: the same files under other names.
    Moved(&'a [String]),
}

impl<'a> Place<'a> {
    /// The recorded paths, unless `files` names others.
    pub(crate) fn of(files: &'a [String]) -> Self {
        if files.is_empty() { Self::Recorded } else { Self::Moved(files) }
    }
}

/// Whether the checksums of files are those of the rating files in a manifest, in any order.
pub(crate) fn same_files(files: &[String], manifest: &Manifest, job: &Job<'_>) -> Result<bool> {
    let mut found = Vec::new();
    for file in files {
        let path = Path::new(file);
        if is_url(file) {
            let sources = expand(std::slice::from_ref(file), false, job.stop)?;
            let [load::Source::Object(object)] = &*sources else { return Ok(false) };
            found.push(object.sha256(job.stop)?);
            continue;
        }
        // Patterns and directories are not compared but read as other ratings.
        if !path.is_file() {
            return Ok(false);
        }
        found.push(fingerprint(path)?.sha256);
    }
    let mut recorded = recorded_files(&manifest.inputs);
    found.sort_unstable();
    recorded.sort_unstable();
    Ok(found == recorded)
}

/// The checksums of the recorded rating files, each file once.
///
/// The manifest has one entry per member of an archive, which all count as one file.
fn recorded_files(inputs: &[InputEntry]) -> Vec<String> {
    let archive = |input: &InputEntry| {
        let (archive, member) = input.uri.rsplit_once(':')?;
        (!member.starts_with("//")).then(|| archive.to_owned())
    };
    let mut archives = HashSet::new();
    let ratings = inputs.iter().filter(|input| input.role == "ratings");
    let once = ratings.filter(|input| match archive(input) {
        Some(archive) => archives.insert((archive, &input.sha256)),
        None => true,
    });
    once.map(|input| input.sha256.clone()).collect()
}

/// Whether a training kept its ratings in the model.
pub(crate) fn keeps_ratings(manifest: &Manifest) -> bool {
    manifest.outputs.iter().any(|entry| entry.path == TRAINING_RATINGS)
}

/// The paths of the files of a training, seen from the current directory.
pub(crate) fn located(files: &[String], manifest: &Manifest, place: Place<'_>) -> Vec<String> {
    match place {
        Place::Recorded => {
            files.iter().map(|file| from(file, manifest.working_directory.as_deref())).collect()
        }
        Place::Moved(files) => files.to_vec(),
    }
}

/// Resolves a recorded path against the directory that the training ran in.
fn from(file: &str, directory: Option<&str>) -> String {
    let directory = directory.map(Path::new);
    let here = std::env::current_dir().ok();
    match directory {
        Some(directory) if Path::new(file).is_relative() && here.as_deref() != Some(directory) => {
            directory.join(file).to_string_lossy().into_owned()
        }
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_are_two_and_members_of_an_archive_one() {
        let input = |role: &str, uri: &str, sha256: &str| InputEntry {
            uri: uri.to_owned(),
            role: role.to_owned(),
            sha256: sha256.to_owned(),
            ..InputEntry::default()
        };
        let inputs = [
            input("ratings", "a.csv", "1"),
            input("ratings", "copy-of-a.csv", "1"),
            input("ratings", "s3://bucket/b.csv", "1"),
            input("ratings", "z.zip:u.csv", "2"),
            input("ratings", "z.zip:v.csv", "2"),
            input("ratings", "copy-of-z.zip:u.csv", "2"),
            input("test", "t.csv", "3"),
        ];
        assert_eq!(recorded_files(&inputs), ["1", "1", "1", "2", "2"]);
    }
}
