//! Runs in an object store, with a local work directory.
//!
//! The published model is in the store. The work directory holds the run in progress and copies of
//! the files of earlier runs that are needed. A store has neither renames nor links. Therefore the
//! files of a run are written first, then its manifest, and its mark last; a run counts as complete
//! if both exist. `latest.json` is replaced only if it has not changed since the start of the run.

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

/// File in a work directory that names the object store.
const MIRROR_OF: &str = ".lacuna-mirror-of";

/// Object that marks a directory of runs in a store.
const MARK: &str = "lacuna.json";

/// Time limit for writing the pointer to a run.
const WITHIN: Duration = Duration::from_secs(60);

/// A directory of runs in an object store.
#[derive(Debug)]
pub(super) struct Mirror {
    remote: Remote,
    found: Mutex<Found>,
}

/// The state of the store at the last pull.
#[derive(Debug, Default)]
struct Found {
    pointer: Option<Version>,
    /// Why the pointer cannot be read, if it cannot.
    broken: Option<String>,
    /// Sizes of the objects of all runs, by name.
    sizes: BTreeMap<String, u64>,
}

/// Names and contents of the manifest and the mark of a run.
pub(super) type Head = [(&'static str, Vec<u8>); 2];

/// Object names of the manifest and the mark of a run.
fn head_names(place: Place, id: &str) -> [String; 2] {
    [MANIFEST, place.mark].map(|file| format!("{}/{id}/{file}", place.name))
}

/// A run without a local copy.
pub(super) struct NewRun {
    pub place: Place,
    pub id: String,
    pub files: Head,
}

/// The differences between the object store and the local copies.
#[derive(Default)]
pub(super) struct Pulled {
    /// Whether the store holds a pointer or any objects of runs.
    pub any: bool,
    /// Runs with a local copy that are no longer in the store.
    pub gone: Vec<(Place, String)>,
    /// Runs in the store without a local copy.
    pub new: Vec<NewRun>,
    /// The pointer to the published run, if there is a readable one.
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

    /// Reads the state of the store. `here` holds the ids of the complete local copies in each
    /// place.
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
                // Skip a run that was removed in the meantime.
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

    /// The manifest and the mark of a published run. `None` if one of them does not exist.
    pub(super) fn head_of(&self, id: &str, job: &Job<'_>) -> Result<Option<Head>> {
        let names = head_names(Place::RUNS, id);
        match <[Option<Vec<u8>>; 2]>::try_from(self.remote.get_all(&names, job.stop)?) {
            Ok([Some(manifest), Some(mark)]) => Ok(Some([(MANIFEST, manifest), (SUCCESS, mark)])),
            _ => Ok(None),
        }
    }

    /// Checks that the pointer can be read, if there is one. Otherwise the published run is
    /// unknown.
    pub(super) fn check_pointer(&self) -> Result<()> {
        let Some(broken) = &self.found().broken else { return Ok(()) };
        let message =
            format!("{broken}; lacuna runs rollback {} RUN writes it anew", self.remote.location());
        Err(Error::Model { path: self.remote.location().join(POINTER).to_string().into(), message })
    }

    /// Marks the place as a directory of runs, unless it holds something else. Needs the lock.
    pub(super) fn claim(&self, job: &Job<'_>) -> Result<()> {
        if self.remote.head(MARK, job.stop)?.is_some()
            || self.remote.head(POINTER, job.stop)?.is_some()
        {
            return Ok(());
        }
        if self.remote.is_used(&[LEASE], job.stop)? {
            let reason = "is neither empty nor a directory of runs".to_owned();
            return Err(Error::NotOurs { path: self.remote.location().to_string().into(), reason });
        }
        let content = json!({ "directory_of_runs": 1, "made_at": timestamp() }).to_string();
        self.remote.put(MARK, content.as_bytes(), Put::Always, job.stop).map(|_| ())
    }

    /// Copies the wanted files of a run into its local directory, unless they are there already.
    /// Each file is first written to the temporary directory.
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
        self.remote.fetch(object, &file, to, job.stop, &|_| {})?;
        part.persist(to).map_err(|e| failed(e.error))
    }

    /// Whether a run has its mark and every file that its manifest lists, with the right size.
    pub(super) fn is_complete(&self, path: &Path, id: &str) -> bool {
        let found = self.found();
        let size = |file: &str| found.sizes.get(&format!("{}/{id}/{file}", Place::RUNS.name));
        let whole = |entry: &OutputEntry| size(&entry.path) == Some(&entry.bytes);
        let outputs = listed_outputs(path);
        size(SUCCESS).is_some() && outputs.is_ok_and(|(_, outputs)| outputs.iter().all(whole))
    }

    /// Writes a finished run: first its files, then its manifest, and its mark last.
    ///
    /// The manifest and the mark are written only if the lock is still held and all files are in
    /// the store.
    pub(super) fn push(
        &self,
        from: &Path,
        place: Place,
        id: &str,
        lock: &Lock,
        job: &Job<'_>,
    ) -> Result<()> {
        let unreadable = |source| Error::Read { path: from.to_owned(), source };
        let (first, last) = upload_order(files_below(from, "").map_err(unreadable)?);
        let name = |file: &str| format!("{}/{id}/{file}", place.name);
        for file in &first {
            self.remote.upload(&name(file), &from.join(file), job.stop)?;
        }
        // A run that took over the lock has removed the files.
        lock.check()?;
        let there = self.remote.list(&format!("{}/{id}", place.name), job.stop)?;
        for file in &first {
            let size = fs::metadata(from.join(file)).map(|file| file.len()).ok();
            if !there.iter().any(|object| object.name == name(file) && Some(object.size) == size) {
                let path = self.remote.location().join(&name(file)).to_string().into();
                let message = "the file was written but is gone: another run removed it";
                return Err(Error::Write { path, source: std::io::Error::other(message) });
            }
        }
        for file in &last {
            self.remote.upload(&name(file), &from.join(file), job.stop)?;
        }
        let there = self.remote.list(&format!("{}/{id}", place.name), job.stop)?;
        self.found().sizes.extend(there.into_iter().map(|object| (object.name, object.size)));
        Ok(())
    }

    /// Points at a run, unless another process has changed the pointer since the last pull.
    pub(super) fn point(&self, pointer: &Pointer) -> Result<()> {
        let content = serde_json::to_vec_pretty(pointer)
            .map_err(|e| Error::Internal(format!("a pointer: {e}")))?;
        let mut found = self.found();
        let when = found.pointer.clone().map_or(Put::Create, Put::Replace);
        // The run is complete in the store. A stop that is requested now comes too late.
        let written = self.remote.put(POINTER, &content, when, WITHIN)?;
        let path: PathBuf = self.remote.location().join(POINTER).to_string().into();
        let id = pointer.run_id.clone();
        found.pointer = Some(written.ok_or(Error::Overtaken { path, id })?);
        Ok(())
    }

    /// Removes a run. The mark goes first, so that nobody takes half of a run for a complete one.
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

    /// Removes the incomplete runs that killed processes left. Returns their number. Needs the
    /// lock.
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

/// Parses a pointer. The error says what is wrong with it.
fn parse(content: &[u8]) -> Result<Pointer, String> {
    let pointer: Result<Pointer, _> = serde_json::from_slice(content);
    let pointer = pointer.map_err(|e| format!("not a pointer: {e}"))?;
    match began(&pointer.run_id) {
        Some(_) => Ok(pointer),
        None => Err(format!("{:?} is not the id of a run", pointer.run_id)),
    }
}

/// The default work directory for an object store, among the user's caches.
pub(super) fn work_dir(url: &str) -> PathBuf {
    let variable =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches =
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let name = &digest([url])[..16];
    caches.unwrap_or_else(std::env::temp_dir).join("lacuna").join(name)
}

/// Marks a directory as the work directory for an object store, unless it holds something else.
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
            // The directory does not exist, is empty, or a run was killed before it wrote the mark.
            if fs::read_dir(root).map_or(true, |mut all| all.all(|e| e.is_ok_and(left_over))) {
                return write().map_err(|source| Error::Write { path: mark, source });
            }
            "is neither empty nor a work directory: give another --work-dir".to_owned()
        }
    };
    Err(Error::NotOurs { path: root.to_owned(), reason })
}

/// The object store of a work directory. `None` if the directory is not a work directory.
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

/// The files of a run in the order of their upload: first all others by name, then the manifest
/// and, last, the mark.
fn upload_order(mut files: Vec<String>) -> (Vec<String>, Vec<String>) {
    files.sort();
    let place = |file: &str| [MANIFEST, SUCCESS, REJECTED].iter().position(|last| *last == file);
    let (mut last, first): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| place(file).is_some());
    last.sort_by_key(|file| place(file));
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_uploaded_last() {
        let files = ["metrics.json", "_SUCCESS", "manifest.json", "exports/npy/a.npy"];
        let (first, last) = upload_order(files.map(str::to_owned).to_vec());
        assert_eq!(first, ["exports/npy/a.npy", "metrics.json"]);
        assert_eq!(last, ["manifest.json", "_SUCCESS"]);
    }
}
