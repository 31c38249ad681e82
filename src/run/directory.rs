//! The directory of all runs: what is complete, what is served, what is in progress.
//!
//! ```text
//! OUT/
//!   .lacuna.lock                who works here
//!   latest -> runs/RUN_ID       what is served, swapped by one rename
//!   latest.json                 the same for readers without links
//!   runs/RUN_ID/                complete, gated, never changed
//!   rejected/RUN_ID/            failed a gate: the same files, _REJECTED in place of _SUCCESS
//!   .tmp/RUN_ID/                in progress; left by a run that was killed, swept by the next
//!   .ckpt/FINGERPRINT/          checkpoints of an interrupted training
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::load::hex;
use crate::store::{MANIFEST, OutputEntry, REJECTED, SUCCESS, listed_outputs};

/// The link to what is served.
pub(super) const LATEST: &str = "latest";
/// The file that is locked; it tells a directory of runs from others.
pub(super) const LOCK: &str = ".lacuna.lock";
/// What the names of temporary files begin with.
const OWN: &str = ".lacuna-";
const POINTER: &str = "latest.json";
const RUNS: &str = "runs";
const REJECTS: &str = "rejected";
const TEMPORARY: &str = ".tmp";
const CHECKPOINTS: &str = ".ckpt";

/// What is served, for readers without links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The run.
    pub run_id: String,
    /// Where it is, from the run directory.
    pub path: String,
    /// Checksum of its manifest.
    pub manifest_sha256: String,
    /// When it was promoted.
    pub promoted_at: String,
}

/// A directory of runs.
#[derive(Debug, Clone)]
pub(super) struct RunDirectory {
    root: PathBuf,
}

impl RunDirectory {
    /// Opens it, and creates it where it is not there.
    pub(super) fn create(root: &Path) -> Result<Self> {
        let this = Self { root: root.to_owned() };
        if root.join(MANIFEST).exists() {
            let reason = "is a model, not a directory of runs".to_owned();
            return Err(Error::NotOurs { path: root.to_owned(), reason });
        }
        let ours = root.join(LOCK).is_file();
        let empty = fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none());
        if !ours && !empty {
            let reason = "is not empty and no directory of runs".to_owned();
            return Err(Error::NotOurs { path: root.to_owned(), reason });
        }
        if !ours {
            // First of all: a run that is killed now leaves a directory that is known again.
            let lock = root.join(LOCK);
            let made = fs::create_dir_all(root).and_then(|()| File::create(&lock));
            made.map_err(|source| Error::Write { path: lock, source })?;
        }
        let latest = root.join(LATEST);
        if latest.exists() && !latest.is_symlink() {
            let reason =
                "is no link (was the directory copied without links? remove it)".to_owned();
            return Err(Error::NotOurs { path: latest, reason });
        }
        for name in [RUNS, REJECTS, TEMPORARY, CHECKPOINTS] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
        Ok(this)
    }

    /// Opens one that is there.
    pub(super) fn open(root: &Path) -> Result<Self> {
        if root.join(RUNS).is_dir() && root.join(LOCK).is_file() {
            return Ok(Self { root: root.to_owned() });
        }
        let message = "not a directory of runs (lacuna run --output DIR makes one)".to_owned();
        Err(Error::Model { path: root.to_owned(), message })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.root.join(CHECKPOINTS)
    }

    pub(super) fn run(&self, id: &str) -> PathBuf {
        self.root.join(RUNS).join(id)
    }

    pub(super) fn rejected(&self, id: &str) -> PathBuf {
        self.root.join(REJECTS).join(id)
    }

    /// The run that is served.
    pub(super) fn latest(&self) -> Option<String> {
        let link = fs::read_link(self.root.join(LATEST)).ok();
        let linked = link.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        linked.or_else(|| self.pointer().map(|pointer| pointer.run_id))
    }

    /// The pointer to what is served.
    pub(super) fn pointer(&self) -> Option<Pointer> {
        serde_json::from_slice(&fs::read(self.root.join(POINTER)).ok()?).ok()
    }

    /// The ids of the complete runs, oldest first.
    pub(super) fn runs(&self) -> Vec<String> {
        ids(&self.root.join(RUNS), SUCCESS)
    }

    /// The ids of the rejected runs, oldest first.
    pub(super) fn rejects(&self) -> Vec<String> {
        ids(&self.root.join(REJECTS), REJECTED)
    }

    /// Removes what runs that were killed left behind; only under the lock.
    pub(super) fn sweep(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.temporary()) else { return 0 };
        let ours = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            name.starts_with(OWN) || super::began(name).is_some()
        };
        let (mut runs, own) = (0, entries.flatten().filter(ours));
        for entry in own {
            let path = entry.path();
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => runs += usize::from(fs::remove_dir_all(path).is_ok()),
                // What cannot be removed only takes room.
                false => drop(fs::remove_file(path)),
            }
        }
        runs
    }

    /// Whether a run is complete: its mark and every file that its manifest lists, by size.
    pub(super) fn is_complete(&self, id: &str) -> bool {
        let path = self.run(id);
        let whole = |entry: &OutputEntry| {
            fs::metadata(path.join(&entry.path)).is_ok_and(|file| file.len() == entry.bytes)
        };
        let outputs = listed_outputs(&path);
        path.join(SUCCESS).is_file() && outputs.is_ok_and(|(_, outputs)| outputs.iter().all(whole))
    }

    /// Brings the link and the file to the same run again, where a run was killed between them or one of them
    /// was removed; only under the lock. Whether that was needed.
    pub(super) fn reconcile(&self) -> Result<bool> {
        let Some(id) = self.latest() else { return Ok(false) };
        let linked = fs::read_link(self.root.join(LATEST)).is_ok();
        let pointed = self.pointer().is_some_and(|pointer| pointer.run_id == id);
        let Ok(manifest) = fs::read(self.run(&id).join(MANIFEST)) else { return Ok(false) };
        if linked && pointed {
            return Ok(false);
        }
        let manifest_sha256 = hex(&Sha256::digest(&manifest));
        let promoted_at = super::timestamp();
        self.point(&Pointer { path: relative(&id), run_id: id, manifest_sha256, promoted_at })?;
        Ok(true)
    }

    /// Points `latest` at a run, in one step each for the link and the file.
    pub(super) fn point(&self, pointer: &Pointer) -> Result<()> {
        let path = self.root.join(LATEST);
        let link = || -> io::Result<()> {
            // A name of its own, so that a link left by a killed run is no hindrance.
            let temporary = self.temporary().join(format!("{}.link", pointer.run_id));
            let _ = fs::remove_file(&temporary);
            std::os::unix::fs::symlink(&pointer.path, &temporary)?;
            let mut file = NamedTempFile::with_prefix_in(OWN, self.temporary())?;
            let text = serde_json::to_string_pretty(pointer).map_err(io::Error::other)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            readable(file.as_file())?;
            // Both are ready: a run that is killed between the two is mended by the next.
            fs::rename(&temporary, &path)?;
            file.persist(self.root.join(POINTER)).map_err(|e| e.error)?;
            File::open(&self.root)?.sync_all()
        };
        link().map_err(|source| Error::Write { path: path.clone(), source })
    }
}

/// The relative path of a run, as pointers hold it.
pub(super) fn relative(id: &str) -> String {
    format!("{RUNS}/{id}")
}

/// As the umask wants it for files that others read, not private as temporary ones are.
pub(super) fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Names of the directories that hold a mark, sorted: run ids begin with their time.
fn ids(directory: &Path, mark: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let complete = |entry: fs::DirEntry| {
        let name = entry.file_name().to_str()?.to_owned();
        entry.path().join(mark).is_file().then_some(name)
    };
    let mut ids: Vec<String> = entries.flatten().filter_map(complete).collect();
    ids.sort();
    ids
}
