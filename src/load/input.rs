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

/// An object as a file of this machine, for as long as it is needed.
pub(super) struct Fetched {
    /// It has no name, so that nothing is left of it however the process ends.
    pub(super) file: File,
    pub(super) sha256: String,
    pub(super) etag: String,
    pub(super) modified: i64,
}

impl Fetched {
    /// The file, from its beginning. Only one is read at a time.
    pub(super) fn file(&self) -> std::io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

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
    pub(super) whole: Option<(u64, String)>,
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
