//! Checkpoints of a fit.
//!
//! A checkpoint is one file, which appears complete or not at all. Each stage keeps its last two.
//!
//! ```text
//! DIR/about.json             the training that the checkpoints belong to
//! DIR/train-000007.ckpt      after the 7th iteration of the stage "train"
//! ```
//!
//! A checkpoint is a safetensors file that holds the arrays of the state by name. Its metadata key
//! `lacuna` holds the version of the format, a record of the caller, and a SHA-256 over the record
//! and the arrays.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::load::hex;
use crate::train::{Array, State};

/// Number of checkpoints that are kept per stage.
const KEPT: usize = 2;

/// Version of the format.
const VERSION: u32 = 1;

/// Metadata key of the header.
const KEY: &str = "lacuna";

/// Name of the file that describes the training of the checkpoints.
const ABOUT: &str = "about.json";

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// The caller's record, stored alongside the state.
    #[serde(rename = "beside")]
    record: String,
    sha256: String,
}

/// A directory of checkpoints of one training.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointDir {
    path: PathBuf,
}

impl CheckpointDir {
    /// A directory at this path, which [`CheckpointDir::describe`] creates.
    #[must_use]
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The path of the directory.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The description that was passed to [`CheckpointDir::describe`], if there is one.
    #[must_use]
    pub(crate) fn about(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&fs::read(self.path.join(ABOUT)).ok()?).ok()
    }

    /// Creates the directory and stores a description of the training of its checkpoints.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn describe(&self, about: &serde_json::Value) -> Result<()> {
        let created = fs::create_dir_all(&self.path);
        created.map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.put(ABOUT, |path| fs::write(path, about.to_string()))
    }

    /// Writes a checkpoint and removes all but the last two of its stage.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn write(
        &self,
        stage: &str,
        iteration: u32,
        record: &str,
        state: &State,
    ) -> Result<()> {
        self.put(&format!("{stage}-{iteration:06}.ckpt"), |path| serialize(record, state, path))?;
        let mut files = self.files(stage);
        files.truncate(files.len().saturating_sub(KEPT));
        for (_, path) in files {
            // A file that cannot be removed only takes up space.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// The caller's record and the state from the latest readable checkpoint of a stage, if any.
    ///
    /// Damaged checkpoints are reported to `damaged`.
    pub(crate) fn latest(
        &self,
        stage: &str,
        mut damaged: impl FnMut(&Path, &str),
    ) -> Option<(String, State)> {
        for (_, path) in self.files(stage).into_iter().rev() {
            match read(&path) {
                Ok(found) => return Some(found),
                Err(why) => damaged(&path, &why),
            }
        }
        None
    }

    /// Whether there is any checkpoint.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.files("").is_empty()
    }

    /// Removes the directory.
    pub(crate) fn remove(&self) {
        // A file that cannot be removed only takes up space. The description is removed last, so
        // that the next process can identify the remaining checkpoints if this one is killed here.
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name() != ABOUT {
                let _ = fs::remove_file(entry.path());
            }
        }
        let _ = fs::remove_file(self.path.join(ABOUT));
        self.remove_empty();
    }

    /// Removes the directory if it is empty.
    pub(crate) fn remove_empty(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    /// The checkpoints of a stage, or of all stages if `stage` is empty, sorted by iteration.
    fn files(&self, stage: &str) -> Vec<(u32, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".ckpt")?;
            let (of, number) = name.rsplit_once('-')?;
            let number = (stage.is_empty() || of == stage).then(|| number.parse().ok())??;
            Some((number, path.clone()))
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<(u32, PathBuf)> = paths.filter_map(|path| number(&path)).collect();
        files.sort();
        files
    }

    /// Writes a file that appears complete or not at all.
    fn put(&self, name: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
        let put = || -> std::io::Result<()> {
            let file = NamedTempFile::with_prefix_in(".new-", &self.path)?;
            write(file.path())?;
            // `write` used another handle, opened by name; this handle refers to the same file.
            file.as_file().sync_all()?;
            file.persist(self.path.join(name)).map_err(|e| e.error)?;
            File::open(&self.path)?.sync_all()
        };
        put().map_err(|source| Error::Write { path: self.path.join(name), source })
    }
}

fn checksum<'a>(record: &str, arrays: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(record.as_bytes());
    for (name, bytes) in arrays {
        part(name.as_bytes());
        part(bytes);
    }
    hex(&hash.finalize())
}

/// The bytes of an array as they are in memory.
///
/// A checkpoint belongs to one kind of machine, which is part of the description of its training.
fn bytes_of(array: &Array) -> (Dtype, usize, &[u8]) {
    match array {
        Array::F32(values) => (Dtype::F32, values.len(), bytemuck::cast_slice(values)),
        Array::F64(values) => (Dtype::F64, values.len(), bytemuck::cast_slice(values)),
    }
}

/// Writes a checkpoint without copying the state.
fn serialize(record: &str, state: &State, path: &Path) -> std::io::Result<()> {
    let arrays = || state.arrays().iter().map(|(name, array)| (name.as_str(), bytes_of(array)));
    let sha256 = checksum(record, arrays().map(|(name, (_, _, bytes))| (name, bytes)));
    let header = Header { version: VERSION, record: record.to_owned(), sha256 };
    let header = serde_json::to_string(&header)?;
    let failed = |e: &dyn std::fmt::Display| std::io::Error::other(e.to_string());
    let mut views = Vec::new();
    for (name, (dtype, length, bytes)) in arrays() {
        let view = TensorView::new(dtype, vec![length], bytes).map_err(|e| failed(&e))?;
        views.push((name, view));
    }
    let header = HashMap::from([(KEY.to_owned(), header)]);
    safetensors::serialize_to_file(views, Some(header), path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(e) => e,
        other => failed(&other),
    })
}

/// Reads a checkpoint; the error says why it cannot be read.
fn read(path: &Path) -> Result<(String, State), String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    parse_checkpoint(&bytes)
}

/// Parses the bytes of a checkpoint file and returns the caller's record and the state.
///
/// # Errors
/// The reason why the bytes are not a valid checkpoint.
pub fn parse_checkpoint(bytes: &[u8]) -> Result<(String, State), String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let header = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let header: Header = serde_json::from_str(header.ok_or("not a checkpoint")?)
        .map_err(|e| format!("not a checkpoint: {e}"))?;
    if header.version != VERSION {
        return Err(format!("version {} where this release reads {VERSION}", header.version));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let found: BTreeMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let all = found.iter().map(|(name, view)| (name.as_str(), view.data()));
    if checksum(&header.record, all) != header.sha256 {
        return Err("its checksum is wrong: the file is damaged".into());
    }
    let mut arrays = BTreeMap::new();
    for (name, view) in found {
        let data = view.data();
        let array = match view.dtype() {
            Dtype::F32 => {
                Array::F32(data.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect())
            }
            Dtype::F64 => {
                Array::F64(data.as_chunks().0.iter().map(|b| f64::from_ne_bytes(*b)).collect())
            }
            other => return Err(format!("\"{name}\" holds {other:?}")),
        };
        arrays.insert(name, array);
    }
    Ok((header.record, State::new(arrays)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(values: &[f64]) -> State {
        let floats = values.iter().map(|&v| v as f32).collect();
        State::new(BTreeMap::from([
            ("a".to_owned(), Array::F64(values.to_vec())),
            ("b.c".to_owned(), Array::F32(floats)),
            ("empty".to_owned(), Array::F32(Vec::new())),
        ]))
    }

    #[test]
    fn what_is_written_is_read_back_and_the_last_two_are_kept() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let checkpoints = CheckpointDir::new(dir.path().join("x/y"));
        assert!(checkpoints.about().is_none() && checkpoints.is_empty());
        checkpoints.describe(&serde_json::json!({"what": 1})).expect("writes");
        for iteration in 1..=12 {
            let numbers = [f64::from(iteration), 0.1, f64::NAN.min(-0.0)];
            checkpoints.write("train", iteration, "{}", &state(&numbers)).expect("writes");
        }
        checkpoints.write("refit", 3, "record", &state(&[])).expect("writes");
        assert_eq!(fs::read_dir(checkpoints.path()).expect("lists").count(), 4);
        assert_eq!(checkpoints.about(), Some(serde_json::json!({"what": 1})));
        let none = |path: &Path, why: &str| panic!("{}: {why}", path.display());
        let (record, found) = checkpoints.latest("train", none).expect("is there");
        assert_eq!((record.as_str(), found), ("{}", state(&[12.0, 0.1, -0.0])));
        assert_eq!(checkpoints.latest("refit", none).map(|c| c.0).as_deref(), Some("record"));
        assert!(checkpoints.latest("other", none).is_none());
        // A damaged checkpoint is skipped.
        let last = checkpoints.path().join("train-000012.ckpt");
        let mut bytes = fs::read(&last).expect("reads");
        let end = bytes.len() - 5;
        bytes[end] ^= 1;
        fs::write(&last, bytes).expect("writes");
        let mut damaged = Vec::new();
        let found = checkpoints.latest("train", |path, why| {
            damaged.push((path.to_owned(), why.to_owned()));
        });
        assert_eq!(found.map(|f| f.1), Some(state(&[11.0, 0.1, -0.0])));
        assert!(damaged.len() == 1 && damaged[0].1.contains("checksum"), "{damaged:?}");
        checkpoints.remove();
        assert!(!checkpoints.path().exists());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let file = NamedTempFile::new().expect("temporary file");
        serialize("record", &state(&[1.0, 2.0]), file.path()).expect("writes");
        let whole = fs::read(file.path()).expect("reads");
        assert!(parse_checkpoint(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(parse_checkpoint(&whole[..cut]).is_err());
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            // The file may stay readable, for example if a letter in the header changes case.
            let _ = parse_checkpoint(&bytes);
        }
        assert!(parse_checkpoint(b"").is_err());
    }

    #[test]
    fn what_says_whose_it_is_goes_last() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let checkpoints = CheckpointDir::new(dir.path().join("c"));
        checkpoints.describe(&serde_json::json!({})).expect("writes");
        checkpoints.write("train", 1, "{}", &state(&[])).expect("writes");
        checkpoints.remove_empty();
        assert!(checkpoints.about().is_some(), "it is not empty");
        checkpoints.remove();
        assert!(!checkpoints.path().exists());
    }
}
