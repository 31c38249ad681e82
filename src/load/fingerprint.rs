//! Fingerprints of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The identity of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Time of the last change in seconds since 1970, if the system knows it.
    pub mtime: Option<i64>,
    /// Number of bytes.
    pub bytes: u64,
}

/// Hashes a file.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read.
pub(crate) fn fingerprint(path: &Path) -> Result<Fingerprint> {
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

/// The time of a file's last change, in seconds since 1970.
pub(super) fn modified(path: &Path) -> Option<i64> {
    let time = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Formats bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
