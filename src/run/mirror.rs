//! Runs in an object store. A directory of this machine holds what is at work, and copies of what is needed of
//! earlier runs; what is served is in the store.
//!
//! Nothing there is renamed or linked: the files of a run are written first, its manifest then, its mark last,
//! and `latest.json` is replaced only if it still is what it was at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tempfile::NamedTempFile;

use super::copy::inside;
use super::lease::LEASE;
use super::lock::Lock;
use super::places::{LOCK, OWN, POINTER, Place, Pointer};
use super::run_id::{began, timestamp};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::remote::{Object, Put, Remote, Version};
use crate::store::json::digest;
use crate::store::{MANIFEST, OutputEntry, REJECTED, SUCCESS, files_below, listed_outputs};

/// Names the object store whose runs a directory works at.
const MIRROR_OF: &str = ".lacuna-mirror-of";

/// Tells a directory of runs from other things.
const MARK: &str = "lacuna.json";

/// How long it is tried to point at a run.
const WITHIN: Duration = Duration::from_secs(60);

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

/// The manifest and the mark of a run: names and contents.
pub(super) type Head = [(&'static str, Vec<u8>); 2];

/// The names of the manifest and the mark of a run.
fn head_names(place: Place, id: &str) -> [String; 2] {
    [MANIFEST, place.mark].map(|file| format!("{}/{id}/{file}", place.name))
}

/// A run of which there is no copy yet.
pub(super) struct NewRun {
    pub place: Place,
    pub id: String,
    pub files: Head,
}

/// How the object store differs from the copies.
#[derive(Default)]
pub(super) struct Pulled {
    /// Whether anything is there.
    pub any: bool,
    /// Runs that are not there any more.
    pub gone: Vec<(Place, String)>,
    pub new: Vec<NewRun>,
    /// Which run is published.
    pub pointer: Option<Pointer>,
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

    /// Looks at what is there; `here` are the complete runs of both places that there are copies of.
    pub(super) fn pull(&self, here: &[BTreeSet<String>; 2], job: &Job<'_>) -> Result<Pulled> {
        let pointer = self.remote.get(POINTER, job.stop)?;
        let mut sizes = BTreeMap::new();
        for place in Place::BOTH {
            let objects = self.remote.list(place.name, job.stop)?;
            sizes.extend(objects.into_iter().map(|object| (object.name, object.size)));
        }
        let mut pulled = Pulled::default();
        for (place, here) in Place::BOTH.into_iter().zip(here) {
            let there = complete(&sizes, place);
            pulled.gone.extend(here.difference(&there).map(|id| (place, id.clone())));
            let missing: Vec<String> = there.difference(here).cloned().collect();
            let names = missing.iter().flat_map(|id| head_names(place, id));
            let contents = self.remote.get_all(&names.collect::<Vec<_>>(), job.stop)?;
            let mut contents = contents.into_iter();
            for id in missing {
                // A run that was removed in the meantime is none.
                if let (Some(Some(manifest)), Some(Some(mark))) = (contents.next(), contents.next())
                {
                    let files = [(MANIFEST, manifest), (place.mark, mark)];
                    pulled.new.push(NewRun { place, id, files });
                }
            }
        }
        pulled.any = pointer.is_some() || !sizes.is_empty();
        let (content, version) = pointer.unzip();
        let pointer = content.map(|content| parse(&content)).transpose();
        let broken = pointer.as_ref().err().cloned();
        *self.found() = Found { pointer: version, broken, sizes };
        pulled.pointer = pointer.unwrap_or_default();
        Ok(pulled)
    }

    /// The manifest and the mark of a published run; none where one of them is not there.
    pub(super) fn head_of(&self, id: &str, job: &Job<'_>) -> Result<Option<Head>> {
        let names = head_names(Place::RUNS, id);
        match <[Option<Vec<u8>>; 2]>::try_from(self.remote.get_all(&names, job.stop)?) {
            Ok([Some(manifest), Some(mark)]) => Ok(Some([(MANIFEST, manifest), (SUCCESS, mark)])),
            _ => Ok(None),
        }
    }

    /// Whether the pointer can be read, if there is one: without it nothing is known of what is served.
    pub(super) fn check_pointer(&self) -> Result<()> {
        let Some(broken) = &self.found().broken else { return Ok(()) };
        let message =
            format!("{broken}; lacuna runs rollback {} RUN writes it anew", self.remote.location());
        Err(Error::Model { path: self.remote.location().join(POINTER).to_string().into(), message })
    }

    /// Makes the place a directory of runs, unless it is something else; only under the lock.
    pub(super) fn claim(&self, job: &Job<'_>) -> Result<()> {
        if self.remote.head(MARK, job.stop)?.is_some()
            || self.remote.head(POINTER, job.stop)?.is_some()
        {
            return Ok(());
        }
        if self.remote.is_used(&[LEASE], job.stop)? {
            let reason = "is not empty and no directory of runs".to_owned();
            return Err(Error::NotOurs { path: self.remote.location().to_string().into(), reason });
        }
        let content = json!({ "directory_of_runs": 1, "made_at": timestamp() }).to_string();
        self.remote.put(MARK, content.as_bytes(), Put::Always, job.stop).map(|_| ())
    }

    /// Copies the files of a run that are wanted and not here yet into its directory, by way of a
    /// temporary one.
    pub(super) fn fetch(
        &self,
        id: &str,
        to: &Path,
        temporary: &Path,
        wanted: &dyn Fn(&str) -> bool,
        job: &Job<'_>,
    ) -> Result<()> {
        let prefix = format!("{}/{id}/", Place::RUNS.name);
        let sizes = self.found().sizes.clone();
        for (name, size) in sizes.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            let file = &name[prefix.len()..];
            let path = to.join(file);
            let here = fs::metadata(&path).is_ok_and(|file| file.len() == *size);
            if here || !wanted(file) {
                continue;
            }
            inside(file, &self.remote)?;
            let object = self.remote.head(name, job.stop)?.ok_or_else(|| Error::Model {
                path: self.remote.location().join(name).to_string().into(),
                message: "the run is incomplete: it was removed meanwhile".into(),
            })?;
            self.copy(&object, &path, temporary, job)?;
        }
        Ok(())
    }

    fn copy(&self, object: &Object, to: &Path, temporary: &Path, job: &Job<'_>) -> Result<()> {
        let failed = |source| Error::Write { path: to.to_owned(), source };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let part = NamedTempFile::with_prefix_in(OWN, temporary).map_err(failed)?;
        let part = part.into_temp_path();
        let file = File::create(&part).map_err(failed)?;
        self.remote.fetch(object, (&file, to), (job.stop, &|_| {}))?;
        part.persist(to).map_err(|e| failed(e.error))
    }

    /// Whether a run is complete: its mark and every file that its manifest lists, by size.
    pub(super) fn is_complete(&self, path: &Path, id: &str) -> bool {
        let found = self.found();
        let size = |file: &str| found.sizes.get(&format!("{}/{id}/{file}", Place::RUNS.name));
        let whole = |entry: &OutputEntry| size(&entry.path) == Some(&entry.bytes);
        let outputs = listed_outputs(path);
        size(SUCCESS).is_some() && outputs.is_ok_and(|(_, outputs)| outputs.iter().all(whole))
    }

    /// Writes a finished run: its files; its manifest and its mark if all of them are there and the lock is still held.
    pub(super) fn push(
        &self,
        from: &Path,
        place: Place,
        id: &str,
        lock: &Lock,
        job: &Job<'_>,
    ) -> Result<()> {
        let unreadable = |source| Error::Read { path: from.to_owned(), source };
        let mut files = files_below(from, "").map_err(unreadable)?;
        files.sort();
        let (last, first): (Vec<String>, Vec<String>) = files
            .into_iter()
            .partition(|file| [MANIFEST, SUCCESS, REJECTED].contains(&file.as_str()));
        let name = |file: &str| format!("{}/{id}/{file}", place.name);
        for file in &first {
            self.remote.upload(&name(file), &from.join(file), job.stop)?;
        }
        // One that took this run for gone has swept what was there.
        lock.check()?;
        let there = self.remote.list(&format!("{}/{id}", place.name), job.stop)?;
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
            self.remote.upload(&name(file), &from.join(file), job.stop)?;
        }
        let there = self.remote.list(&format!("{}/{id}", place.name), job.stop)?;
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
    pub(super) fn remove(&self, place: Place, id: &str, job: &Job<'_>) -> Result<()> {
        let mut found = self.remote.list(&format!("{}/{id}", place.name), job.stop)?;
        let is_mark = |name: &str| name.ends_with(&format!("/{}", place.mark));
        let (marks, others): (Vec<_>, Vec<_>) = found.drain(..).partition(|o| is_mark(&o.name));
        for objects in [marks, others] {
            let names: Vec<String> = objects.into_iter().map(|object| object.name).collect();
            self.remote.remove(&names, job.stop)?;
        }
        Ok(())
    }

    /// Removes what runs that were killed left behind; only under the lock.
    pub(super) fn sweep(&self, job: &Job<'_>) -> Result<usize> {
        let sizes = self.found().sizes.clone();
        let mut swept = 0;
        for place in Place::BOTH {
            let whole = complete(&sizes, place);
            for id in ids(&sizes, place).difference(&whole) {
                self.remove(place, id, job)?;
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
    match began(&pointer.run_id) {
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
fn ids(sizes: &BTreeMap<String, u64>, place: Place) -> BTreeSet<String> {
    let id = |name: &String| {
        let (id, _) = name.strip_prefix(place.name)?.strip_prefix('/')?.split_once('/')?;
        began(id).map(|_| id.to_owned())
    };
    sizes.keys().filter_map(id).collect()
}

/// Ids of the complete runs in a place.
fn complete(sizes: &BTreeMap<String, u64>, place: Place) -> BTreeSet<String> {
    let has = |id: &String, file| sizes.contains_key(&format!("{}/{id}/{file}", place.name));
    let whole = |id: &String| has(id, place.mark) && has(id, MANIFEST);
    ids(sizes, place).into_iter().filter(whole).collect()
}
