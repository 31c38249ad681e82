//! Turns arguments into inputs: files, directories, patterns, standard input and objects.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::directory::{LeftOut, directory, pattern};
use super::input::Input;
use super::meter::{Meter, ReadSeek};
use super::object::{self, ObjectSource};
use super::open::{open_raw, open_stream};
use super::zip_member;
use crate::error::{Error, Result};
use crate::remote::{check_slashes, is_url};

/// An input that is not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file and its size.
    File(PathBuf, u64),
    /// A member of a zip archive: the archive, the name of the member, `archive:name`, and the size
    /// of the archive.
    Member {
        /// The archive.
        archive: PathBuf,
        /// The name of the member.
        name: String,
        /// Both, separated by a colon.
        path: PathBuf,
        /// Size of the archive in bytes.
        size: u64,
    },
    /// A stream that can be read only once: a named pipe or a device.
    Stream(PathBuf),
    /// Standard input.
    Stdin,
    /// An object in an object store.
    Object(Box<ObjectSource>),
}

/// Turns arguments into inputs: `-`, files, `archive.zip:member`, URLs, directories (their rating
/// files, also those in directories inside them if `recursive`), patterns.
///
/// # Errors
/// [`Error::Read`] for a path that does not exist, [`Error::Format`] for a directory or pattern
/// without rating files, [`Error::Usage`] for more than one `-` or an invalid URL, the errors of an
/// object store, [`Error::Stopped`].
pub fn expand(arguments: &[String], recursive: bool, stop: &AtomicBool) -> Result<Vec<Source>> {
    expand_noting(arguments, recursive, stop, &mut LeftOut::default())
}

/// Like [`expand`], and notes the files that directories and patterns left out.
pub(super) fn expand_noting(
    arguments: &[String],
    recursive: bool,
    stop: &AtomicBool,
    left_out: &mut LeftOut,
) -> Result<Vec<Source>> {
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
            let found = object::expand(argument, recursive, left_out, stop)?;
            sources.extend(found.into_iter().map(|object| Source::Object(Box::new(object))));
        } else if path.is_dir() {
            let found = directory(path, recursive, left_out)?;
            sources.extend(found.into_iter().map(file).collect::<Result<Vec<_>>>()?);
        } else if let Some(member) = member(argument) {
            sources.push(member);
        } else if !path.exists() && argument.contains(['*', '?', '[']) {
            let found = pattern(argument, left_out)?;
            sources.extend(found.into_iter().map(file).collect::<Result<Vec<_>>>()?);
        } else {
            sources.push(file(path.to_owned())?);
        }
    }
    refuse_doubled(&sources)?;
    Ok(sources)
}

fn file(path: PathBuf) -> Result<Source> {
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Source::File(path, meta.len())),
        Ok(_) => Ok(Source::Stream(path)),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// A member of a zip archive, if the argument is no file but names one.
fn member(argument: &str) -> Option<Source> {
    let path = Path::new(argument);
    let end = argument.to_lowercase().find(".zip:")? + ".zip".len();
    let (archive, name) = (Path::new(argument.get(..end)?), argument.get(end + 1..)?);
    if path.exists() || name.is_empty() {
        return None;
    }
    let meta = std::fs::metadata(archive).ok().filter(std::fs::Metadata::is_file)?;
    let (archive, name) = (archive.to_owned(), name.to_owned());
    Some(Source::Member { archive, name, path: path.to_owned(), size: meta.len() })
}

/// Refuses an input that occurs twice, also through a link or another spelling of its path.
fn refuse_doubled(sources: &[Source]) -> Result<()> {
    let mut seen = HashMap::new();
    for source in sources {
        let Some(Ok(real)) = source.file().map(Path::canonicalize) else { continue };
        let (path, member) = (
            source.path(),
            match source {
                Source::Member { name, .. } => name.as_str(),
                _ => "",
            },
        );
        if let Some(first) = seen.insert((real, member), path) {
            let (first, path) = (first.display(), path.display());
            let again = if first.to_string() == path.to_string() {
                format!("the input {path} is passed twice")
            } else {
                format!("the inputs {first} and {path} are the same file")
            };
            return Err(Error::Usage(format!("{again}: its ratings would count twice")));
        }
    }
    Ok(())
}

impl Source {
    /// Size in bytes, if it is known before reading.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(_, size) | Self::Member { size, .. } => Some(*size),
            Self::Object(object) => Some(object.size()),
            Self::Stream(_) | Self::Stdin => None,
        }
    }

    /// The path; `-` for standard input, the URL for an object.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Stream(path) | Self::Member { path, .. } => path,
            Self::Stdin => Path::new("-"),
            Self::Object(object) => object.url(),
        }
    }

    /// The file on disk that holds the input, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Member { archive, .. } => Some(archive),
            Self::Stream(_) | Self::Stdin | Self::Object(_) => None,
        }
    }

    /// Opens the input and decompresses it.
    ///
    /// An object is fetched first. `progress` receives the number of bytes fetched so far.
    pub(super) fn open(&self, stop: &AtomicBool, progress: &dyn Fn(u64)) -> Result<Input> {
        if let Self::Object(object) = self {
            return object.open(stop, progress);
        }
        let mut input = self.open_any()?;
        input.file = self.file().map(Path::to_owned);
        Ok(input)
    }

    fn open_any(&self) -> Result<Input> {
        let path = self.path().to_owned();
        let unreadable = |source| Error::Read { path: path.clone(), source };
        let raw: Box<dyn ReadSeek> = match self {
            Self::File(path, _) => Box::new(File::open(path).map_err(unreadable)?),
            Self::Member { archive, name, size, .. } => {
                let file = File::open(archive).map_err(unreadable)?;
                let meter = Arc::new(Meter::default());
                return zip_member::open(archive, Some(name), Box::new(file), Some(*size), meter);
            }
            // A stream cannot be read again, so it is hashed while it is read.
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
