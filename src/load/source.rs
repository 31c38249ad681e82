//! Turns arguments into inputs: files, directories, patterns, standard input and objects.

use super::formats::none_here;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::input::Input;
use super::meter::{Meter, ReadSeek};
use super::object::{self, ObjectSource};
use super::open::{open_raw, open_stream};
use super::rating_files::is_rating_file;
use crate::error::{Error, Result};
use crate::remote::{check_slashes, is_url};

/// An input that is not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file and its size.
    File(PathBuf, u64),
    /// A stream that can be read only once: a named pipe or a device.
    Stream(PathBuf),
    /// Standard input.
    Stdin,
    /// An object in an object store.
    Object(Box<ObjectSource>),
}

/// Turns arguments into inputs: `-`, files, URLs, directories (their rating files), patterns.
///
/// # Errors
/// [`Error::Read`] for a path that does not exist, [`Error::Format`] for a directory or pattern
/// without rating files, [`Error::Usage`] for more than one `-` or an invalid URL, the errors of an
/// object store, [`Error::Stopped`].
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
            let found = object::expand(argument, stop)?;
            sources.extend(found.into_iter().map(|object| Source::Object(Box::new(object))));
        } else if path.is_dir() {
            let found = directory(path)?;
            if found.is_empty() {
                return Err(Error::Format { path: path.into(), message: none_here() });
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
    /// Size in bytes, if it is known before reading.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(_, size) => Some(*size),
            Self::Object(object) => Some(object.size()),
            Self::Stream(_) | Self::Stdin => None,
        }
    }

    /// The path; `-` for standard input, the URL for an object.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Stream(path) => path,
            Self::Stdin => Path::new("-"),
            Self::Object(object) => object.url(),
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
