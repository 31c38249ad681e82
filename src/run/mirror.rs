//! Runs in an object store. A directory of this machine holds what is at work, and copies of what is needed of
//! earlier runs; what is served is in the store.
//!
//! Nothing there is renamed or linked: the files of a run are written first, its manifest then, its mark last,
//! and `latest.json` is replaced only if it still is what it was at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tempfile::NamedTempFile;

use super::copy::inside;
use super::directory::{LOCK, OWN, POINTER, Pointer, REJECTS, RUNS, RunDirectory};
use super::lease::LEASE;
use super::lock::Lock;
use crate::error::{Error, Result};
use crate::remote::{Object, Put, Remote, Version};
use crate::store::json::digest;
use crate::store::{MANIFEST, OutputEntry, REJECTED, SUCCESS, files_below, listed_outputs};

/// Names the object store whose runs a directory works at.
const MIRROR_OF: &str = ".lacuna-mirror-of";

/// Tells a directory of runs from other things.
const MARK: &str = "lacuna.json";

/// How long it is tried to point at a run.
const WITHIN: Duration = Duration::from_secs(60);

/// The two places of runs and the marks of those that are complete.
const PLACES: [(&str, &str); 2] = [(RUNS, SUCCESS), (REJECTS, REJECTED)];

/// A directory of runs in an object store.
#[derive(Debug)]
pub(super) struct Mirror {
    remote: Remote,
    found: Mutex<Found>,
}

/// What was there when it was looked at.
#[derive(Debug, Default)]
struct Found {
    pointer: Option<Version>,
    /// What is wrong with the pointer.
    broken: Option<String>,
    /// Objects of runs, and their sizes.
    sizes: BTreeMap<String, u64>,
}

impl Mirror {
    pub(super) fn open(url: &str) -> Result<Self> {
        Ok(Self { remote: Remote::open(url)?, found: Mutex::default() })
    }

    pub(super) const fn remote(&self) -> &Remote {
        &self.remote
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the manifests of all complete runs, and the pointer; removes what is not there any more. Whether
    /// anything is there.
    pub(super) fn pull(&self, directory: &RunDirectory, stop: &AtomicBool) -> Result<bool> {
        let pointer = self.remote.get(POINTER, stop)?;
        let mut sizes = BTreeMap::new();
        for (place, _) in PLACES {
            let objects = self.remote.list(place, stop)?;
            sizes.extend(objects.into_iter().map(|object| (object.name, object.size)));
        }
        for (place, mark) in PLACES {
            let there = complete(&sizes, place, mark);
            let here: BTreeSet<String> = directory.complete(place, mark).into_iter().collect();
            for id in here.difference(&there) {
                let path = directory.root().join(place).join(id);
                fs::remove_dir_all(&path).map_err(|source| Error::Write { path, source })?;
            }
            let missing: Vec<&String> = there.difference(&here).collect();
            let names = |id: &&String| [MANIFEST, mark].map(|file| format!("{place}/{id}/{file}"));
            let names: Vec<String> = missing.iter().flat_map(names).collect();
            let contents = self.remote.get_all(&names, stop)?;
            for (id, files) in missing.iter().zip(contents.chunks(2)) {
                // One that was removed meanwhile is none.
                if let [Some(manifest), Some(content)] = files {
                    directory.adopt(place, id, &[(MANIFEST, manifest), (mark, content)])?;
                }
            }
        }
        let any = pointer.is_some() || !sizes.is_empty();
        let (content, version) = pointer.unzip();
        let pointer = content.map(|content| parse(&content)).transpose();
        let broken = pointer.as_ref().err().cloned();
        *self.found() = Found { pointer: version, broken, sizes };
        directory.follow(pointer.unwrap_or_default().as_ref())?;
        Ok(any)
    }

    /// Whether the pointer can be read, if there is one: without it nothing is known of what is served.
    pub(super) fn check_pointer(&self) -> Result<()> {
        let Some(broken) = &self.found().broken else { return Ok(()) };
        let message =
            format!("{broken}; lacuna runs rollback {} RUN writes it anew", self.remote.location());
        Err(Error::Model { path: self.remote.location().join(POINTER).to_string().into(), message })
    }

    /// Makes the place a directory of runs, unless it is something else; only under the lock.
    pub(super) fn claim(&self, stop: &AtomicBool) -> Result<()> {
        if self.remote.head(MARK, stop)?.is_some() || self.remote.head(POINTER, stop)?.is_some() {
            return Ok(());
        }
        if self.remote.is_used(&[LEASE], stop)? {
            let reason = "is not empty and no directory of runs".to_owned();
            return Err(Error::NotOurs { path: self.remote.location().to_string().into(), reason });
        }
        let content = json!({ "directory_of_runs": 1, "made_at": super::timestamp() }).to_string();
        self.remote.put(MARK, content.as_bytes(), Put::Always, stop).map(|_| ())
    }

    /// Copies the files of a run that are wanted and not here yet.
    pub(super) fn fetch(
        &self,
        directory: &RunDirectory,
        id: &str,
        wanted: &dyn Fn(&str) -> bool,
        stop: &AtomicBool,
    ) -> Result<()> {
        let prefix = format!("{RUNS}/{id}/");
        let sizes = self.found().sizes.clone();
        for (name, size) in sizes.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            let file = &name[prefix.len()..];
            let path = directory.run(id).join(file);
            let here = fs::metadata(&path).is_ok_and(|file| file.len() == *size);
            if here || !wanted(file) {
                continue;
            }
            inside(file, &self.remote)?;
            let object = self.remote.head(name, stop)?.ok_or_else(|| Error::Model {
                path: self.remote.location().join(name).to_string().into(),
                message: "the run is incomplete: it was removed meanwhile".into(),
            })?;
            self.copy(directory, &object, &path, stop)?;
        }
        Ok(())
    }

    fn copy(
        &self,
        directory: &RunDirectory,
        object: &Object,
        to: &Path,
        stop: &AtomicBool,
    ) -> Result<()> {
        let failed = |source| Error::Write { path: to.to_owned(), source };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let part = directory.part().map_err(failed)?;
        let file = File::create(&part).map_err(failed)?;
        self.remote.fetch(object, (&file, to), (stop, &|_| {}))?;
        part.persist(to).map_err(|e| failed(e.error))
    }

    /// Copies the manifest of a run again, and nothing else of it.
    pub(super) fn forget(
        &self,
        directory: &RunDirectory,
        id: &str,
        stop: &AtomicBool,
    ) -> Result<bool> {
        let names = [MANIFEST, SUCCESS].map(|file| format!("{RUNS}/{id}/{file}"));
        match &*self.remote.get_all(&names, stop)? {
            [Some(manifest), Some(mark)] => {
                directory.adopt(RUNS, id, &[(MANIFEST, manifest), (SUCCESS, mark)])?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether a run is complete: its mark and every file that its manifest lists, by size.
    pub(super) fn is_complete(&self, directory: &RunDirectory, id: &str) -> bool {
        let found = self.found();
        let size = |file: &str| found.sizes.get(&format!("{RUNS}/{id}/{file}"));
        let whole = |entry: &OutputEntry| size(&entry.path) == Some(&entry.bytes);
        let outputs = listed_outputs(&directory.run(id));
        size(SUCCESS).is_some() && outputs.is_ok_and(|(_, outputs)| outputs.iter().all(whole))
    }

    /// Writes a finished run: its files; its manifest and its mark if all of them are there and the lock is still held.
    pub(super) fn push(
        &self,
        from: &Path,
        (place, id): (&str, &str),
        lock: &Lock,
        stop: &AtomicBool,
    ) -> Result<()> {
        let unreadable = |source| Error::Read { path: from.to_owned(), source };
        let mut files = files_below(from, "").map_err(unreadable)?;
        files.sort();
        let (last, first): (Vec<String>, Vec<String>) = files
            .into_iter()
            .partition(|file| [MANIFEST, SUCCESS, REJECTED].contains(&file.as_str()));
        let name = |file: &str| format!("{place}/{id}/{file}");
        for file in &first {
            self.remote.upload(&name(file), &from.join(file), stop)?;
        }
        // One that took this run for gone has swept what was there.
        lock.check()?;
        let there = self.remote.list(&format!("{place}/{id}"), stop)?;
        for file in &first {
            let size = fs::metadata(from.join(file)).map(|file| file.len()).ok();
            if !there.iter().any(|object| object.name == name(file) && Some(object.size) == size) {
                let path = self.remote.location().join(&name(file)).to_string().into();
                let message = "it was written and is not there: another run removed it";
                return Err(Error::Write { path, source: std::io::Error::other(message) });
            }
        }
        // The manifest comes before the marks by name, too.
        for file in &last {
            self.remote.upload(&name(file), &from.join(file), stop)?;
        }
        let there = self.remote.list(&format!("{place}/{id}"), stop)?;
        self.found().sizes.extend(there.into_iter().map(|object| (object.name, object.size)));
        Ok(())
    }

    /// Points at a run, unless the pointer is another one by now.
    pub(super) fn point(&self, pointer: &Pointer) -> Result<()> {
        let content = serde_json::to_vec_pretty(pointer)
            .map_err(|e| Error::Internal(format!("a pointer: {e}")))?;
        let mut found = self.found();
        let when = found.pointer.clone().map_or(Put::Create, Put::Replace);
        // Everything is there: a stop that is asked for now comes too late.
        let written = self.remote.put(POINTER, &content, when, WITHIN)?;
        let path: PathBuf = self.remote.location().join(POINTER).to_string().into();
        let id = pointer.run_id.clone();
        found.pointer = Some(written.ok_or(Error::Overtaken { path, id })?);
        Ok(())
    }

    /// Removes a run: its mark first, so that no half of it is taken for a whole.
    pub(super) fn remove(&self, place: &str, id: &str, stop: &AtomicBool) -> Result<()> {
        let mut found = self.remote.list(&format!("{place}/{id}"), stop)?;
        let mark = |name: &str| PLACES.iter().any(|(_, mark)| name.ends_with(&format!("/{mark}")));
        let (marks, others): (Vec<_>, Vec<_>) = found.drain(..).partition(|o| mark(&o.name));
        for objects in [marks, others] {
            let names: Vec<String> = objects.into_iter().map(|object| object.name).collect();
            self.remote.remove(&names, stop)?;
        }
        Ok(())
    }

    /// Removes what runs that were killed left behind; only under the lock.
    pub(super) fn sweep(&self, stop: &AtomicBool) -> Result<usize> {
        let sizes = self.found().sizes.clone();
        let mut swept = 0;
        for (place, mark) in PLACES {
            let whole = complete(&sizes, place, mark);
            for id in ids(&sizes, place).difference(&whole) {
                self.remove(place, id, stop)?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// What a pointer says, or what is wrong with it.
fn parse(content: &[u8]) -> Result<Pointer, String> {
    let pointer: Result<Pointer, _> = serde_json::from_slice(content);
    let pointer = pointer.map_err(|e| format!("not a pointer: {e}"))?;
    match super::began(&pointer.run_id) {
        Some(_) => Ok(pointer),
        None => Err(format!("{:?} is no run", pointer.run_id)),
    }
}

/// Where runs of an object store are worked at, unless it is said: among the caches of whoever runs.
pub(super) fn work_dir(url: &str) -> PathBuf {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
    let name = &digest([url])[..16];
    caches.unwrap_or_else(std::env::temp_dir).join("lacuna").join(name)
}

/// Makes a directory the place where the runs of an object store are worked at, unless it is something else.
pub(super) fn claim(root: &Path, url: &str) -> Result<()> {
    let mark = root.join(MIRROR_OF);
    let reason = match self::of(root) {
        Some(before) if before == url => return Ok(()),
        Some(before) => format!("holds the runs of {before}: give another --work-dir"),
        None if root.join(LOCK).exists() => {
            "is itself a directory of runs: give another --work-dir".to_owned()
        }
        None => {
            let write = || -> std::io::Result<()> {
                fs::create_dir_all(root)?;
                let mut file = NamedTempFile::with_prefix_in(OWN, root)?;
                std::io::Write::write_all(&mut file, url.as_bytes())?;
                file.as_file().sync_all()?;
                file.persist(&mark).map(|_| ()).map_err(|e| e.error)
            };
            let left_over = |entry: fs::DirEntry| {
                entry.file_name().to_str().is_some_and(|name| name.starts_with(OWN))
            };
            // Not there, empty, or left by one that was killed here.
            if fs::read_dir(root).map_or(true, |mut all| all.all(|e| e.is_ok_and(left_over))) {
                return write().map_err(|source| Error::Write { path: mark, source });
            }
            "is not empty and no directory of runs: give another --work-dir".to_owned()
        }
    };
    Err(Error::NotOurs { path: root.to_owned(), reason })
}

/// The object store whose runs a directory works at.
pub(super) fn of(root: &Path) -> Option<String> {
    fs::read_to_string(root.join(MIRROR_OF)).ok()
}

/// Ids of the runs in a place.
fn ids(sizes: &BTreeMap<String, u64>, place: &str) -> BTreeSet<String> {
    let id = |name: &String| {
        let (id, _) = name.strip_prefix(place)?.strip_prefix('/')?.split_once('/')?;
        super::began(id).map(|_| id.to_owned())
    };
    sizes.keys().filter_map(id).collect()
}

/// Ids of the complete runs in a place.
fn complete(sizes: &BTreeMap<String, u64>, place: &str, mark: &str) -> BTreeSet<String> {
    let has = |id: &String, file| sizes.contains_key(&format!("{place}/{id}/{file}"));
    let whole = |id: &String| has(id, mark) && has(id, MANIFEST);
    ids(sizes, place).into_iter().filter(whole).collect()
}
