//! Reads the member of a zip archive that contains ratings, without unpacking to disk.

use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::input::Input;
use super::meter::{Counting, Meter, ReadSeek, Unpacked};
use super::rating_files::{is_rating_file, is_ratings};
use crate::error::{Error, Result};

fn is_zip(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"))
}

/// Opens a member of an archive: the one with the name `wanted`, or the one with a known name of
/// ratings, or else the only rating file.
pub(super) fn open(
    path: &Path,
    wanted: Option<&str>,
    raw: Box<dyn ReadSeek>,
    size: Option<u64>,
    meter: Arc<Meter>,
) -> Result<Input> {
    let wrong = |message: String| Error::Format { path: path.to_owned(), message };
    let counted = BufReader::with_capacity(1 << 18, Counting { inner: raw, meter: meter.clone() });
    let mut archive = zip::ZipArchive::new(counted)
        .map_err(|e| wrong(format!("not a readable zip archive: {e}")))?;
    if let Some(name) = outside(&archive) {
        return Err(wrong(format!(
            "member \"{name}\" points outside the archive; the archive is not read"
        )));
    }
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .collect();
    let mut found: Vec<&String> = match wanted {
        Some(wanted) => names.iter().filter(|name| *name == wanted).collect(),
        None => names.iter().filter(|n| is_ratings(Path::new(n))).collect(),
    };
    if found.is_empty() && wanted.is_none() {
        found = names.iter().filter(|n| is_rating_file(Path::new(n)) && !is_zip(n)).collect();
    }
    let [name] = found[..] else {
        let held = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(wrong(match wanted {
            Some(wanted) => format!("the archive has no member \"{wanted}\"; its members: {held}"),
            None => format!(
                "the archive must hold exactly one rating file, not {}; name one as \
                 {}:MEMBER; its members: {held}",
                found.len(),
                path.display()
            ),
        }));
    };
    let name = name.clone();
    // The member borrows the archive, so a thread owns both and sends the bytes in pieces.
    let (sender, receiver) = std::sync::mpsc::sync_channel(4);
    let member_path = PathBuf::from(format!("{}:{name}", path.display()));
    meter.count.store(0, Ordering::Relaxed);
    std::thread::spawn(move || {
        let mut member = match archive.by_name(&name) {
            Ok(member) => member,
            Err(e) => {
                let _ = sender.send(Err(std::io::Error::other(e)));
                return;
            }
        };
        loop {
            let mut piece = vec![0; 1 << 20];
            let mut len = 0;
            let end = loop {
                match member.read(&mut piece[len..]) {
                    Ok(0) => break len < piece.len(),
                    Ok(n) => len += n,
                    Err(e) => {
                        let _ = sender.send(Err(e));
                        return;
                    }
                }
            };
            piece.truncate(len);
            if len == 0 {
                let _ = sender.send(Ok(piece));
                return;
            }
            // If the reader has stopped and dropped the receiver, this thread ends too.
            if sender.send(Ok(piece)).is_err() {
                return;
            }
            if end {
                // An empty piece marks the end. The reader can tell it from a thread that failed.
                let _ = sender.send(Ok(Vec::new()));
                return;
            }
        }
    });
    let body = Pieces { receiver, piece: Cursor::new(Vec::new()), ended: false };
    let body = Unpacked { inner: body, meter: meter.clone(), bytes: 0 };
    Input::new(member_path, size, Some("zip"), Box::new(body), meter)
}

/// Finds a member whose name leads out of the archive. An honest archive has none.
fn outside<R: Read + io::Seek>(archive: &zip::ZipArchive<R>) -> Option<String> {
    let names = archive.file_names().filter_map(Result::ok);
    let leads_out = |name: &str| {
        let absolute = name.starts_with(['/', '\\']) || name.get(1..2) == Some(":");
        absolute || name.split(['/', '\\']).any(|part| part == "..")
    };
    names
        .map(std::borrow::Cow::into_owned)
        .find(|name| leads_out(name))
        .map(|name| printable(&name))
}

/// The start of a name with special characters escaped, for messages.
fn printable(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Reads the pieces that another thread sends.
struct Pieces {
    receiver: std::sync::mpsc::Receiver<std::io::Result<Vec<u8>>>,
    piece: Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let n = self.piece.read(buffer)?;
            if n > 0 || buffer.is_empty() || self.ended {
                return Ok(n);
            }
            let broken = |_| io::Error::other("the archive could not be unpacked");
            let piece = self.receiver.recv().map_err(broken)??;
            self.ended = piece.is_empty();
            self.piece = Cursor::new(piece);
        }
    }
}
