//! File-system operations of [`super::OutDir`]: locks, renames, and the removal of leftovers.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::error::{Error, Result};

/// Waits for an exclusive lock on a directory, which the kernel releases when the process ends.
///
/// Returns `None` if there is no directory or the file system has no locks.
pub(super) fn lock(target: &Path, stop: &AtomicBool) -> Result<Option<File>> {
    loop {
        let Ok(directory) = File::open(target) else { return Ok(None) };
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&directory, target) => return Ok(Some(directory)),
            // Another directory took this one's place during the wait, so try again.
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Stopped);
                }
                std::thread::sleep(LOCK_INTERVAL);
            }
            Err(_) => return Ok(None),
        }
    }
}

/// The time between two attempts to take a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether an open directory is still the one at this path.
fn is_at(directory: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (directory.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Creates a temporary directory and locks it.
///
/// The lock shows [`sweep_leftovers`] that the owner is alive, even on another machine or in
/// another container. On a file system without locks nothing is swept.
pub(super) fn make_temporary(parent: &Path, prefix: &str) -> io::Result<(TempDir, Option<File>)> {
    loop {
        let temporary = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let directory = match File::open(temporary.path()) {
            // Another process has already swept it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&directory, temporary.path()) => {
                return Ok((temporary, Some(directory)));
            }
            // Another process swept it between the two steps.
            Ok(()) | Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(_) => return Ok((temporary, None)),
        }
    }
}

/// The suffix of a directory that was moved aside in [`exchange_in_steps`].
pub(super) const REPLACED: &str = ".replaced";

/// Removes the directories that killed processes left behind, on which nobody holds a lock.
///
/// A process may be killed after it moved the old model aside and before the new one was in place.
/// The old model is then moved back.
pub(super) fn sweep_leftovers(parent: &Path, prefix: &str, target: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Opening a pipe could block for ever.
        if !name.starts_with(prefix) || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(directory) = File::open(entry.path()) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        // If this fails, the next run tries again.
        let _ = match name.ends_with(REPLACED) && !target.exists() {
            true => rename_new(&entry.path(), target),
            false => fs::remove_dir_all(entry.path()),
        };
    }
}

/// Replaces the private permissions of a temporary directory with those that the umask allows.
pub(super) fn open_to_readers(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let probe =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o777)).tempdir_in(path)?;
    let mode = fs::metadata(probe.path())?.permissions();
    drop(probe);
    fs::set_permissions(path, mode)
}

/// Syncs a directory and all directories below it.
pub(super) fn sync_dirs(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    sync_dir(path)
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames to a path that must not exist.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems, such as network ones, lack this flag and get the plain rename.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        other => other.map_err(io::Error::from),
    }
}

/// Swaps two directories, in one step if the file system supports it.
pub(super) fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => exchange_in_steps(new, old),
        other => other.map_err(io::Error::from),
    }
}

/// Swaps two directories by renames. [`sweep_leftovers`] finds the old one if the process is killed
/// in between.
pub(super) fn exchange_in_steps(new: &Path, old: &Path) -> io::Result<()> {
    let mut aside = new.as_os_str().to_owned();
    aside.push(REPLACED);
    let aside = PathBuf::from(aside);
    fs::rename(old, &aside)?;
    if let Err(error) = fs::rename(new, old) {
        fs::rename(&aside, old)?;
        return Err(error);
    }
    fs::rename(&aside, new)
}
