//! Names and paths in the directory of all runs.
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
//!
//! In an object store it is the same without the link and what begins with a dot (`mirror`, `lease`).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::{REJECTED, SUCCESS, Status};

/// The link to what is served.
pub(super) const LATEST: &str = "latest";
/// The file that is locked; it tells a directory of runs from others.
pub(super) const LOCK: &str = ".lacuna.lock";
/// What the names of temporary files begin with.
pub(super) const OWN: &str = ".lacuna-";
pub(super) const POINTER: &str = "latest.json";
pub(super) const RUNS: &str = "runs";
pub(super) const REJECTS: &str = "rejected";
pub(super) const TEMPORARY: &str = ".tmp";
pub(super) const CHECKPOINTS: &str = ".ckpt";

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
    /// Later runs that were served until an earlier one was served again in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled_back: Vec<String>,
}

/// One of the two places where complete runs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Name of the directory.
    pub name: &'static str,
    /// The file that marks a complete run.
    pub mark: &'static str,
}

impl Place {
    /// Where published runs are.
    pub(super) const RUNS: Self = Self { name: RUNS, mark: SUCCESS };
    /// Where rejected runs are.
    pub(super) const REJECTS: Self = Self { name: REJECTS, mark: REJECTED };
    pub(super) const BOTH: [Self; 2] = [Self::RUNS, Self::REJECTS];

    /// Where a run of this status belongs.
    pub(super) const fn of(status: Status) -> Self {
        match status {
            Status::Promoted => Self::RUNS,
            Status::Rejected => Self::REJECTS,
        }
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
pub(super) fn ids(directory: &Path, mark: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let complete = |entry: fs::DirEntry| {
        let name = entry.file_name().to_str()?.to_owned();
        entry.path().join(mark).is_file().then_some(name)
    };
    let mut ids: Vec<String> = entries.flatten().filter_map(complete).collect();
    ids.sort();
    ids
}
