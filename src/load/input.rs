//! An opened input.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use sha2::Digest;

use super::fingerprint::hex;
use super::meter::Meter;
use crate::error::{Error, Result};

/// A fetched object: a temporary file on this machine.
pub(super) struct Fetched {
    /// The file has no name, so it disappears however the process ends.
    pub(super) file: File,
    pub(super) sha256: String,
    pub(super) etag: String,
    pub(super) modified: i64,
}

impl Fetched {
    /// The file, positioned at its beginning. Clones share the position, so only one may be read at
    /// a time.
    pub(super) fn file(&self) -> std::io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

/// An opened input: its decompressed bytes and their origin.
pub(super) struct Input {
    /// Path of the file; `archive:member` for a member of an archive.
    pub path: PathBuf,
    /// The file on disk; `None` for standard input and objects.
    pub file: Option<PathBuf>,
    /// The fetched object, if the input is one.
    pub fetched: Option<Fetched>,
    /// Size of the file, if it is known.
    pub size: Option<u64>,
    /// Name of the compression, for people: `gzip`, `zip` ...
    pub compression: Option<&'static str>,
    /// The first bytes, which were read to recognise the layout.
    pub head: Vec<u8>,
    body: Box<dyn Read + Send>,
    meter: Arc<Meter>,
    /// Number of decompressed bytes read so far, including the head.
    passed_on: u64,
    /// Whether the stream has ended.
    ended: bool,
    /// Size and SHA-256 of a stream that was read as a whole.
    pub(super) whole: Option<(u64, String)>,
}

/// Number of bytes that are read to recognise a layout.
const HEAD: usize = 1 << 16;
/// The most bytes that are read to find two lines.
const LONGEST_HEAD: usize = 8 << 20;

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
            passed_on: 0,
            ended: false,
            whole: None,
        };
        input.extend_head(HEAD)?;
        Ok(input)
    }

    /// Reads further bytes into the head.
    fn extend_head(&mut self, bytes: usize) -> Result<()> {
        let mut head = std::mem::take(&mut self.head);
        let before = head.len();
        head.resize(before + bytes, 0);
        let len = self.read_full(&mut head[before..])?;
        head.truncate(before + len);
        self.head = head;
        Ok(())
    }

    /// Extends the head until it holds two lines, if they are not too long for it.
    pub(super) fn extend_head_to_lines(&mut self) -> Result<()> {
        let lines = |head: &[u8]| memchr::memchr_iter(b'\n', head).take(2).count();
        while !self.ended && lines(&self.head) < 2 && self.head.len() < LONGEST_HEAD {
            self.extend_head(self.head.len())?;
        }
        Ok(())
    }

    /// Whether the head holds the whole file.
    pub(super) const fn head_is_whole(&self) -> bool {
        self.ended
    }

    /// Whether the input holds nothing but blanks, a byte order mark apart.
    pub(super) fn is_blank(&self) -> bool {
        let text = self.head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.head);
        self.ended && text.iter().all(u8::is_ascii_whitespace)
    }

    /// Fills the buffer from the stream after the head. Returns fewer bytes only at the end.
    pub(super) fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut len = 0;
        while len < buffer.len() {
            match self.body.read(&mut buffer[len..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => len += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }),
            }
        }
        self.passed_on += len as u64;
        Ok(len)
    }

    /// The head and all remaining bytes.
    pub(super) fn read_rest(&mut self) -> Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.head);
        let read = self.body.read_to_end(&mut all);
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(all)
    }

    /// The file on disk or the fetched object, positioned at its beginning.
    pub(super) fn on_disk(&self) -> Result<File> {
        let file = match &self.fetched {
            Some(fetched) => fetched.file(),
            None => File::open(&self.path),
        };
        file.map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// SHA-256 of a fetched object, or of the bytes of a stream read so far. `None` for files.
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

    /// Number of bytes not read yet, if the size is known and the file is not compressed.
    pub(super) fn left(&self) -> Option<u64> {
        let size = self.size.filter(|_| self.compression.is_none())?;
        Some(size.saturating_sub(self.passed_on))
    }

    /// Number of bytes of the file read so far, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.whole
            .as_ref()
            .map_or_else(|| self.meter.count.load(Ordering::Relaxed), |(size, _)| *size)
    }
}
