//! The ratings member of a zip archive, read without unpacking anything to disk.

use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::input::Input;
use super::meter::{Counting, Meter, ReadSeek, Unpacked};
use super::rating_files::is_rating_file;
use crate::error::{Error, Result};

/// Names of the members that hold ratings in the MovieLens archives, then anything that looks so.
fn is_ratings_member(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    ["ratings.csv", "ratings.dat", "u.data"].contains(&base)
}

fn is_zip(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"))
}

/// Opens the ratings member of an archive; nothing is unpacked to disk.
pub(super) fn open(
    path: &Path,
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
            "its member \"{name}\" points outside the archive; it is not read"
        )));
    }
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .collect();
    let mut found: Vec<&String> = names.iter().filter(|n| is_ratings_member(n)).collect();
    if found.is_empty() {
        found = names.iter().filter(|n| is_rating_file(Path::new(n)) && !is_zip(n)).collect();
    }
    let [name] = found[..] else {
        let held = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(wrong(format!(
            "{} rating files in this archive, one is needed; it holds: {held}",
            found.len()
        )));
    };
    let name = name.clone();
    // The member borrows the archive, so a thread owns both and hands the bytes over in pieces.
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
            // The receiver is gone when reading was given up: then this thread is done too.
            if sender.send(Ok(piece)).is_err() {
                return;
            }
            if end {
                // An empty piece says that this is the end and not a thread that broke down.
                let _ = sender.send(Ok(Vec::new()));
                return;
            }
        }
    });
    let body = Pieces { receiver, piece: Cursor::new(Vec::new()), ended: false };
    let body = Unpacked { inner: body, meter: meter.clone(), bytes: 0 };
    Input::new(member_path, size, Some("zip"), Box::new(body), meter)
}

/// A member whose name leads out of the archive, which none that was made in good faith has.
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

/// What is shown of a name that may hold anything.
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
