//! From arguments to byte streams: files, directories, globs, standard input; gzip, zstd, zip.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::object::{self, Fetched, ObjectSource};
use super::zip_member;
use crate::error::{Error, Result};
use crate::remote::{check_slashes, is_url};

/// One input before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file and its size.
    File(PathBuf, u64),
    /// Something that can only be read once: a named pipe, a device.
    Stream(PathBuf),
    /// Standard input.
    Stdin,
    /// An object of a store.
    Object(Box<ObjectSource>),
}

/// Endings of the files that a directory is searched for.
const ENDINGS: [&str; 7] = ["csv", "tsv", "dat", "data", "parquet", "txt", "zip"];

/// Turns arguments into inputs: `-`, files, directories (their rating files, by path), globs.
///
/// # Errors
/// [`Error::Stopped`]; [`Error::Read`] for a path that does not exist, [`Error::Format`] for a directory or pattern
/// without rating files, [`Error::Usage`] for `-` beside itself.
pub fn expand(arguments: &[String], stop: &AtomicBool) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        check_slashes(path)?;
        if argument == "-" {
            if sources.contains(&Source::Stdin) {
                return Err(Error::Usage("standard input (-) can be read only once".into()));
            }
            sources.push(Source::Stdin);
        } else if is_url(argument) {
            sources.extend(object::expand(argument, stop)?);
        } else if path.is_dir() {
            let found = directory(path)?;
            if found.is_empty() {
                let message =
                    "no rating files (csv, tsv, dat, data, txt, parquet, zip) in this directory";
                return Err(Error::Format { path: path.into(), message: message.into() });
            }
            sources.extend(found);
        } else if !path.exists() && argument.contains(['*', '?', '[']) {
            sources.extend(pattern(argument)?);
        } else {
            sources.push(file(path.to_owned())?);
        }
    }
    Ok(sources)
}

fn file(path: PathBuf) -> Result<Source> {
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Source::File(path, meta.len())),
        Ok(_) => Ok(Source::Stream(path)),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn directory(path: &Path) -> Result<Vec<Source>> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() && is_rating_file(&path) {
            files.push(path);
        }
    }
    files.sort();
    files.into_iter().map(file).collect()
}

pub(super) fn is_rating_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|n| n.to_string_lossy().to_lowercase()) else {
        return false;
    };
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let ending = name.rsplit_once('.').map(|(_, e)| e);
    !name.starts_with(['.', '_']) && ending.is_some_and(|e| ENDINGS.contains(&e))
}

fn pattern(argument: &str) -> Result<Vec<Source>> {
    let path = PathBuf::from(argument);
    let wrong = |message: String| Error::Format { path: path.clone(), message };
    let matches =
        glob::glob(argument).map_err(|e| wrong(format!("not a valid pattern: {}", e.msg)))?;
    let mut files: Vec<PathBuf> = matches.filter_map(|m| m.ok().filter(|p| p.is_file())).collect();
    if files.is_empty() {
        return Err(wrong("no file matches this pattern".into()));
    }
    files.sort();
    files.into_iter().map(file).collect()
}

impl Source {
    /// Size in bytes, where known beforehand.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(_, size) => Some(*size),
            Self::Object(object) => Some(object.size()),
            Self::Stream(_) | Self::Stdin => None,
        }
    }

    /// The path, `-` for standard input, the URL of an object.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Stream(path) => path,
            Self::Stdin => Path::new("-"),
            Self::Object(object) => object.url(),
        }
    }

    /// Opens the input and looks through its compression. An object is fetched first; `progress` is told the bytes
    /// of it so far.
    pub(super) fn open(&self, stop: &AtomicBool, progress: &dyn Fn(u64)) -> Result<Input> {
        if let Self::Object(object) = self {
            return object.open(stop, progress);
        }
        let mut input = self.open_any()?;
        if let Self::File(path, _) = self {
            input.file = Some(path.clone());
        }
        Ok(input)
    }

    fn open_any(&self) -> Result<Input> {
        let path = self.path().to_owned();
        let unreadable = |source| Error::Read { path: path.clone(), source };
        let raw: Box<dyn ReadSeek> = match self {
            Self::File(path, _) => Box::new(File::open(path).map_err(unreadable)?),
            // What cannot be read again is hashed on the way.
            Self::Stream(path) => {
                let file = File::open(path).map_err(unreadable)?;
                return open_stream(path.clone(), Box::new(file));
            }
            Self::Stdin => return open_stream(path, Box::new(std::io::stdin())),
            Self::Object(_) => {
                return Err(Error::Internal("an object that was not fetched".into()));
            }
        };
        let meter = Arc::new(Meter::default());
        open_raw(path, raw, self.size(), meter)
    }
}

/// A stream that can be read from any place.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// An opened input: decompressed bytes, and where they come from.
pub(super) struct Input {
    /// The file, `archive:member` for a member of an archive.
    pub path: PathBuf,
    /// The file on disk, none for standard input and objects.
    pub file: Option<PathBuf>,
    /// The object that was fetched, where it is one.
    pub fetched: Option<Fetched>,
    /// Size of the file, where known.
    pub size: Option<u64>,
    /// What the bytes went through, for people: `gzip`, `zip` ...
    pub compression: Option<&'static str>,
    /// The bytes read to recognise the layout, then the rest.
    pub head: Vec<u8>,
    body: Box<dyn Read + Send>,
    meter: Arc<Meter>,
    /// Bytes given so far, the head included.
    given: u64,
    /// Size and checksum of a stream that was read whole.
    whole: Option<(u64, String)>,
}

/// Bytes looked at to recognise a layout.
const HEAD: usize = 1 << 16;

impl Input {
    pub(super) fn new(
        path: PathBuf,
        size: Option<u64>,
        compression: Option<&'static str>,
        body: Box<dyn Read + Send>,
        meter: Arc<Meter>,
    ) -> Result<Self> {
        let mut input = Self {
            path,
            file: None,
            fetched: None,
            size,
            compression,
            head: Vec::new(),
            body,
            meter,
            given: 0,
            whole: None,
        };
        input.fill_head()?;
        Ok(input)
    }

    fn fill_head(&mut self) -> Result<()> {
        let mut head = vec![0; HEAD];
        let len = self.read_full(&mut head)?;
        head.truncate(len);
        self.head = head;
        Ok(())
    }

    /// Fills the buffer from the stream (not the head) unless it ends before.
    pub(super) fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut len = 0;
        while len < buffer.len() {
            match self.body.read(&mut buffer[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }),
            }
        }
        self.given += len as u64;
        Ok(len)
    }

    /// Reads what is left, after the head.
    pub(super) fn read_rest(&mut self) -> Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.head);
        let read = self.body.read_to_end(&mut all);
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(all)
    }

    /// The file on disk, from its beginning, if it is there.
    pub(super) fn on_disk(&self) -> Result<File> {
        let file = match &self.fetched {
            Some(fetched) => fetched.file(),
            None => File::open(&self.path),
        };
        file.map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// SHA-256 of all bytes so far, for standard input; of the whole of an object.
    pub(super) fn sha256(&self) -> Option<String> {
        if let Some(fetched) = &self.fetched {
            return Some(fetched.sha256.clone());
        }
        if let Some((_, sha256)) = &self.whole {
            return Some(sha256.clone());
        }
        let hash = self.meter.hash.as_ref()?;
        Some(hex(&hash.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize()))
    }

    /// Bytes of the file not read yet, where its size is known and it is read as it is.
    pub(super) fn left(&self) -> Option<u64> {
        let size = self.size.filter(|_| self.compression.is_none())?;
        Some(size.saturating_sub(self.given))
    }

    /// Bytes of the file consumed so far (of the compressed form, where it is one).
    pub(super) fn consumed(&self) -> u64 {
        self.whole
            .as_ref()
            .map_or_else(|| self.meter.count.load(Ordering::Relaxed), |(size, _)| *size)
    }
}

/// What has passed through a [`Counting`] reader.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) count: AtomicU64,
    /// Of standard input, which cannot be read again.
    hash: Option<Mutex<Sha256>>,
}

/// Counts what passes through.
pub(super) struct Counting<R> {
    pub(super) inner: R,
    pub(super) meter: Arc<Meter>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter.count.fetch_add(n as u64, Ordering::Relaxed);
        if let Some(hash) = &self.meter.hash {
            hash.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..n]);
        }
        Ok(n)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Unpacked bytes, and as many times the packed ones, from which on a stream is taken for a bomb: no ratings
/// can be packed so tightly.
const BOMB: (u64, u64) = (64 << 20, 100);

/// Whether bytes that unpack to so many are taken for a bomb.
pub(super) const fn is_bomb(packed: u64, unpacked: u64) -> bool {
    unpacked > BOMB.0 && unpacked / BOMB.1 > packed
}

/// What a decompressor gives, which must not be out of all proportion to what it took.
pub(super) struct Unpacked<R> {
    pub(super) inner: R,
    pub(super) meter: Arc<Meter>,
    /// Bytes given so far.
    pub(super) bytes: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        let packed = self.meter.count.load(Ordering::Relaxed);
        if is_bomb(packed, self.bytes) {
            let message = format!(
                "{packed} bytes unpack to more than {}: it is not read, for no ratings are packed so tightly",
                self.bytes
            );
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        Ok(n)
    }
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ZIP: &[u8] = b"PK\x03\x04";

/// Opens what can be read only once. Formats that need seeking, by their first bytes, are read whole.
fn open_stream(path: PathBuf, mut stream: Box<dyn Read + Send>) -> Result<Input> {
    let unreadable = |source| Error::Read { path: path.clone(), source };
    let mut magic = Vec::new();
    stream.by_ref().take(4).read_to_end(&mut magic).map_err(unreadable)?;
    let seeks = magic.starts_with(ZIP) || magic.starts_with(b"PAR1");
    let mut stream = Cursor::new(magic.clone()).chain(stream);
    if seeks {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_err(unreadable)?;
        let sha256 = hex(&Sha256::digest(&all));
        let size = all.len() as u64;
        let mut input =
            open_raw(path, Box::new(Cursor::new(all)), None, Arc::new(Meter::default()))?;
        input.whole = Some((size, sha256));
        return Ok(input);
    }
    let meter = Meter { hash: Some(Mutex::new(Sha256::new())), ..Meter::default() };
    decompress(path, None, &magic, Box::new(stream), Arc::new(meter))
}

pub(super) fn open_raw(
    path: PathBuf,
    mut raw: Box<dyn ReadSeek>,
    size: Option<u64>,
    meter: Arc<Meter>,
) -> Result<Input> {
    let mut magic = [0; 4];
    let unreadable = |source| Error::Read { path: path.clone(), source };
    let mut len = 0;
    while len < 4 {
        let n = raw.read(&mut magic[len..]).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        len += n;
    }
    raw.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if magic.starts_with(ZIP) {
        return zip_member::open(&path, raw, size, meter);
    }
    decompress(path, size, &magic[..len], Box::new(raw), meter)
}

fn decompress(
    path: PathBuf,
    size: Option<u64>,
    magic: &[u8],
    raw: Box<dyn Read + Send>,
    meter: Arc<Meter>,
) -> Result<Input> {
    let counted = BufReader::with_capacity(1 << 18, Counting { inner: raw, meter: meter.clone() });
    let (name, body): (_, Box<dyn Read + Send>) = if magic.starts_with(GZIP) {
        let inner = flate2::bufread::MultiGzDecoder::new(counted);
        (Some("gzip"), Box::new(Unpacked { inner, meter: meter.clone(), bytes: 0 }))
    } else if magic.starts_with(ZSTD) {
        let decoder = zstd::stream::read::Decoder::with_buffer(counted);
        let decoder = decoder.map_err(|source| Error::Read { path: path.clone(), source })?;
        let inner = decoder;
        (Some("zstd"), Box::new(Unpacked { inner, meter: meter.clone(), bytes: 0 }))
    } else {
        (None, Box::new(counted))
    };
    Input::new(path, size, name, body, meter)
}
