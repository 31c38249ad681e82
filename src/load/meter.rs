//! Readers that count, hash and check the bytes that pass through.

use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A seekable source.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// The count and hash of the bytes that passed through a [`Counting`] reader.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) count: AtomicU64,
    /// The hash, for streams only, because they cannot be read again.
    pub(super) hash: Option<Mutex<Sha256>>,
}

/// A reader that counts its bytes.
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

/// A stream is a decompression bomb above this many unpacked bytes, if they are also more than this
/// multiple of the packed bytes. Ratings never compress so far.
const BOMB: (u64, u64) = (64 << 20, 100);

/// Whether a stream is a decompression bomb by its numbers of packed and unpacked bytes.
pub(super) const fn is_bomb(packed: u64, unpacked: u64) -> bool {
    unpacked > BOMB.0 && unpacked / BOMB.1 > packed
}

/// A reader of decompressed bytes that stops at a decompression bomb.
pub(super) struct Unpacked<R> {
    pub(super) inner: R,
    pub(super) meter: Arc<Meter>,
    /// Decompressed bytes so far.
    pub(super) bytes: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        let packed = self.meter.count.load(Ordering::Relaxed);
        if is_bomb(packed, self.bytes) {
            let message = format!(
                "{packed} bytes unpack to more than {} bytes; \
                 the file is not read, because ratings never compress so far",
                self.bytes
            );
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        Ok(n)
    }
}
