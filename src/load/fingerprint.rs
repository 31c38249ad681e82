//! What a file is known by.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Identity of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Seconds since 1970 when it was last changed, where the system says so.
    pub mtime: Option<i64>,
    /// Bytes hashed.
    pub bytes: u64,
}

/// Hashes a file.
///
/// # Errors
/// [`Error::Read`] if it cannot be read.
pub fn fingerprint(path: &Path) -> Result<Fingerprint> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mtime = modified(path);
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            n => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    Ok(Fingerprint { sha256: hex(&hasher.finalize()), mtime, bytes })
}

/// Seconds since 1970 when a file was last changed.
pub(super) fn modified(path: &Path) -> Option<i64> {
    let time = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
