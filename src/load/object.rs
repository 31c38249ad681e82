//! Inputs in object stores.
//!
//! An object is fetched into a temporary file and read from there, because readers of Parquet and
//! zip archives seek. So the bytes that are read are also the bytes that the checksum covers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::directory::{LOGS, LeftOut, partitioned, refusal, table_kind};
use super::fingerprint::hex;
use super::formats::none_here;
use super::input::{Fetched, Input};
use super::meter::Meter;
use super::open::open_raw;
use super::rating_files::{is_any_hidden, is_rating_file, is_ratings};
use crate::error::{Error, Result};
use crate::remote::{Location, Object, Remote};

/// An object to read.
#[derive(Debug, Clone)]
pub struct ObjectSource {
    url: PathBuf,
    remote: Remote,
    object: Object,
}

impl PartialEq for ObjectSource {
    fn eq(&self, other: &Self) -> bool {
        (&self.url, &self.object) == (&other.url, &other.object)
    }
}

impl Eq for ObjectSource {}

impl ObjectSource {
    fn new(remote: &Remote, object: Object) -> Self {
        let url = remote.location().join(&object.name).to_string().into();
        Self { url, remote: remote.clone(), object }
    }

    /// The URL of the object.
    #[must_use]
    pub fn url(&self) -> &Path {
        &self.url
    }

    /// Size of the object in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.object.size
    }

    /// The ETag, which changes when the content changes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.object.etag
    }

    /// The SHA-256 of the content. It is computed by fetching the object.
    ///
    /// # Errors
    /// The errors of fetching the object.
    pub fn sha256(&self, stop: &AtomicBool) -> Result<String> {
        Ok(self.fetch(stop, &|_| {})?.sha256)
    }

    pub(super) fn open(&self, stop: &AtomicBool, progress: &dyn Fn(u64)) -> Result<Input> {
        let fetched = self.fetch(stop, progress)?;
        let raw = Box::new(fetched.file().map_err(temporary)?);
        let mut input =
            open_raw(self.url.clone(), raw, Some(self.size()), Arc::new(Meter::default()))?;
        input.fetched = Some(fetched);
        Ok(input)
    }

    fn fetch(&self, stop: &AtomicBool, progress: &dyn Fn(u64)) -> Result<Fetched> {
        let file = tempfile::tempfile().map_err(temporary)?;
        let named = Path::new(TEMPORARY);
        let sha256 = hex(&self.remote.fetch(&self.object, &file, named, stop, progress)?);
        let Object { etag, modified, .. } = self.object.clone();
        Ok(Fetched { file, sha256, etag, modified })
    }
}

/// The name of temporary files in messages.
const TEMPORARY: &str = "the temporary directory";

fn temporary(source: std::io::Error) -> Error {
    Error::Write { path: TEMPORARY.into(), source }
}

/// Turns a URL into inputs: an object, the rating files of a directory sorted by name, or all
/// objects that match a pattern.
pub(super) fn expand(
    url: &str,
    recursive: bool,
    left_out: &mut LeftOut,
    stop: &AtomicBool,
) -> Result<Vec<ObjectSource>> {
    let location = Location::parse(url)?;
    let wrong = |message: &str| Error::Format { path: url.into(), message: message.into() };
    let remote = Remote::open(url)?;
    if !location.is_directory() {
        let parent = remote.at(location.parent())?;
        // A name may contain the characters of a pattern.
        if let Some(object) = parent.head(location.name(), stop)? {
            return Ok(vec![ObjectSource::new(&parent, object)]);
        }
        if let Some((base, pattern)) = pattern(&location) {
            let pattern = glob::Pattern::new(&pattern);
            let pattern = pattern.map_err(|e| wrong(&format!("not a valid pattern: {}", e.msg)))?;
            let remote = remote.at(base)?;
            let found = match pattern.as_str().contains('/') {
                true => remote.list("", stop)?,
                false => remote.children(stop)?,
            };
            let mut logs = found.clone();
            for log in LOGS.iter().filter(|_| !pattern.as_str().contains('/')) {
                logs.extend(remote.list(log, stop)?);
            }
            if let Some(kind) = table_kind(logs.iter().map(|object| object.name.as_str())) {
                return Err(wrong(&refusal(kind)));
            }
            let options =
                glob::MatchOptions { require_literal_separator: true, ..Default::default() };
            // Some tools mark a directory by an empty object of that name.
            let marks = |object: &Object| {
                let below = format!("{}/", object.name);
                object.size == 0 && found.iter().any(|other| other.name.starts_with(&below))
            };
            let hidden_wanted = is_any_hidden(pattern.as_str());
            let fits = |object: &&Object| {
                pattern.matches_with(&object.name, options)
                    && !marks(object)
                    && (hidden_wanted || !is_any_hidden(&object.name))
            };
            let found = found.iter().filter(fits);
            let found: Vec<ObjectSource> =
                found.map(|object| ObjectSource::new(&remote, object.clone())).collect();
            return match found.is_empty() {
                true => Err(wrong("no object matches this pattern")),
                false => Ok(found),
            };
        }
    }
    let all = remote.list("", stop)?;
    let names = || all.iter().map(|object| object.name.as_str());
    if let Some(kind) = table_kind(names()) {
        return Err(wrong(&refusal(kind)));
    }
    let below = |name: &str| name.contains('/');
    let holds_ratings = |name: &str| !is_any_hidden(name) && is_rating_file(Path::new(name));
    let partition = names().find(|name| {
        holds_ratings(name) && name.split_once('/').is_some_and(|(first, _)| first.contains('='))
    });
    if let (Some(name), false) = (partition, recursive) {
        let first = name.split('/').next().unwrap_or_default();
        return Err(wrong(&partitioned(first)));
    }
    let (mut chosen, others): (Vec<&Object>, Vec<&Object>) = all
        .iter()
        .filter(|object| !is_any_hidden(&object.name) && (recursive || !below(&object.name)))
        .partition(|object| is_rating_file(Path::new(&object.name)));
    left_out.add(others.into_iter().map(|object| remote.location().join(&object.name).to_string()));
    let is_surely = |object: &&Object| is_ratings(Path::new(&object.name));
    if !recursive && chosen.iter().filter(|object| is_surely(object)).count() == 1 {
        let rest = chosen.extract_if(.., |object| !is_surely(&*object));
        left_out.add(rest.map(|object| remote.location().join(&object.name).to_string()));
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    match (chosen.is_empty(), all.is_empty()) {
        (false, _) => {
            let source = |object: &Object| ObjectSource::new(&remote, object.clone());
            Ok(chosen.into_iter().map(source).collect())
        }
        (true, true) => Err(wrong("no such object, and no objects in a directory of this name")),
        (true, false) => Err(wrong(&none_here())),
    }
}

/// The directory before the first wildcard, and the pattern relative to it.
fn pattern(location: &Location) -> Option<(Location, String)> {
    let mut base = location.parent();
    let mut rest = location.name().to_owned();
    let wild = |text: &str| text.contains(['*', '?', '[']);
    while wild(base.key()) {
        rest = format!("{}/{rest}", base.name());
        base = base.parent();
    }
    wild(&rest).then_some((base, rest))
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    use super::*;
    use crate::load::{LoadOptions, load};
    use crate::remote::Put;

    const RATINGS: &[u8] = b"userId,movieId,rating\n1,10,4\n1,11,3\n2,10,5\n";

    fn names(url: &str) -> Result<Vec<String>, String> {
        let mut left_out = LeftOut::default();
        let found = expand(url, false, &mut left_out, &AtomicBool::new(false))
            .map_err(|e| e.to_string())?;
        Ok(found.iter().map(|source| source.url().display().to_string()).collect())
    }

    #[test]
    fn objects_directories_and_patterns() {
        let remote = Remote::open("memory://inputs/in").expect("memory");
        let stop = AtomicBool::new(false);
        for name in ["a.csv", "b.csv", "notes.md", "deep/c.csv", "deep/x/d.csv", "odd[1].csv"] {
            remote.put(name, RATINGS, Put::Always, &stop).expect("put");
        }
        let all =
            |names: &[&str]| Ok(names.iter().map(|n| format!("memory://inputs/in/{n}")).collect());
        assert_eq!(names("memory://inputs/in/a.csv"), all(&["a.csv"]));
        assert_eq!(names("memory://inputs/in/odd[1].csv"), all(&["odd[1].csv"]));
        assert_eq!(names("memory://inputs/in"), all(&["a.csv", "b.csv", "odd[1].csv"]));
        assert_eq!(names("memory://inputs/in/"), all(&["a.csv", "b.csv", "odd[1].csv"]));
        assert_eq!(names("memory://inputs/in/?.csv"), all(&["a.csv", "b.csv"]));
        assert_eq!(names("memory://inputs/in/*/c.csv"), all(&["deep/c.csv"]));
        assert_eq!(names("memory://inputs/in/**/*.csv").map(|n| n.len()), Ok(5));
        for (url, message) in [
            ("memory://inputs/in/z*.csv", "no object matches"),
            ("memory://inputs/in/missing.csv", "no such object"),
            ("memory://inputs/in/[.csv", "not a valid pattern"),
        ] {
            assert!(names(url).is_err_and(|e| e.contains(message) && e.contains(url)), "{url}");
        }
    }

    #[test]
    fn partitions_hidden_names_and_tables_with_a_log() {
        let remote = Remote::open("memory://partitions/in").expect("memory");
        let stop = AtomicBool::new(false);
        let put = |name: &str| remote.put(name, RATINGS, Put::Always, &stop).expect("put");
        for name in ["p/day=1/a.csv", "p/day=2/b.csv", "p/day=2/_SUCCESS", "p/stray.csv"] {
            put(name);
        }
        let partitioned = names("memory://partitions/in/p");
        assert!(partitioned.is_err_and(|e| e.contains("partitioned") && e.contains("--recursive")));
        let mut left_out = LeftOut::default();
        let all = expand("memory://partitions/in/p", true, &mut left_out, &stop).expect("files");
        assert_eq!((all.len(), left_out.warning()), (3, None));
        for name in ["m/ratings.csv", "m/links.csv", "m/.hidden.csv", "m/notes.md"] {
            put(name);
        }
        let found = expand("memory://partitions/in/m", false, &mut left_out, &stop).expect("files");
        assert_eq!(found.len(), 1);
        let warning = left_out.warning().unwrap_or_default();
        assert!(warning.starts_with("2 files") && warning.contains("m/links.csv"), "{warning}");
        for name in ["t/a.csv", "t/_delta_log/0.json", "i/a.csv", "i/metadata/1.metadata.json"] {
            put(name);
        }
        for url in ["t", "t/*.csv", "i/", "i/*"] {
            let url = format!("memory://partitions/in/{url}");
            assert!(names(&url).is_err_and(|e| e.contains("its log says")), "{url}");
        }
    }

    #[test]
    fn what_is_read_is_what_the_checksum_is_of() {
        let remote = Remote::open("memory://read").expect("memory");
        let stop = AtomicBool::new(false);
        remote.put("r.csv", RATINGS, Put::Always, &stop).expect("put");
        let url = ["memory://read/r.csv".to_owned()];
        let read = || load(&url, &[], &LoadOptions::default(), &stop, &|_, _| {});
        let interactions = read().expect("ratings");
        assert_eq!(interactions.len(), 3);
        let report = interactions.inputs[0].clone();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, RATINGS).expect("written");
        let local = crate::load::fingerprint(file.path()).expect("hashed");
        assert_eq!((report.sha256, report.bytes), (Some(local.sha256), local.bytes));
        assert_eq!((report.uri, report.file), (url[0].clone(), None));
        assert!(report.etag.is_some());
        remote.put("r.csv", b"userId,movieId,rating\n1,10,x\n", Put::Always, &stop).expect("put");
        let bad = read().map(|_| ()).map_err(|e| e.to_string());
        assert!(bad.is_err_and(|e| e.starts_with("memory://read/r.csv:2: column \"rating\"")));
    }
}
