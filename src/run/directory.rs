//! The directory of all runs: complete runs, the published run, runs in progress. The module
//! `places` lists its files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::copy::name_source;
use super::lock::Lock;
use super::mirror::{self, Mirror, Pulled};
use super::places::{
    CHECKPOINTS, LATEST, LOCK, OWN, POINTER, Place, Pointer, REJECTS, RUNS, TEMPORARY, ids,
    readable, relative,
};
use super::run_id::{began, timestamp};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::hex;
use crate::remote::is_url;
use crate::store::{MANIFEST, OutDir, OutputEntry, SUCCESS, listed_outputs};

/// A directory of runs.
#[derive(Debug)]
pub(super) struct RunDirectory {
    root: PathBuf,
    /// The object store, if this is a local work directory for one.
    mirror: Option<Mirror>,
    /// The temporary directory that holds the copies, if an object store is only read.
    _temporary: Option<TempDir>,
}

impl RunDirectory {
    /// Opens a directory of runs and creates it if needed. `work_dir` is the local work directory
    /// if `output` is in an object store.
    pub(super) fn create(output: &Path, work_dir: Option<&Path>) -> Result<Self> {
        let Some(url) = output.to_str().filter(|output| is_url(output)) else {
            if let Some(of) = mirror::of(output) {
                let reason = format!("is the work directory of {of}");
                return Err(Error::NotOurs { path: output.to_owned(), reason });
            }
            return Self::create_local(output);
        };
        let mirror = Mirror::open(url)?;
        let url = mirror.remote().location().to_string();
        let root = work_dir.map_or_else(|| mirror::work_dir(&url), Path::to_owned);
        mirror::claim(&root, &url)?;
        let this = Self::create_local(&root)?;
        Ok(Self { mirror: Some(mirror), ..this })
    }

    fn create_local(root: &Path) -> Result<Self> {
        let this = Self { root: root.to_owned(), mirror: None, _temporary: None };
        if root.join(MANIFEST).exists() {
            let reason = "is a model, not a directory of runs".to_owned();
            return Err(Error::NotOurs { path: root.to_owned(), reason });
        }
        let ours = root.join(LOCK).is_file() || mirror::of(root).is_some();
        let empty = fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none());
        if !ours && !empty {
            let reason = "is neither empty nor a directory of runs".to_owned();
            return Err(Error::NotOurs { path: root.to_owned(), reason });
        }
        if !root.join(LOCK).is_file() {
            // The lock file comes first: it identifies the directory even if this run is killed
            // now.
            let lock = root.join(LOCK);
            let made = fs::create_dir_all(root).and_then(|()| File::create(&lock));
            made.map_err(|source| Error::Write { path: lock, source })?;
        }
        let latest = root.join(LATEST);
        if latest.exists() && !latest.is_symlink() {
            let reason =
                "is not a link (was the directory copied without links? then remove it)".to_owned();
            return Err(Error::NotOurs { path: latest, reason });
        }
        for name in [RUNS, REJECTS, TEMPORARY, CHECKPOINTS] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
        Ok(this)
    }

    /// Opens an existing directory of runs for reading.
    pub(super) fn open(root: &Path, job: &Job<'_>) -> Result<Self> {
        Self::look(root, job)?.ok_or_else(|| {
            let message = "not a directory of runs (lacuna run --output DIR makes one)".to_owned();
            Error::Model { path: root.to_owned(), message }
        })
    }

    /// Opens a directory of runs for reading, if there is one.
    pub(super) fn look(root: &Path, job: &Job<'_>) -> Result<Option<Self>> {
        let Some(url) = root.to_str().filter(|root| is_url(root)) else {
            let there =
                root.join(RUNS).is_dir() && root.join(LOCK).is_file() && mirror::of(root).is_none();
            let this = || Self { root: root.to_owned(), mirror: None, _temporary: None };
            return Ok(there.then(this));
        };
        let mirror = Some(Mirror::open(url)?);
        let temporary = TempDir::with_prefix("lacuna-");
        let temporary = temporary
            .map_err(|source| Error::Write { path: "the temporary directory".into(), source })?;
        let this = Self::create_local(temporary.path())?;
        let this = Self { mirror, _temporary: Some(temporary), ..this };
        Ok(this.pull(job)?.then_some(this))
    }

    /// Takes the lock; see [`Lock::take`].
    pub(super) fn lock(
        &self,
        run_id: &str,
        wait: Duration,
        job: &Job<'_>,
        waits: &dyn Fn(&str),
    ) -> Result<Lock> {
        let remote = self.mirror.as_ref().map(Mirror::remote);
        Lock::take(&self.root, remote, run_id, wait, job, waits)
    }

    /// Updates the local copies from the object store, if there is one. Returns false if the store
    /// holds no runs.
    pub(super) fn pull(&self, job: &Job<'_>) -> Result<bool> {
        let Some(mirror) = &self.mirror else { return Ok(true) };
        let here = Place::BOTH.map(|place| self.complete(place).into_iter().collect());
        let Pulled { any, gone, new, pointer } = mirror.pull(&here, job)?;
        for (place, id) in gone {
            let path = self.root.join(place.name).join(id);
            fs::remove_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
        for run in new {
            self.adopt(run.place, &run.id, &run.files)?;
        }
        self.follow(pointer.as_ref())?;
        Ok(any)
    }

    /// Checks that the published run is known. In an object store, the pointer may be damaged.
    pub(super) fn check_pointer(&self) -> Result<()> {
        self.mirror.as_ref().map_or(Ok(()), Mirror::check_pointer)
    }

    /// Marks a place in an object store as a directory of runs, unless it holds something else.
    /// Needs the lock.
    pub(super) fn claim(&self, job: &Job<'_>) -> Result<()> {
        self.mirror.as_ref().map_or(Ok(()), |mirror| mirror.claim(job))
    }

    /// Copies the wanted files of a run from the object store, if there is one.
    pub(super) fn fetch(
        &self,
        id: &str,
        wanted: &dyn Fn(&str) -> bool,
        job: &Job<'_>,
    ) -> Result<()> {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        mirror.fetch(id, &self.run(id), &self.temporary(), wanted, job)
    }

    /// Replaces the local copy of a run with only its manifest and mark from the object store.
    /// Returns false if there is no object store or the run is not in it.
    pub(super) fn forget(&self, id: &str, job: &Job<'_>) -> Result<bool> {
        let Some(mirror) = &self.mirror else { return Ok(false) };
        let Some(files) = mirror.head_of(id, job)? else { return Ok(false) };
        self.adopt(Place::RUNS, id, &files)?;
        Ok(true)
    }

    /// Makes an error name the object in the store and not its local copy.
    pub(super) fn named(&self, error: Error) -> Error {
        let Some(mirror) = &self.mirror else { return error };
        name_source(error, &self.root, &mirror.remote().location().to_string())
    }

    /// The path or URL of a run, as readers see it.
    pub(super) fn shown(&self, place: Place, id: &str) -> PathBuf {
        match &self.mirror {
            Some(mirror) => {
                mirror.remote().location().join(&format!("{}/{id}", place.name)).to_string().into()
            }
            None => self.root.join(place.name).join(id),
        }
    }

    /// Moves a finished run to its place. Returns its path or URL, as readers see it.
    pub(super) fn publish(
        &self,
        out: OutDir,
        place: Place,
        id: &str,
        lock: &Lock,
        job: &Job<'_>,
    ) -> Result<PathBuf> {
        if let Some(mirror) = &self.mirror {
            mirror.push(&out.file(""), place, id, lock, job)?;
        }
        out.publish_as(&self.root.join(place.name).join(id))?;
        Ok(self.shown(place, id))
    }

    /// Creates the local copy of a run that is complete in the object store, with the specified
    /// files.
    fn adopt(&self, place: Place, id: &str, files: &[(&str, Vec<u8>)]) -> Result<()> {
        let target = self.root.join(place.name).join(id);
        let adopt = || -> io::Result<()> {
            let aside = TempDir::with_prefix_in(OWN, self.temporary())?;
            for (name, content) in files {
                fs::write(aside.path().join(name), content)?;
            }
            // This is an incomplete copy that a killed process left, or a copy that is to be
            // replaced.
            let _ = fs::remove_dir_all(&target);
            fs::rename(aside.path(), &target)
        };
        adopt().map_err(|source| Error::Write { path: target.clone(), source })
    }

    /// Points `latest` at the run that the object store points at.
    fn follow(&self, pointer: Option<&Pointer>) -> Result<()> {
        match pointer {
            Some(pointer) => self.point_local(pointer),
            None => {
                for name in [LATEST, POINTER] {
                    let _ = fs::remove_file(self.root.join(name));
                }
                Ok(())
            }
        }
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.root.join(CHECKPOINTS)
    }

    pub(super) fn run(&self, id: &str) -> PathBuf {
        self.root.join(RUNS).join(id)
    }

    pub(super) fn rejected(&self, id: &str) -> PathBuf {
        self.root.join(REJECTS).join(id)
    }

    /// The id of the published run.
    pub(super) fn latest(&self) -> Option<String> {
        let link = fs::read_link(self.root.join(LATEST)).ok();
        let linked = link.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        linked.or_else(|| self.pointer().map(|pointer| pointer.run_id))
    }

    /// The pointer to the published run.
    pub(super) fn pointer(&self) -> Option<Pointer> {
        serde_json::from_slice(&fs::read(self.root.join(POINTER)).ok()?).ok()
    }

    /// The ids of the complete published runs, oldest first.
    pub(super) fn runs(&self) -> Vec<String> {
        self.complete(Place::RUNS)
    }

    /// The ids of the rejected runs, oldest first.
    pub(super) fn rejects(&self) -> Vec<String> {
        self.complete(Place::REJECTS)
    }

    /// The ids of the complete runs in a place, oldest first.
    fn complete(&self, place: Place) -> Vec<String> {
        ids(&self.root.join(place.name), place.mark)
    }

    /// Removes a run. Returns whether it is gone.
    pub(super) fn remove(&self, place: Place, id: &str, job: &Job<'_>) -> bool {
        if let Some(mirror) = &self.mirror
            && mirror.remove(place, id, job).is_err()
        {
            return false;
        }
        let from = self.root.join(place.name).join(id);
        // The run is moved away first, so that nobody sees half of a run.
        let aside = self.temporary().join(format!("{id}.old"));
        let gone = fs::rename(&from, &aside).is_ok();
        // The next run removes anything that is left.
        let _ = fs::remove_dir_all(&aside);
        gone
    }

    /// Removes the unfinished files of killed runs. Returns the number of these runs. Needs the
    /// lock.
    pub(super) fn sweep(&self, job: &Job<'_>) -> Result<usize> {
        let there = self.mirror.as_ref().map_or(Ok(0), |mirror| mirror.sweep(job))?;
        Ok(there + self.sweep_local())
    }

    fn sweep_local(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.temporary()) else { return 0 };
        let ours = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            name.starts_with(OWN) || began(name).is_some()
        };
        let (mut runs, own) = (0, entries.flatten().filter(ours));
        for entry in own {
            let path = entry.path();
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => runs += usize::from(fs::remove_dir_all(path).is_ok()),
                // A file that cannot be removed only takes up space.
                false => drop(fs::remove_file(path)),
            }
        }
        runs
    }

    /// Whether a run has its mark and every file that its manifest lists, with the right size.
    pub(super) fn is_complete(&self, id: &str) -> bool {
        if let Some(mirror) = &self.mirror {
            return mirror.is_complete(&self.run(id), id);
        }
        let path = self.run(id);
        let whole = |entry: &OutputEntry| {
            fs::metadata(path.join(&entry.path)).is_ok_and(|file| file.len() == entry.bytes)
        };
        let outputs = listed_outputs(&path);
        path.join(SUCCESS).is_file() && outputs.is_ok_and(|(_, outputs)| outputs.iter().all(whole))
    }

    /// Makes `latest` and `latest.json` point at the same run again. Needs the lock.
    ///
    /// They differ if a run was killed between the two writes or one of the two was removed.
    /// Returns whether they differed.
    pub(super) fn reconcile(&self) -> Result<bool> {
        let Some(id) = self.latest() else { return Ok(false) };
        let linked = fs::read_link(self.root.join(LATEST)).is_ok();
        let pointed = self.pointer().is_some_and(|pointer| pointer.run_id == id);
        let Ok(manifest) = fs::read(self.run(&id).join(MANIFEST)) else { return Ok(false) };
        if linked && pointed {
            return Ok(false);
        }
        let manifest_sha256 = hex(&Sha256::digest(&manifest));
        let promoted_at = timestamp();
        let rolled_back = self.pointer().map(|pointer| pointer.rolled_back).unwrap_or_default();
        let path = relative(&id);
        self.point(&Pointer { path, run_id: id, manifest_sha256, promoted_at, rolled_back })?;
        Ok(true)
    }

    /// Points `latest` at a run. The link and the file `latest.json` are each replaced in one step.
    pub(super) fn point(&self, pointer: &Pointer) -> Result<()> {
        if let Some(mirror) = &self.mirror {
            mirror.point(pointer)?;
        }
        self.point_local(pointer)
    }

    fn point_local(&self, pointer: &Pointer) -> Result<()> {
        let path = self.root.join(LATEST);
        let link = || -> io::Result<()> {
            // The name is unique to the run, so that a link left by another run does not matter.
            let temporary = self.temporary().join(format!("{}.link", pointer.run_id));
            let _ = fs::remove_file(&temporary);
            std::os::unix::fs::symlink(&pointer.path, &temporary)?;
            let mut file = NamedTempFile::with_prefix_in(OWN, self.temporary())?;
            let text = serde_json::to_string_pretty(pointer).map_err(io::Error::other)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            readable(file.as_file())?;
            // Both are ready now. If this run is killed between the two, the next run repairs it.
            fs::rename(&temporary, &path)?;
            file.persist(self.root.join(POINTER)).map_err(|e| e.error)?;
            File::open(&self.root)?.sync_all()
        };
        link().map_err(|source| Error::Write { path: path.clone(), source })
    }
}
