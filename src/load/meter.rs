//! Readers that count, hash and watch what passes through.

use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A stream that can be read from any place.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// What has passed through a [`Counting`] reader.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) count: AtomicU64,
    /// Of standard input, which cannot be read again.
    pub(super) hash: Option<Mutex<Sha256>>,
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
