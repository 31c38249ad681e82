//! A directory that appears as a whole or not at all.

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

/// Files are written beside the target and moved into place together by [`OutDir::publish`]; dropped
/// before that, nothing remains and nothing that was there has changed.
#[derive(Debug)]
pub struct OutDir {
    target: PathBuf,
    kind: DirKind,
    replace: bool,
    temporary: TempDir,
    /// Keeps the temporary directory from being swept while this process lives.
    _alive: Option<File>,
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
        let parent = existing_ancestor(target);
        let name = target.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy());
        let prefix = format!(".{name}.lacuna-");
        sweep_leftovers(&parent, &prefix, target);
        check_target(target, replace, kind)?;
        let created = make_temporary(&parent, &format!("{prefix}{}-", std::process::id()));
        let (temporary, alive) = created.map_err(|source| Error::Write { path: parent, source })?;
        Ok(Self { target: target.to_owned(), kind, replace, temporary, _alive: alive, held: None })
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
        let kind = DirKind::Model;
        Ok(Self { target, kind, replace: false, temporary, _alive: None, held: None })
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
    /// what the target holds. Waits for those who hold it. On a file system without locks nobody is kept out:
    /// the target still is replaced as a whole, by the last one.
    ///
    /// # Errors
    /// [`Error::Stopped`] while it waits.
    pub fn hold(mut self, stop: &AtomicBool) -> Result<Self> {
        if self.held.is_none() {
            self.held = lock(&self.target, stop)?;
        }
        Ok(self)
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
    /// [`Error::Write`], [`Error::Stopped`]; what was there before is still there then.
    pub fn publish(self, stop: &AtomicBool) -> Result<PathBuf> {
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
            // What was there is now under the temporary name, which is removed on drop.
        } else {
            rename_new(from, &self.target).map_err(failed)?;
        }
        // The new model is in place: that this cannot be made durable at once is no reason to fail.
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

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, flock};

    use super::files::{REPLACED, exchange_in_steps};
    use super::*;

    #[test]
    fn a_directory_appears_whole_and_replaces_only_a_model() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let target = dir.path().join("deep/er/model");
        let out = OutDir::create(&target, false, DirKind::Model).expect("creates");
        out.write("a", b"1").expect("writes");
        assert!(!target.exists());
        out.publish(&AtomicBool::new(false)).expect("publishes");
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
        out.publish(&AtomicBool::new(false)).expect("publishes");
        assert!(!target.join("a").exists() && target.join("b").exists());
        // Nothing temporary is left over.
        assert_eq!(fs::read_dir(dir.path().join("deep/er")).expect("lists").count(), 1);
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn leftovers_of_killed_processes_are_swept_and_those_of_living_ones_are_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let target = dir.path().join("model");
        // The number of a process says nothing: it may be one of another container.
        let dead = dir.path().join(format!(".model.lacuna-{}-x", std::process::id()));
        let alive = dir.path().join(".model.lacuna-4194305-y");
        fs::create_dir(&dead).and_then(|()| fs::create_dir(&alive)).expect("creates");
        let lock = File::open(&alive).expect("opens");
        flock(&lock, FlockOperation::LockExclusive).expect("locks");
        let first = OutDir::create(&target, false, DirKind::Model).expect("creates");
        assert!(!dead.exists() && alive.exists());
        drop(OutDir::create(&target, false, DirKind::Model).expect("creates"));
        assert!(first.file("").exists());
        drop(lock);
        drop(OutDir::create(&target, false, DirKind::Model).expect("creates"));
        assert!(!alive.exists() && first.file("").exists());
    }

    #[test]
    fn a_model_that_was_moved_aside_goes_back() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (old, new) = (dir.path().join("model"), dir.path().join(".model.lacuna-7-x"));
        fs::create_dir(&old).and_then(|()| fs::create_dir(&new)).expect("creates");
        fs::write(old.join(MANIFEST), br#"{"outputs":[]}"#).expect("writes");
        // Several exchanges do not meet.
        exchange_in_steps(&new, &old).and_then(|()| exchange_in_steps(&new, &old)).expect("swaps");
        assert!(old.join(MANIFEST).exists());
        // Killed between its renames.
        let aside = dir.path().join(format!(".model.lacuna-7-x{REPLACED}"));
        fs::rename(&old, &aside).expect("moves");
        let refused = OutDir::create(&old, false, DirKind::Model);
        assert!(matches!(refused, Err(Error::OutputExists { .. })));
        assert!(old.join(MANIFEST).exists() && !aside.exists() && !new.exists());
    }

    #[test]
    fn who_waits_for_a_lock_can_be_stopped() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let target = dir.path().join("model");
        fs::create_dir(&target).expect("creates");
        let create = || OutDir::create(&target, true, DirKind::Model).expect("creates");
        let holder = create().hold(&AtomicBool::new(false)).expect("holds");
        let stopped = create().hold(&AtomicBool::new(true));
        assert!(matches!(stopped, Err(Error::Stopped)));
        drop(holder);
        create().hold(&AtomicBool::new(true)).expect("nothing to wait for");
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
