//! The rating files of directories and patterns, and what is left out of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::formats::none_here;
use super::rating_files::{is_any_hidden, is_hidden, is_rating_file, is_ratings};
use super::sample::wrong;
use crate::error::{Error, Result};

/// What directories and patterns held besides the files that are read.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    names: BTreeSet<String>,
}

impl LeftOut {
    /// Adds files by their paths or URLs.
    pub(super) fn add(&mut self, names: impl IntoIterator<Item = String>) {
        self.names.extend(names);
    }

    /// A warning that names some of it.
    pub(super) fn warning(&self) -> Option<String> {
        /// Number of names in the warning, at most.
        const SHOWN: usize = 3;
        let names: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
        let more = match self.names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let what = match self.names.len() {
            0 => return None,
            1 => "1 file or directory was".to_owned(),
            n => format!("{n} files or directories were"),
        };
        Some(format!("{what} not read as ratings: {}{more}", names.join(", ")))
    }
}

/// The rating files of a directory; of all directories inside it if `recursive`.
///
/// A directory with a file that is surely the ratings, such as `ratings.csv` of MovieLens, stands
/// for that one.
pub(super) fn directory(
    path: &Path,
    recursive: bool,
    left_out: &mut LeftOut,
) -> Result<Vec<PathBuf>> {
    let mut found = Found::default();
    found.collect(path, recursive)?;
    let Found { mut files, mut others, partition } = found;
    if let (Some(first), false) = (partition, recursive) {
        return Err(wrong(path, partitioned(&first)));
    }
    let ratings: Vec<PathBuf> = files.iter().filter(|file| is_ratings(file)).cloned().collect();
    if ratings.len() == 1 && files.len() > 1 && !recursive {
        others.extend(files.drain(..).filter(|file| !ratings.contains(file)));
        files = ratings;
    }
    if files.is_empty() {
        return Err(wrong(path, none_here()));
    }
    left_out.add(others.iter().map(|path| path.display().to_string()));
    files.sort();
    Ok(files)
}

/// The message for a directory whose files lie in partitions, of which one has this name.
pub(super) fn partitioned(first: &str) -> String {
    format!(
        "the directory is partitioned ({first} ...): pass --recursive to read all partitions, or a \
         pattern such as \"day=2024-*/*\" for some of them"
    )
}

/// What a directory holds, except hidden names.
#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    others: Vec<PathBuf>,
    /// The name of a directory such as `day=2024-01-31`.
    partition: Option<String>,
}

impl Found {
    fn collect(&mut self, path: &Path, recursive: bool) -> Result<()> {
        refuse_table(path)?;
        for entry in entries(path)? {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if is_hidden(name) {
                continue;
            }
            match std::fs::metadata(&entry) {
                Err(source) => return Err(Error::Read { path: entry, source }),
                Ok(meta) if meta.is_dir() => {
                    if name.contains('=') {
                        self.partition.get_or_insert(name.to_owned());
                    }
                    match recursive {
                        true => self.collect(&entry, recursive)?,
                        false => self.others.push(entry),
                    }
                }
                Ok(_) if is_rating_file(&entry) => self.files.push(entry),
                Ok(_) => self.others.push(entry),
            }
        }
        Ok(())
    }
}

/// The files that match a pattern.
pub(super) fn pattern(argument: &str, left_out: &mut LeftOut) -> Result<Vec<PathBuf>> {
    let path = PathBuf::from(argument);
    let invalid = |e: glob::PatternError| wrong(&path, format!("not a valid pattern: {}", e.msg));
    let matches = glob::glob(argument).map_err(invalid)?;
    // The names before the first wildcard are wanted, and a pattern may itself name hidden files.
    let is_wild = |part: &std::path::Component<'_>| {
        part.as_os_str().to_string_lossy().contains(['*', '?', '['])
    };
    let fixed = path.components().take_while(|part| !is_wild(part)).count();
    let is_hidden_below = |path: &Path| {
        let below: PathBuf = path.components().skip(fixed).collect();
        is_any_hidden(&below.to_string_lossy())
    };
    let hidden_wanted = is_hidden_below(&path);
    let (mut files, mut parents) = (Vec::new(), BTreeSet::new());
    for found in matches {
        let found = found.map_err(|e| {
            let path = e.path().to_owned();
            Error::Read { path, source: e.into() }
        })?;
        let hidden = !hidden_wanted && is_hidden_below(&found);
        match std::fs::metadata(&found) {
            _ if hidden => {}
            Err(source) => return Err(Error::Read { path: found, source }),
            Ok(meta) if meta.is_dir() => {}
            Ok(_) if found.extension().is_some_and(|e| e == "crc") => {
                left_out.add([found.display().to_string()]);
            }
            Ok(_) => {
                parents.extend(found.parent().map(Path::to_owned));
                files.push(found);
            }
        }
    }
    if files.is_empty() {
        return Err(wrong(&path, "no file matches this pattern"));
    }
    for parent in &parents {
        // A table keeps its log above its partitions.
        parent.ancestors().take(3).try_for_each(refuse_table)?;
        // Patterns match no names that are not UTF-8.
        entries(parent)?;
    }
    files.sort();
    Ok(files)
}

/// The entries of a directory. Names that are not UTF-8 are an error.
fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(here).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if name.to_str().is_none() {
            return Err(wrong(
                path,
                format!("the name \"{}\" is not UTF-8; rename the file", name.display()),
            ));
        }
        found.push(path.join(name));
    }
    Ok(found)
}

/// The directories in which tables keep their logs.
pub(super) const LOGS: [&str; 3] = ["_delta_log", ".hoodie", "metadata"];

/// Refuses a table whose log says which of its files count.
fn refuse_table(path: &Path) -> Result<()> {
    let mut names = Vec::new();
    for log in LOGS {
        let Ok(found) = std::fs::read_dir(path.join(log)) else { continue };
        names.extend(found.flatten().map(|e| format!("{log}/{}", e.file_name().display())));
    }
    match table_kind(names.iter().map(String::as_str)) {
        Some(kind) => Err(wrong(path, refusal(kind))),
        None => Ok(()),
    }
}

/// The kind of the table to which files with these relative names belong.
pub(super) fn table_kind<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'static str> {
    names.find_map(|name| match name.split_once('/')? {
        ("_delta_log", _) => Some("Delta"),
        (".hoodie", _) => Some("Hudi"),
        ("metadata", file) if file.ends_with(".metadata.json") => Some("Iceberg"),
        _ => None,
    })
}

/// The message for a table of this kind.
pub(super) fn refusal(kind: &str) -> String {
    format!(
        "this is a {kind} table: its log says which files are current, and lacuna does not read \
         the log. Write the current rows to Parquet or CSV (with Spark, DuckDB or Polars) and pass \
         that file"
    )
}
