//! An output directory that appears complete or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::files::{
    exchange, lock, make_temporary, open_to_readers, rename_new, sweep_leftovers, sync_dir,
    sync_dirs,
};
use super::{MANIFEST, OutputEntry, verify};
use crate::error::{Error, Result};

mod files;

/// An output directory that is written under a temporary name and then moved into place.
///
/// [`OutDir::publish`] moves all files into place together. If the value is dropped before that,
/// the temporary directory is removed and the target is unchanged.
#[derive(Debug)]
pub(crate) struct OutDir {
    target: PathBuf,
    kind: DirKind,
    replace: bool,
    temporary: TempDir,
    /// A lock that keeps other processes from sweeping the temporary directory.
    _alive: Option<File>,
    held: Option<File>,
}

/// The kind of an output directory; one kind never replaces the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirKind {
    /// A trained model.
    Model,
    /// An export of a model.
    Export,
}

impl OutDir {
    /// Prepares to write `target`.
    ///
    /// The target must not exist. With `replace`, it may also be an empty directory, or a directory
    /// of the same kind that holds only the files of its manifest and is not a run.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`] if the parent is not writable.
    pub(crate) fn create(target: &Path, replace: bool, kind: DirKind) -> Result<Self> {
        // A target without a name, such as `.`, is resolved to the directory that it stands for.
        let resolved = target.file_name().is_none().then(|| target.canonicalize().ok()).flatten();
        let target = resolved.as_deref().unwrap_or(target);
        let parent = existing_ancestor(target);
        let name = target.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy());
        let prefix = format!(".{name}.lacuna-");
        sweep_leftovers(&parent, &prefix, target);
        check_target(target, replace, kind)?;
        let created = make_temporary(&parent, &format!("{prefix}{}-", std::process::id()));
        let (temporary, alive) = created.map_err(|source| Error::Write { path: parent, source })?;
        Ok(Self { target: target.to_owned(), kind, replace, temporary, _alive: alive, held: None })
    }

    /// Prepares a directory called `name` within `within`, for [`OutDir::publish_as`].
    ///
    /// `within` must be on the same file system as the target that is passed to `publish_as`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn staged(within: &Path, name: &str) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(within);
        let failed = |source| Error::Write { path: within.to_owned(), source };
        let temporary = temporary.map_err(failed)?;
        let target = within.join(name);
        let kind = DirKind::Model;
        Ok(Self { target, kind, replace: false, temporary, _alive: None, held: None })
    }

    /// Moves the directory to `target`, which must not exist, and returns that path.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::Write`].
    pub(crate) fn publish_as(mut self, target: &Path) -> Result<PathBuf> {
        target.clone_into(&mut self.target);
        self.move_into_place()
    }

    /// Locks the target against replacement by others until this value is published or dropped.
    ///
    /// A caller needs this if it derives the new content from the target's content. The call waits
    /// while another process holds the lock. A file system without locks excludes nobody: the
    /// target is still replaced as a whole, and the last process wins.
    ///
    /// # Errors
    /// [`Error::Stopped`] while it waits.
    pub(crate) fn hold(mut self, stop: &AtomicBool) -> Result<Self> {
        if self.held.is_none() {
            self.held = lock(&self.target, stop)?;
        }
        Ok(self)
    }

    /// The temporary path at which the file `name` must be written.
    #[must_use]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// The path of the file `name` once it is published, which errors should name.
    #[must_use]
    pub(crate) fn final_path(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let written = File::create(self.file(name)).and_then(|mut f| {
            f.write_all(content)?;
            f.sync_all()
        });
        written.map_err(|source| Error::Write { path: self.final_path(name), source })
    }

    /// Verifies the checksum of another model's file and takes the file over unchanged.
    ///
    /// The file is hard-linked if the file system allows it, and copied otherwise.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is missing or damaged, [`Error::Write`].
    pub(crate) fn carry(&self, from: &Path, entry: &OutputEntry) -> Result<()> {
        let source = verify(from, entry)?;
        let to = self.file(&entry.path);
        let carried = make_parents(&to).and_then(|()| match fs::hard_link(&source, &to) {
            // If a hard link is not possible, copy the file.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::CrossesDevices
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::Unsupported
                        | io::ErrorKind::TooManyLinks
                ) =>
            {
                let mut copy = File::create_new(&to)?;
                io::copy(&mut File::open(&source)?, &mut copy)?;
                copy.sync_all()
            }
            linked => linked,
        });
        carried.map_err(|source| Error::Write { path: self.final_path(&entry.path), source })
    }

    /// Creates a file for writing, along with the subdirectories in its name.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn create_file(&self, name: &str) -> Result<File> {
        let path = self.file(name);
        let created = make_parents(&path).and_then(|()| File::create(&path));
        created.map_err(|source| Error::Write { path: self.final_path(name), source })
    }

    /// Moves the directory into place and returns its path.
    ///
    /// The previous content is removed only after the move.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`], [`Error::Stopped`]; the
    /// previous content is then still in place.
    pub(crate) fn publish(self, stop: &AtomicBool) -> Result<PathBuf> {
        self.hold(stop)?.move_into_place()
    }

    fn move_into_place(self) -> Result<PathBuf> {
        let failed = |source| Error::Write { path: self.target.clone(), source };
        check_target(&self.target, self.replace, self.kind)?;
        let parent = parent_of(&self.target);
        fs::create_dir_all(&parent).map_err(failed)?;
        let from = self.temporary.path();
        open_to_readers(from).map_err(failed)?;
        sync_dirs(from).map_err(failed)?;
        if self.target.exists() {
            let mode = fs::metadata(&self.target).map(|there| there.permissions());
            mode.and_then(|mode| fs::set_permissions(from, mode)).map_err(failed)?;
            exchange(from, &self.target).map_err(failed)?;
            // The previous content now has the temporary name, which is removed on drop.
        } else {
            rename_new(from, &self.target).map_err(failed)?;
        }
        // The new directory is in place, so a failure to sync its parent is not an error.
        let _ = sync_dir(&parent);
        Ok(self.target)
    }
}

fn check_target(target: &Path, replace: bool, kind: DirKind) -> Result<()> {
    if !target.exists() && !target.is_symlink() {
        return Ok(());
    }
    if !replace {
        return Err(Error::OutputExists { path: target.to_owned() });
    }
    let refused = |reason: String| Err(Error::NotOurs { path: target.to_owned(), reason });
    if target.is_symlink() {
        return refused("is a symbolic link".into());
    }
    let Ok(mut names) = files_below(target, "") else {
        return refused("is not a directory".into());
    };
    if names.is_empty() {
        return Ok(());
    }
    // Files that the manifest lists may be replaced; any other file belongs to somebody else.
    let Some((found, listed)) = listed_files(&target.join(MANIFEST)) else {
        return refused("is not a lacuna model".into());
    };
    if found != kind {
        let (is, wanted) = match found {
            DirKind::Model => ("a model", "an export"),
            DirKind::Export => ("an export", "a model"),
        };
        return refused(format!("is {is}, not {wanted}"));
    }
    if let Some(mark) = MARKS.iter().find(|mark| names.iter().any(|name| name == *mark)) {
        return refused(format!(
            "is a run that was published or rejected ({mark}), which stays as it is"
        ));
    }
    names.retain(|name| name != MANIFEST && !listed.contains(name));
    names.sort();
    match names.first() {
        None => Ok(()),
        Some(name) => refused(format!("holds something that is not lacuna's ({name})")),
    }
}

/// Name of the file that marks a complete directory of a published run; it is written last.
pub(crate) const SUCCESS: &str = "_SUCCESS";
/// Name of the file that marks a complete directory of a rejected run; it is written last.
pub(crate) const REJECTED: &str = "_REJECTED";
const MARKS: [&str; 2] = [SUCCESS, REJECTED];

/// The kind of directory that a manifest describes, and the files that it lists.
fn listed_files(manifest: &Path) -> Option<(DirKind, Vec<String>)> {
    let value: serde_json::Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    let kind = match value.get("exported_at") {
        Some(_) => DirKind::Export,
        None => DirKind::Model,
    };
    let outputs = value.get("outputs")?.as_array()?;
    let path = |o: &serde_json::Value| Some(o.get("path")?.as_str()?.to_owned());
    Some((kind, outputs.iter().filter_map(path).collect()))
}

/// The relative paths of all files below a directory, each with `prefix` in front.
pub(crate) fn files_below(directory: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => names.extend(files_below(&entry.path(), &format!("{name}/"))?),
            false => names.push(name),
        }
    }
    Ok(names)
}

/// Compares the manifest of a run with the checksum in the run's mark and returns any problem.
///
/// Returns `None` for a directory without a mark, because it is not a run.
pub(crate) fn wrong_manifest(directory: &Path) -> Option<String> {
    let mark = MARKS.iter().find_map(|mark| fs::read(directory.join(mark)).ok())?;
    let mark: serde_json::Value = serde_json::from_slice(&mark).unwrap_or_default();
    let manifest = fs::read(directory.join(MANIFEST)).unwrap_or_default();
    let found = crate::load::hex(&Sha256::digest(&manifest));
    (mark["manifest_sha256"] != found.as_str()).then(|| {
        "its checksum differs from the one in the run's mark: it was changed or damaged".into()
    })
}

/// The files of a directory that its manifest does not list, sorted.
///
/// The manifest itself and the marks of a run are not among them.
pub(crate) fn unlisted_files(directory: &Path, outputs: &[OutputEntry]) -> io::Result<Vec<String>> {
    let mut names = files_below(directory, "")?;
    names.retain(|name| name != MANIFEST && !MARKS.contains(&name.as_str()));
    names.retain(|name| !outputs.iter().any(|entry| entry.path == *name));
    names.sort();
    Ok(names)
}

fn make_parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn existing_ancestor(path: &Path) -> PathBuf {
    let mut ancestor = parent_of(path);
    while !ancestor.exists() {
        ancestor = parent_of(&ancestor);
    }
    ancestor
}

#[cfg(test)]
mod tests;
