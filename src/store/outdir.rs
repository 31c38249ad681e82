//! A directory that appears as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use std::os::unix::fs::MetadataExt;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{MANIFEST, OutputEntry, verify};
use crate::error::{Error, Result};

/// Files are written beside the target and moved into place together by [`OutDir::publish`]; dropped
/// before that, nothing remains and nothing that was there has changed.
#[derive(Debug)]
pub struct OutDir {
    target: PathBuf,
    kind: DirKind,
    replace: bool,
    temporary: TempDir,
    held: Option<File>,
}

/// What a directory holds; one kind does not replace the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirKind {
    /// A trained model.
    Model,
    /// An export of one.
    Export,
}

impl OutDir {
    /// Prepares to write `target`, which must not exist unless `replace` and it is of the same kind (or
    /// an empty directory).
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`] if nothing can be written there.
    pub fn create(target: &Path, replace: bool, kind: DirKind) -> Result<Self> {
        // A target without a name, as `.`, is what it stands for.
        let resolved = target.file_name().is_none().then(|| target.canonicalize().ok()).flatten();
        let target = resolved.as_deref().unwrap_or(target);
        check_target(target, replace, kind)?;
        let parent = existing_ancestor(target);
        let name = target.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy());
        let prefix = format!(".{name}.lacuna-");
        sweep_leftovers(&parent, &prefix);
        let own = format!("{prefix}{}-", std::process::id());
        let temporary = tempfile::Builder::new().prefix(&own).tempdir_in(&parent);
        let temporary = temporary.map_err(|source| Error::Write { path: parent, source })?;
        Ok(Self { target: target.to_owned(), kind, replace, temporary, held: None })
    }

    /// Prepares a directory of this name within `within`, on the same file system as the target that
    /// [`OutDir::publish_as`] is then given.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn staged(within: &Path, name: &str) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(within);
        let failed = |source| Error::Write { path: within.to_owned(), source };
        let temporary = temporary.map_err(failed)?;
        let target = within.join(name);
        Ok(Self { target, kind: DirKind::Model, replace: false, temporary, held: None })
    }

    /// Moves the directory to a place where nothing is.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::Write`].
    pub fn publish_as(mut self, target: &Path) -> Result<PathBuf> {
        target.clone_into(&mut self.target);
        self.move_into_place()
    }

    /// Keeps others from replacing the target until this is published or dropped: for what is made out of
    /// what the target holds. Waits for those who hold it.
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.held = self.held.or_else(|| lock(&self.target));
        self
    }

    /// Where a file of this name is to be written.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// The path that errors should name for a file.
    #[must_use]
    pub fn final_path(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let written = File::create(self.file(name)).and_then(|mut f| {
            f.write_all(content)?;
            f.sync_all()
        });
        written.map_err(|source| Error::Write { path: self.final_path(name), source })
    }

    /// Takes a file of another model as it is, after its checksum: linked where the file system can, else
    /// copied.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is missing or damaged, [`Error::Write`].
    pub fn carry(&self, from: &Path, entry: &OutputEntry) -> Result<()> {
        let source = verify(from, entry)?;
        let to = self.file(&entry.path);
        let carried = make_parents(&to).and_then(|()| match fs::hard_link(&source, &to) {
            // What cannot be linked can be copied.
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

    /// Opens a file for writing, in a directory of its own where the name says so.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn create_file(&self, name: &str) -> Result<File> {
        let path = self.file(name);
        let created = make_parents(&path).and_then(|()| File::create(&path));
        created.map_err(|source| Error::Write { path: self.final_path(name), source })
    }

    /// Moves the directory into place and returns where. What was there before is removed only after
    /// that.
    ///
    /// # Errors
    /// [`Error::Write`]; what was there before is still there then.
    pub fn publish(self) -> Result<PathBuf> {
        let this = self.hold();
        this.move_into_place()
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
            // What was there is now under the temporary name, which is removed on drop.
        } else {
            rename_new(from, &self.target).map_err(failed)?;
        }
        // The new model is in place: that this cannot be made durable at once is no reason to fail.
        let _ = sync_dir(&parent);
        Ok(self.target)
    }
}

/// Waits for a lock on a directory, which the kernel gives back when the process ends; none where there is no
/// directory, or the file system has no locks.
fn lock(target: &Path) -> Option<File> {
    loop {
        let directory = File::open(target).ok()?;
        flock(&directory, FlockOperation::LockExclusive).ok()?;
        let (held, there) = (directory.metadata().ok()?, fs::metadata(target).ok()?);
        // Another one may have been put in its place while this one was waited for.
        if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
            return Some(directory);
        }
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
    // What the manifest lists may go; anything else is somebody's.
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

/// What the directory of a run that passed its gates ends with.
pub const SUCCESS: &str = "_SUCCESS";
/// What that of a run that did not pass ends with.
pub const REJECTED: &str = "_REJECTED";
const MARKS: [&str; 2] = [SUCCESS, REJECTED];

/// What a manifest is of, and the files that it lists.
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

/// The names of all files below a directory, with those of the directories in between.
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

/// What is wrong with the manifest of a run, by the checksum in its mark; nothing where it is no run.
pub(crate) fn wrong_manifest(directory: &Path) -> Option<String> {
    let mark = MARKS.iter().find_map(|mark| fs::read(directory.join(mark)).ok())?;
    let mark: serde_json::Value = serde_json::from_slice(&mark).unwrap_or_default();
    let manifest = fs::read(directory.join(MANIFEST)).unwrap_or_default();
    let found = crate::load::hex(&Sha256::digest(&manifest));
    (mark["manifest_sha256"] != found.as_str()).then(|| {
        "its checksum differs from the one in the run's mark: it was changed or damaged".into()
    })
}

/// Files in a directory that a manifest does not list, sorted.
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

/// Removes what runs that were killed left behind: their process is gone.
fn sweep_leftovers(parent: &Path, prefix: &str) {
    let processes = Path::new("/proc");
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|_| processes.join("self").exists()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process =
            name.strip_prefix(prefix).and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
        if process.is_some_and(|pid| pid.parse::<u32>().is_ok() && !processes.join(pid).exists()) {
            // What cannot be removed now is tried again by the next run.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A temporary directory is private to its owner; a published one is as the umask wants it.
fn open_to_readers(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let probe =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o777)).tempdir_in(path)?;
    let mode = fs::metadata(probe.path())?.permissions();
    drop(probe);
    fs::set_permissions(path, mode)
}

/// A directory and those in it.
fn sync_dirs(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    sync_dir(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames onto a name that must be free.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems without this flag (some network ones) get the plain rename.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        other => other.map_err(io::Error::from),
    }
}

/// Swaps two directories, in one step where the file system can.
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            let aside = new.with_extension("old");
            fs::rename(old, &aside)?;
            if let Err(error) = fs::rename(new, old) {
                fs::rename(&aside, old)?;
                return Err(error);
            }
            fs::rename(&aside, new)
        }
        other => other.map_err(io::Error::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_appears_whole_and_replaces_only_a_model() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let target = dir.path().join("deep/er/model");
        let out = OutDir::create(&target, false, DirKind::Model).expect("creates");
        out.write("a", b"1").expect("writes");
        assert!(!target.exists());
        out.publish().expect("publishes");
        assert_eq!(fs::read(target.join("a")).expect("reads"), b"1");
        assert!(matches!(
            OutDir::create(&target, false, DirKind::Model),
            Err(Error::OutputExists { .. })
        ));
        assert!(matches!(
            OutDir::create(&target, true, DirKind::Model),
            Err(Error::NotOurs { .. })
        ));
        fs::write(target.join(MANIFEST), br#"{"outputs":[{"path":"a"}]}"#).expect("writes");
        fs::write(target.join("mine"), b"").expect("writes");
        assert!(matches!(
            OutDir::create(&target, true, DirKind::Model),
            Err(Error::NotOurs { .. })
        ));
        fs::remove_file(target.join("mine")).expect("removes");
        let export = OutDir::create(&target, true, DirKind::Export).map(|_| ());
        assert!(export.is_err_and(|e| e.to_string().contains("is a model, not an export")));
        let out = OutDir::create(&target, true, DirKind::Model).expect("creates");
        out.write("b", b"2").expect("writes");
        assert!(target.join("a").exists());
        out.publish().expect("publishes");
        assert!(!target.join("a").exists() && target.join("b").exists());
        // Nothing temporary is left over.
        assert_eq!(fs::read_dir(dir.path().join("deep/er")).expect("lists").count(), 1);
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn leftovers_of_killed_runs_are_swept_and_those_of_living_ones_are_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        // No process has this number: it is above the kernel's limit.
        let dead = dir.path().join(".model.lacuna-4194305-x");
        let alive = dir.path().join(format!(".model.lacuna-{}-y", std::process::id()));
        fs::create_dir(&dead).and_then(|()| fs::create_dir(&alive)).expect("creates");
        drop(OutDir::create(&dir.path().join("model"), false, DirKind::Model).expect("creates"));
        assert!(!dead.exists() && alive.exists());
    }

    #[test]
    fn dropped_before_publishing_nothing_remains() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let out =
            OutDir::create(&dir.path().join("model"), false, DirKind::Model).expect("creates");
        out.write("a", b"1").expect("writes");
        drop(out);
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
    }
}
