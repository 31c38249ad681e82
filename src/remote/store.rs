//! Blocking access to a location in an object store.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as Failure, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, UpdateVersion, WriteMultipart,
};
use sha2::{Digest, Sha256};

use super::connect::connect;
use super::failure::io_error;
use super::object::{Object, object};
use super::wait::{Ended, asked, runtime, wait_for};
use super::{Location, Put, Wait};
use crate::error::{Error, Result};

/// Bytes per part of a download or upload.
const PART: u64 = 8 << 20;

/// Parts in transfer at the same time.
const AT_ONCE: usize = 8;

/// Time limit for aborting an upload that failed or was stopped.
const LAST: Duration = Duration::from_secs(5);

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(UpdateVersion);

/// A location in an object store.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    location: Location,
    store: Arc<dyn ObjectStore>,
    root: Path,
}

/// The direction of the transfer that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Remote {
    /// Opens a location by its URL. No request is sent yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for an invalid URL or invalid settings in the environment,
    /// [`Error::Internal`] if the runtime cannot start.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let location = Location::parse(url)?;
        let store = connect(&location, runtime()?)?;
        let root = root(&location)?;
        Ok(Self { location, store, root })
    }

    /// Opens another location in the same bucket.
    ///
    /// # Errors
    /// [`Error::Usage`] for an invalid path.
    pub(crate) fn at(&self, location: Location) -> Result<Self> {
        let root = root(&location)?;
        Ok(Self { location, store: self.store.clone(), root })
    }

    /// The location itself.
    #[must_use]
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Looks up the object `name` below this location, or the location itself if `name` is empty.
    ///
    /// Returns `None` if there is no such object.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn head<'w>(&self, name: &str, wait: impl Into<Wait<'w>>) -> Result<Option<Object>> {
        let path = self.path(name);
        if path.as_ref().is_empty() {
            return Ok(None);
        }
        let found = wait_for(wait.into(), async { Ok(self.store.head(&path).await?) });
        match found {
            Ok(meta) => Ok(Some(object(&meta, name.to_owned()))),
            Err(Ended::Failure(Failure::NotFound { .. })) => Ok(None),
            Err(ended) => Err(self.error(name, ended, Way::In)),
        }
    }

    /// Lists all objects below `under`, also those in subdirectories, sorted by name.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn list<'w>(&self, under: &str, wait: impl Into<Wait<'w>>) -> Result<Vec<Object>> {
        let prefix = self.path(under);
        let found: Result<Vec<ObjectMeta>, Ended> = wait_for(wait.into(), async {
            Ok(self.store.list(Some(&prefix)).try_collect().await?)
        });
        Ok(self.named(&found.map_err(|ended| self.error(under, ended, Way::In))?))
    }

    /// Lists the objects directly in this location, not those in subdirectories, sorted by name.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn children<'w>(&self, wait: impl Into<Wait<'w>>) -> Result<Vec<Object>> {
        let found = wait_for(wait.into(), async {
            Ok(self.store.list_with_delimiter(Some(&self.root)).await?.objects)
        });
        Ok(self.named(&found.map_err(|ended| self.error("", ended, Way::In))?))
    }

    /// Whether this location contains anything but objects with the names in `but`.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn is_used<'w>(&self, but: &[&str], wait: impl Into<Wait<'w>>) -> Result<bool> {
        let found = wait_for(wait.into(), async {
            Ok(self.store.list_with_delimiter(Some(&self.root)).await?)
        });
        let found = found.map_err(|ended| self.error("", ended, Way::In))?;
        let others = self.named(&found.objects);
        Ok(!found.common_prefixes.is_empty() || others.iter().any(|o| !but.contains(&&*o.name)))
    }

    /// Objects with their names relative to this location, sorted by name.
    fn named(&self, found: &[ObjectMeta]) -> Vec<Object> {
        let name = |meta: &ObjectMeta| {
            let parts: Vec<_> = meta.location.prefix_match(&self.root)?.collect();
            let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            Some(parts.join("/")).filter(|name| !name.is_empty())
        };
        let mut objects: Vec<Object> =
            found.iter().filter_map(|meta| Some(object(meta, name(meta)?))).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        objects
    }

    /// Reads the content and the version of a small object; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn get<'w>(
        &self,
        name: &str,
        wait: impl Into<Wait<'w>>,
    ) -> Result<Option<(Vec<u8>, Version)>> {
        let path = self.path(name);
        let found = wait_for(wait.into(), async {
            let found = self.store.get(&path).await?;
            let meta = found.meta.clone();
            let version = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
            Ok((found.bytes().await?.to_vec(), Version(version)))
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Ended::Failure(Failure::NotFound { .. })) => Ok(None),
            Err(ended) => Err(self.error(name, ended, Way::In)),
        }
    }

    /// Reads the contents of small objects, in the order of `names`; `None` for a missing object.
    ///
    /// # Errors
    /// [`Error::Read`] if access is refused, [`Error::Unreachable`], [`Error::Stopped`].
    pub(crate) fn get_all<'w>(
        &self,
        names: &[String],
        wait: impl Into<Wait<'w>>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let whole = |path: Path| async move { self.store.get(&path).await?.bytes().await };
        let get = |path: Path| async move {
            match whole(path).await {
                Ok(content) => Ok(Some(content.to_vec())),
                Err(Failure::NotFound { .. }) => Ok(None),
                Err(failure) => Err(failure),
            }
        };
        let paths: Vec<Path> = names.iter().map(|name| self.path(name)).collect();
        let found: Result<Vec<_>, Ended> = wait_for(wait.into(), async {
            Ok(futures::stream::iter(paths).map(get).buffered(2 * AT_ONCE).try_collect().await?)
        });
        found.map_err(|ended| self.error("", ended, Way::In))
    }

    /// Downloads an object to a file and returns its SHA-256.
    ///
    /// The parts are downloaded in parallel. `progress` receives the number of bytes so far.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Unreachable`], [`Error::Format`] if the object has changed since
    /// it was found; [`Error::Write`] for the file, under the name that is passed with it;
    /// [`Error::Stopped`].
    pub(crate) fn fetch(
        &self,
        object: &Object,
        mut file: &File,
        named: &FilePath,
        stop: &AtomicBool,
        progress: &dyn Fn(u64),
    ) -> Result<[u8; 32]> {
        let unwritable = |source| Error::Write { path: named.to_owned(), source };
        let path = self.path(&object.name);
        let starts = (0..object.size).step_by(PART as usize);
        let etag = object.compared.then(|| object.etag.clone());
        let part = |start: u64| {
            let range = GetRange::Bounded(start..(start + PART).min(object.size));
            let options =
                GetOptions { range: Some(range), if_match: etag.clone(), ..GetOptions::default() };
            let path = path.clone();
            async move { self.store.get_opts(&path, options).await?.bytes().await }
        };
        let (mut hash, mut done) = (Sha256::new(), 0);
        let fetched = wait_for(stop.into(), async {
            let mut parts = futures::stream::iter(starts).map(part).buffered(AT_ONCE);
            while let Some(bytes) = parts.try_next().await? {
                hash.update(&bytes);
                file.write_all(&bytes)?;
                done += bytes.len() as u64;
                progress(done);
            }
            Ok(())
        });
        let changed = || {
            let message = "the object changed while it was read; run again".to_owned();
            Error::Format { path: self.shown(&object.name), message }
        };
        fetched.map_err(|ended| match ended {
            Ended::Io(source) => unwritable(source),
            Ended::Failure(Failure::Precondition { .. }) => changed(),
            ended => self.error(&object.name, ended, Way::In),
        })?;
        if done != object.size {
            return Err(changed());
        }
        Ok(hash.finalize().into())
    }

    /// Writes a small object if the condition holds and returns its version; otherwise `None`.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Stopped`].
    pub(crate) fn put<'w>(
        &self,
        name: &str,
        content: &[u8],
        when: Put,
        wait: impl Into<Wait<'w>>,
    ) -> Result<Option<Version>> {
        let (path, wait) = (self.path(name), wait.into());
        // A write may succeed although its answer is lost. A retry then finds our own content.
        let ours = || match self.get(name, wait) {
            Ok(Some((there, version))) if there == content => Some(version),
            _ => None,
        };
        let mode = match when {
            Put::Always => PutMode::Overwrite,
            Put::Create => PutMode::Create,
            Put::Replace(Version(version)) => PutMode::Update(version),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let payload = PutPayload::from(content.to_vec());
        let written =
            wait_for(wait, async { Ok(self.store.put_opts(&path, payload, options).await?) });
        match written {
            Ok(written) => Ok(Some(Version(written.into()))),
            Err(Ended::Failure(Failure::AlreadyExists { .. } | Failure::Precondition { .. })) => {
                Ok(ours())
            }
            Err(Ended::Stopped) => Err(Error::Stopped),
            Err(ended) => match ours() {
                Some(version) => Ok(Some(version)),
                None => Err(self.error(name, ended, Way::Out)),
            },
        }
    }

    /// Uploads a file as an object.
    ///
    /// A large file is sent in parallel parts, and the object appears once all parts have arrived.
    ///
    /// # Errors
    /// [`Error::Read`] for the file, [`Error::Write`], [`Error::Stopped`].
    pub(crate) fn upload(&self, name: &str, from: &FilePath, stop: &AtomicBool) -> Result<()> {
        let unreadable = |source| Error::Read { path: from.to_owned(), source };
        let mut file = File::open(from).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let path = self.path(name);
        if size <= PART {
            let mut content = Vec::with_capacity(size as usize);
            file.read_to_end(&mut content).map_err(unreadable)?;
            return self.put(name, &content, Put::Always, stop).map(|_| ());
        }
        let forever = AtomicBool::new(false);
        let sent = wait_for((&forever).into(), async {
            let parts = self.store.put_multipart(&path).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(parts, PART as usize);
            let outcome = tokio::select! {
                biased;
                () = asked(stop) => Err(Ended::Stopped),
                outcome = send(&mut upload, &mut file) => outcome,
            };
            if let Err(ended) = outcome {
                // The parts that were sent are not an object yet, but they would be billed.
                let _ = tokio::time::timeout(LAST, upload.abort()).await;
                return Err(ended);
            }
            upload.finish().await?;
            Ok(())
        });
        sent.map_err(|ended| match ended {
            Ended::Io(source) => unreadable(source),
            ended => self.error(name, ended, Way::Out),
        })
    }

    /// Removes objects; a missing object is not an error.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn remove<'w>(&self, names: &[String], wait: impl Into<Wait<'w>>) -> Result<()> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let removed = wait_for(wait.into(), async {
            let paths = futures::stream::iter(paths).boxed();
            let mut removed = self.store.delete_stream(paths);
            while let Some(outcome) = removed.next().await {
                match outcome {
                    Ok(_) | Err(Failure::NotFound { .. }) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
            Ok(())
        });
        removed.map_err(|ended| self.error(names.first().map_or("", |n| n), ended, Way::Out))
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.root.clone(), |path, part| {
            // The parts of a name came from the store in this form or are our own.
            path.join(object_store::path::PathPart::parse(part).unwrap_or_else(|_| part.into()))
        })
    }

    fn shown(&self, name: &str) -> PathBuf {
        match name {
            "" => self.location.to_string().into(),
            name => self.location.join(name).to_string().into(),
        }
    }

    fn error(&self, name: &str, ended: Ended, way: Way) -> Error {
        let path = self.shown(name);
        let source = match ended {
            Ended::Stopped => return Error::Stopped,
            // A timeout, for example. Callers report I/O errors of a local file under its own name.
            Ended::Io(source) => source,
            Ended::Failure(failure) => io_error(&failure),
        };
        let refused = [ErrorKind::NotFound, ErrorKind::PermissionDenied].contains(&source.kind());
        match way {
            Way::In if refused => Error::Read { path, source },
            Way::In => Error::Unreachable { path, source },
            Way::Out => Error::Write { path, source },
        }
    }
}

fn root(location: &Location) -> Result<Path> {
    let root = Path::parse(&location.key);
    root.map_err(|e| Error::Usage(format!("{location}: {e}")))
}

/// Uploads a file part by part.
async fn send(upload: &mut WriteMultipart, file: &mut File) -> Result<(), Ended> {
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(()),
            n => upload.write(&part[..n]),
        }
        upload.wait_for_capacity(AT_ONCE).await?;
    }
}

#[cfg(test)]
pub(super) mod tests;
