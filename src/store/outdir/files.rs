//! What [`super::OutDir`] asks of the file system: locks, renames, what killed processes left.

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

/// Waits for a lock on a directory, which the kernel gives back when the process ends; none where there is no
/// directory, or the file system has no locks.
pub(super) fn lock(target: &Path, stop: &AtomicBool) -> Result<Option<File>> {
    loop {
        let Ok(directory) = File::open(target) else { return Ok(None) };
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&directory, target) => return Ok(Some(directory)),
            // Another one was put in its place while this one was waited for.
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

/// How often it is looked whether a lock is free.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether an open directory still is the one of this name.
fn is_at(directory: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (directory.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Makes a temporary directory and locks it, so that [`sweep_leftovers`] sees that its process lives, also
/// from another machine or container. On a file system without locks nothing is swept.
pub(super) fn make_temporary(parent: &Path, prefix: &str) -> io::Result<(TempDir, Option<File>)> {
    loop {
        let temporary = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let directory = match File::open(temporary.path()) {
            // Swept by another process already.
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

/// Ends the name of a directory that is being replaced in two steps.
pub(super) const REPLACED: &str = ".replaced";

/// Removes what processes that were killed left behind: nobody holds a lock on it. A model that was moved
/// aside by one that was killed before its own was in place goes back.
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
        // What cannot be moved or removed now is tried again by the next run.
        let _ = match name.ends_with(REPLACED) && !target.exists() {
            true => rename_new(&entry.path(), target),
            false => fs::remove_dir_all(entry.path()),
        };
    }
}

/// A temporary directory is private to its owner; a published one is as the umask wants it.
pub(super) fn open_to_readers(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let probe =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o777)).tempdir_in(path)?;
    let mode = fs::metadata(probe.path())?.permissions();
    drop(probe);
    fs::set_permissions(path, mode)
}

/// A directory and those in it.
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

/// Renames onto a name that must be free.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems without this flag (some network ones) get the plain rename.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        other => other.map_err(io::Error::from),
    }
}

/// Swaps two directories, in one step where the file system can.
pub(super) fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => exchange_in_steps(new, old),
        other => other.map_err(io::Error::from),
    }
}

/// Swaps two directories by renames. Killed in between, the old one is found by [`sweep_leftovers`].
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
