//! A place in an object store, for callers that wait.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error as Failure, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion, WriteMultipart,
};
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

use super::credentials::Profile;
use super::location::Service;
use super::{Location, Put, redact};
use crate::error::{Error, Result};

/// Bytes asked for, or sent, at a time.
const PART: u64 = 8 << 20;

/// Parts on their way at once.
const AT_ONCE: usize = 8;

/// How often it is looked whether a stop was asked for.
const LOOK: Duration = Duration::from_millis(50);

/// Waits between attempts end after this long.
const RETRY: Duration = Duration::from_secs(60);

/// Where the waiting is done; one for the whole program.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build());

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(UpdateVersion);

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its path, from the place that was searched.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What changes when its content does.
    pub etag: String,
    /// Seconds since 1970 when it was written.
    pub modified: i64,
    /// Whether the store itself can compare the etag.
    compared: bool,
}

/// A place in an object store.
#[derive(Debug, Clone)]
pub struct Remote {
    location: Location,
    store: Arc<dyn ObjectStore>,
    root: Path,
}

/// What ended a wait.
enum Ended {
    Failure(Failure),
    Io(io::Error),
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Which way bytes went when something failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Remote {
    /// A place by its URL. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no such URL, or settings in the environment that make no sense.
    pub fn open(url: &str) -> Result<Self> {
        let location = Location::parse(url)?;
        let runtime = runtime()?;
        let wrong = |message: String| Error::Usage(format!("{location}: {message}"));
        let root = Path::parse(&location.key).map_err(|e| wrong(e.to_string()))?;
        let retry = RetryConfig { max_retries: 6, retry_timeout: RETRY, ..RetryConfig::default() };
        let client = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(10))
            .with_timeout(Duration::from_secs(120));
        let bucket = location.bucket.clone();
        let store: Result<Arc<dyn ObjectStore>, Failure> = match location.service {
            Service::S3 => {
                let profile = runtime.block_on(Profile::load());
                amazon(&bucket, profile, client, retry).map(|store| Arc::new(store) as _)
            }
            Service::Google => GoogleCloudStorageBuilder::from_env()
                .with_url(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _),
            Service::Azure => MicrosoftAzureBuilder::from_env()
                .with_url(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _),
            #[cfg(test)]
            Service::Memory => Ok(tests::memory(&location.bucket)),
        };
        let store = store.map_err(|e| wrong(redact(&e.to_string())))?;
        Ok(Self { location, store, root })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The object of a name under this place; the place itself by "".
    ///
    /// # Errors
    /// [`Error::Read`] if the store cannot be asked.
    pub fn head(&self, name: &str) -> Result<Option<Object>> {
        let path = self.path(name);
        if path.as_ref().is_empty() {
            return Ok(None);
        }
        let found = Self::wait(None, async { Ok(self.store.head(&path).await?) });
        match found {
            Ok(meta) => Ok(Some(object(&meta, name.to_owned()))),
            Err(Ended::Failure(Failure::NotFound { .. })) => Ok(None),
            Err(ended) => Err(self.error(name, ended, Way::In)),
        }
    }

    /// All objects under a name, by name, those in directories below it, too.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Stopped`].
    pub fn list(&self, under: &str, stop: &AtomicBool) -> Result<Vec<Object>> {
        let prefix = self.path(under);
        let found: Result<Vec<ObjectMeta>, Ended> = Self::wait(Some(stop), async {
            Ok(self.store.list(Some(&prefix)).try_collect().await?)
        });
        Ok(self.named(&found.map_err(|ended| self.error(under, ended, Way::In))?))
    }

    /// The objects in this place itself, by name, not those in directories below it.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Stopped`].
    pub fn children(&self, stop: &AtomicBool) -> Result<Vec<Object>> {
        let found = Self::wait(Some(stop), async {
            Ok(self.store.list_with_delimiter(Some(&self.root)).await?.objects)
        });
        Ok(self.named(&found.map_err(|ended| self.error("", ended, Way::In))?))
    }

    /// Objects by their names under this place.
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

    /// The content of a small object, and its version.
    ///
    /// # Errors
    /// [`Error::Read`] if the store cannot be asked.
    pub fn get(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>> {
        let path = self.path(name);
        let found = Self::wait(None, async {
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

    /// The contents of small objects, in their order.
    ///
    /// # Errors
    /// [`Error::Read`], also if one is not there; [`Error::Stopped`].
    pub fn get_all(&self, names: &[String], stop: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        let get = |path: Path| async move { self.store.get(&path).await?.bytes().await };
        let paths: Vec<Path> = names.iter().map(|name| self.path(name)).collect();
        let found: Result<Vec<_>, Ended> = Self::wait(Some(stop), async {
            Ok(futures::stream::iter(paths).map(get).buffered(2 * AT_ONCE).try_collect().await?)
        });
        let found = found.map_err(|ended| self.error("", ended, Way::In))?;
        Ok(found.iter().map(|bytes| bytes.to_vec()).collect())
    }

    /// Writes the content of an object to a file, in parts that come at the same time; its SHA-256.
    ///
    /// # Errors
    /// [`Error::Read`], also if it is not the object that was found any more; [`Error::Write`] for the file;
    /// [`Error::Stopped`].
    pub fn fetch(&self, object: &Object, to: &FilePath, stop: &AtomicBool) -> Result<[u8; 32]> {
        let unwritable = |source| Error::Write { path: to.to_owned(), source };
        let mut file = File::create(to).map_err(unwritable)?;
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
        let mut hash = Sha256::new();
        let fetched = Self::wait(Some(stop), async {
            let mut parts = futures::stream::iter(starts).map(part).buffered(AT_ONCE);
            while let Some(bytes) = parts.try_next().await? {
                hash.update(&bytes);
                file.write_all(&bytes)?;
            }
            Ok(())
        });
        fetched.map_err(|ended| match ended {
            Ended::Io(source) => unwritable(source),
            Ended::Failure(Failure::Precondition { .. }) => {
                let message = "the object changed while it was read; run again".to_owned();
                Error::Format { path: self.shown(&object.name), message }
            }
            ended => self.error(&object.name, ended, Way::In),
        })?;
        Ok(hash.finalize().into())
    }

    /// Writes a small object, if the condition holds; its version, none where it does not hold.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn put(&self, name: &str, content: &[u8], when: Put) -> Result<Option<Version>> {
        let path = self.path(name);
        let mode = match when {
            Put::Always => PutMode::Overwrite,
            Put::Create => PutMode::Create,
            Put::Replace(Version(version)) => PutMode::Update(version),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let payload = PutPayload::from(content.to_vec());
        let written =
            Self::wait(None, async { Ok(self.store.put_opts(&path, payload, options).await?) });
        match written {
            Ok(written) => Ok(Some(Version(written.into()))),
            Err(Ended::Failure(Failure::AlreadyExists { .. } | Failure::Precondition { .. })) => {
                Ok(None)
            }
            Err(ended) => Err(self.error(name, ended, Way::Out)),
        }
    }

    /// Writes a file as an object; a large one in parts that go at the same time, which is seen when all are
    /// there.
    ///
    /// # Errors
    /// [`Error::Read`] for the file, [`Error::Write`], [`Error::Stopped`].
    pub fn upload(&self, name: &str, from: &FilePath, stop: &AtomicBool) -> Result<()> {
        let unreadable = |source| Error::Read { path: from.to_owned(), source };
        let mut file = File::open(from).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let path = self.path(name);
        if size <= PART {
            let mut content = Vec::with_capacity(size as usize);
            file.read_to_end(&mut content).map_err(unreadable)?;
            return self.put(name, &content, Put::Always).map(|_| ());
        }
        let sent = Self::wait(Some(stop), async {
            let parts = self.store.put_multipart(&path).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(parts, PART as usize);
            let outcome = send(&mut upload, &mut file, stop).await;
            if let Err(ended) = outcome {
                // What was sent is no object yet; the store keeps it no longer than its rules say.
                let _ = upload.abort().await;
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

    /// Removes objects; one that is not there is none less.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove(&self, names: &[String]) -> Result<()> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let removed = Self::wait(None, async {
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
            // The parts of names are as they came from the store or are our own.
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
            Ended::Io(source) => source,
            Ended::Failure(failure) => {
                let kind = match failure {
                    Failure::NotFound { .. } => ErrorKind::NotFound,
                    Failure::PermissionDenied { .. } | Failure::Unauthenticated { .. } => {
                        ErrorKind::PermissionDenied
                    }
                    _ => ErrorKind::Other,
                };
                io::Error::new(kind, explain(&failure))
            }
        };
        match way {
            Way::In => Error::Read { path, source },
            Way::Out => Error::Write { path, source },
        }
    }

    /// Waits for an outcome, or until a stop is asked for.
    fn wait<T>(
        stop: Option<&AtomicBool>,
        work: impl Future<Output = Result<T, Ended>>,
    ) -> Result<T, Ended> {
        let runtime = RUNTIME.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
        let stopped = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                    return;
                }
            }
        };
        runtime.block_on(async {
            tokio::select! {
                outcome = work => outcome,
                () = stopped => Err(Ended::Stopped),
            }
        })
    }
}

fn runtime() -> Result<&'static Runtime> {
    RUNTIME.as_ref().map_err(|e| Error::Internal(format!("no threads for the network: {e}")))
}

/// Amazon's builder, with the chain of credentials of Amazon's own tools.
fn amazon(
    bucket: &str,
    profile: Profile,
    client: ClientOptions,
    retry: RetryConfig,
) -> Result<object_store::aws::AmazonS3, Failure> {
    let builder = AmazonS3Builder::from_env();
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key).filter(|value| !value.is_empty()))
        .or(profile.endpoint);
    // Who names a server without encryption means it.
    let plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let mut builder = builder
        .with_url(bucket)
        .with_client_options(client.with_allow_http(plain))
        .with_retry(retry);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = profile.region {
        builder = builder.with_region(region);
    }
    if let Some(chain) = profile.chain {
        builder = builder.with_credentials(chain);
    }
    builder.build()
}

/// Sends a file part by part.
async fn send(
    upload: &mut WriteMultipart,
    file: &mut File,
    stop: &AtomicBool,
) -> Result<(), Ended> {
    let mut part = vec![0; 1 << 20];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Ended::Stopped);
        }
        match file.read(&mut part)? {
            0 => return Ok(()),
            n => upload.write(&part[..n]),
        }
        upload.wait_for_capacity(AT_ONCE).await?;
    }
}

fn object(meta: &ObjectMeta, name: String) -> Object {
    let modified = meta.last_modified.timestamp();
    // Without an etag, what is known of the object.
    let compared = meta.e_tag.is_some();
    let etag = meta.e_tag.clone().unwrap_or_else(|| format!("{modified}/{}", meta.size));
    Object { name, size: meta.size, etag, modified, compared }
}

/// A failure in one line, without secrets.
fn explain(failure: &Failure) -> String {
    let text = match failure {
        Failure::NotFound { .. } => return "no such object (or bucket)".into(),
        Failure::PermissionDenied { source, .. } => {
            format!("access is denied: {}", chain(&**source))
        }
        Failure::Unauthenticated { path, source } => {
            format!("credentials are missing or not accepted: {path}: {}", chain(&**source))
        }
        Failure::NotImplemented { .. } | Failure::NotSupported { .. } => {
            format!("the store cannot write on a condition, which publishing needs: {failure}")
        }
        Failure::Generic { source, .. } => chain(&**source),
        other => other.to_string(),
    };
    let text = redact(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    // What a server says is XML around one sentence.
    let said = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
    };
    match (said("Code"), said("Message")) {
        (Some(code), Some(message)) => format!("{} ({code})", message.trim_end_matches('.')),
        _ => text,
    }
}

/// An error and its causes that it does not name itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use object_store::memory::InMemory;

    use super::*;

    /// Stores in memory by name, which all of a test's parts see.
    pub(super) fn memory(name: &str) -> Arc<dyn ObjectStore> {
        static ALL: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
        let mut all = ALL.lock().expect("no test failed within");
        all.entry(name.to_owned()).or_default().clone()
    }

    #[test]
    fn objects_are_written_read_listed_and_removed() {
        let remote = Remote::open("memory://store/base").expect("memory");
        let stop = AtomicBool::new(false);
        assert_eq!(remote.head("a").ok(), Some(None));
        assert!(remote.get("a").expect("asked").is_none());
        let first = remote.put("a", b"one", Put::Create).expect("put").expect("created");
        assert!(remote.put("a", b"two", Put::Create).expect("put").is_none());
        let second = remote.put("a", b"two", Put::Replace(first.clone())).expect("put");
        assert!(second.is_some());
        assert!(remote.put("a", b"three", Put::Replace(first)).expect("put").is_none());
        assert_eq!(
            remote.get("a").expect("get").map(|(content, _)| content),
            Some(b"two".to_vec())
        );
        remote.put("b/c", b"", Put::Always).expect("put");
        let names = |under| -> Vec<String> {
            let found = remote.list(under, &stop).expect("list");
            found.into_iter().map(|object| object.name).collect()
        };
        assert_eq!(names(""), ["a", "b/c"]);
        assert_eq!(names("b"), ["b/c"]);
        let children = remote.children(&stop).expect("list");
        assert_eq!(children.iter().map(|object| &*object.name).collect::<Vec<_>>(), ["a"]);
        let all = remote.get_all(&["b/c".into(), "a".into()], &stop).expect("both");
        assert_eq!(all, [b"".to_vec(), b"two".to_vec()]);
        remote.remove(&["a".into(), "none".into()]).expect("removed");
        assert_eq!(names(""), ["b/c"]);
        let missing =
            remote.get_all(&["a".into()], &stop).map_err(|e| (e.exit_code(), e.to_string()));
        assert!(
            missing.is_err_and(|(code, text)| code == 3 && text.contains("memory://store/base"))
        );
    }

    #[test]
    fn large_files_go_and_come_in_parts() {
        let remote = Remote::open("memory://large").expect("memory");
        let stop = AtomicBool::new(false);
        let content: Vec<u8> = (0..3 * PART as usize + 17).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&content).expect("written");
        remote.upload("deep/file", file.path(), &stop).expect("sent");
        let object = remote.head("deep/file").expect("asked").expect("there");
        assert_eq!(object.size, content.len() as u64);
        let copy = tempfile::NamedTempFile::new().expect("a file");
        let sha256 = remote.fetch(&object, copy.path(), &stop).expect("fetched");
        assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&content)));
        assert_eq!(std::fs::read(copy.path()).expect("read"), content);
        // Another object under the same name is not mixed into the first.
        remote.put("deep/file", &content[1..], Put::Always).expect("put");
        let changed = remote.fetch(&object, copy.path(), &stop);
        assert!(changed.is_err_and(|e| e.to_string().contains("changed while it was read")));
        stop.store(true, Ordering::Relaxed);
        let stopped = remote.upload("other", file.path(), &stop);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        assert_eq!(remote.head("other").ok(), Some(None));
    }

    #[test]
    fn failures_are_one_line_without_secrets() {
        let failure = Failure::Generic {
            store: "S3",
            source: "GET\n  https://account.blob/x?sv=1&sig=secret   failed".into(),
        };
        assert_eq!(explain(&failure), "GET https://account.blob/x?... failed");
        let answer = "404 <Error>\n<Code>NoSuchBucket</Code><Message>It is not there.</Message></Error>";
        let failure = Failure::Generic { store: "S3", source: answer.into() };
        assert_eq!(explain(&failure), "It is not there (NoSuchBucket)");
    }
}
