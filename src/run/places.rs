//! Names and paths in the directory of all runs.
//!
//! ```text
//! OUT/
//!   .lacuna.lock                the lock; names its holder
//!   latest -> runs/RUN_ID       the published run; replaced by one rename
//!   latest.json                 the same for readers without symbolic links
//!   runs/RUN_ID/                a complete run that was published; never changed
//!   rejected/RUN_ID/            a run that failed a gate: _REJECTED instead of _SUCCESS
//!   .tmp/RUN_ID/                a run in progress; the next run removes what a killed one left
//!   .ckpt/FINGERPRINT/          checkpoints of an interrupted run
//! ```
//!
//! A directory of runs in an object store has neither the link nor the names that begin with a dot
//! (see `mirror` and `lease`).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::{REJECTED, SUCCESS, Status};

/// The symbolic link to the published run.
pub(super) const LATEST: &str = "latest";
/// The lock file. It also marks a directory as a directory of runs.
pub(super) const LOCK: &str = ".lacuna.lock";
/// Prefix of the names of temporary files.
pub(super) const OWN: &str = ".lacuna-";
pub(super) const POINTER: &str = "latest.json";
pub(super) const RUNS: &str = "runs";
pub(super) const REJECTS: &str = "rejected";
pub(super) const TEMPORARY: &str = ".tmp";
pub(super) const CHECKPOINTS: &str = ".ckpt";

/// The published run, as `latest.json` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Id of the run.
    pub run_id: String,
    /// Path of the run, relative to the directory of runs.
    pub path: String,
    /// SHA-256 of the manifest of the run.
    pub manifest_sha256: String,
    /// When the run was published.
    pub promoted_at: String,
    /// Runs that a rollback took back: later runs than the one published again, and the one that
    /// was published before the rollback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled_back: Vec<String>,
}

/// One of the two subdirectories for complete runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Name of the subdirectory.
    pub name: &'static str,
    /// The file that marks a complete run.
    pub mark: &'static str,
}

impl Place {
    /// The place of published runs.
    pub(super) const RUNS: Self = Self { name: RUNS, mark: SUCCESS };
    /// The place of rejected runs.
    pub(super) const REJECTS: Self = Self { name: REJECTS, mark: REJECTED };
    pub(super) const BOTH: [Self; 2] = [Self::RUNS, Self::REJECTS];

    /// The place for runs of a status.
    pub(super) const fn of(status: Status) -> Self {
        match status {
            Status::Promoted => Self::RUNS,
            Status::Rejected => Self::REJECTS,
        }
    }
}

/// The relative path of a published run, for a [`Pointer`].
pub(super) fn relative(id: &str) -> String {
    format!("{RUNS}/{id}")
}

/// Makes a file readable for everyone (mode 644). Temporary files are private at first.
pub(super) fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Names of the subdirectories that hold the file `mark`, sorted. Run ids begin with their start,
/// so the oldest comes first.
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
