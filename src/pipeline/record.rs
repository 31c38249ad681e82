//! The ratings of a stored model, read again, and other ratings under the model's numbers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::dataset::{Dataset, Reading};
use super::given::{Given, read_given};
use super::report::Durations;
use super::train::set_aside;
use super::{Observer, TrainConfig};
use crate::error::{Error, Result};
use crate::ids::{Id, Ids};
use crate::load::fingerprint;
use crate::param::{Automatic, NonNegative};
use crate::ratings::Cell;
use crate::split::Parts;
use crate::store::{FoldedEntry, Manifest};

/// Numbers for ids: positions in the model, then unknown ids in the order they come.
pub(super) struct Numbers<'m> {
    known: &'m Ids,
    unknown: HashMap<String, u32>,
    /// Texts of the unknown ids.
    pub names: Vec<String>,
}

impl<'m> Numbers<'m> {
    pub(super) fn new(known: &'m Ids) -> Self {
        Self { known, unknown: HashMap::new(), names: Vec::new() }
    }

    fn position(&self, id: Id<'_>) -> Option<usize> {
        match id {
            Id::Int(id) => self.known.find_int(id),
            Id::Text(id) => self.known.find(id).filter(|_| canonical(id, self.known)),
        }
    }

    /// The number of an id that has one.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        let known = self.position(Id::Text(id)).map(|position| position as u32);
        known.or_else(|| self.unknown.get(id).copied())
    }

    fn number(&mut self, id: Id<'_>) -> u32 {
        if let Some(position) = self.position(id) {
            return position as u32;
        }
        let next = (self.known.len() + self.unknown.len()) as u32;
        let names = &mut self.names;
        *self.unknown.entry(id.text().into_owned()).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }

    pub(super) fn len(&self) -> usize {
        self.known.len() + self.unknown.len()
    }

    /// The numbers of the ids that cells refer to.
    pub(super) fn of(&mut self, ids: &Ids) -> Vec<u32> {
        (0..ids.len()).map(|at| self.number(ids.get(at))).collect()
    }
}

/// Whether a text names an id: "007" and " 7" are not the integer 7.
fn canonical(id: &str, ids: &Ids) -> bool {
    match ids {
        Ids::Int(_) => id.parse::<i64>().is_ok_and(|number| number.to_string() == id),
        Ids::Text(_) => true,
    }
}

/// The cells under other numbers, sorted.
pub(super) fn translate(cells: &[Cell], users: &[u32], items: &[u32]) -> Vec<Cell> {
    let number = |cell: &Cell| Cell {
        user: users[cell.user as usize],
        item: items[cell.item as usize],
        ..*cell
    };
    let mut cells: Vec<Cell> = cells.iter().map(number).collect();
    cells.sort_unstable_by_key(|c| (c.user, c.item));
    cells
}

/// Cells and their ids.
#[derive(Default)]
pub(super) struct Source {
    pub cells: Vec<Cell>,
    pub users: Ids,
    pub items: Ids,
}

/// Where the files of a training are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Where the manifest says.
    Recorded,
    /// Here: the same files under other names.
    Moved(&'a [String]),
}

/// Whether files are the rating files that a manifest records, by their checksums.
pub(super) fn same_files(files: &[String], manifest: &Manifest) -> Result<bool> {
    let mut found = Vec::new();
    for file in files {
        let path = Path::new(file);
        // A pattern or a directory: it is read as ratings, and counted.
        if !path.is_file() {
            return Ok(false);
        }
        found.push(fingerprint(path)?.sha256);
    }
    let ratings = manifest.inputs.iter().filter(|input| input.role == "ratings");
    let mut recorded: Vec<String> = ratings.map(|input| input.sha256.clone()).collect();
    // An archive stands in the record once per member.
    recorded.dedup();
    found.sort_unstable();
    recorded.sort_unstable();
    Ok(found == recorded)
}

/// Reads the ratings that a manifest records again, and compares the files' checksums.
pub(super) fn replay(
    settings: &TrainConfig,
    manifest: &Manifest,
    place: &Place<'_>,
    stop: &AtomicBool,
    observer: &Observer<'_>,
    warnings: &mut Vec<String>,
) -> Result<Dataset> {
    let how = "give the training ratings by --seen FILE";
    if manifest.inputs.iter().any(|input| input.uri == "-") && matches!(place, Place::Recorded) {
        let message =
            format!("the model was trained on standard input, which cannot be read again; {how}");
        return Err(Error::Usage(message));
    }
    let located = |files: &[String]| -> Vec<String> {
        files.iter().map(|file| from_there(file, manifest)).collect()
    };
    let settings = TrainConfig {
        input: match place {
            Place::Recorded => located(&settings.input),
            Place::Moved(files) => files.to_vec(),
        },
        test_file: located(&settings.test_file),
        ..settings.clone()
    };
    let mut durations = Durations::default();
    let mut reading = Reading { stop, observer, durations: &mut durations, warnings };
    let data = Dataset::read(&settings, &mut reading);
    let mut data = data.map_err(|error| match error {
        Error::Read { path, source } => {
            let message = format!("{source}; the model was trained on it: {how}");
            Error::Model { path, message }
        }
        other => other,
    })?;
    let checksums = data.inputs.checksums()?;
    let mut found = Vec::new();
    for (report, print) in data.inputs.reports.iter().zip(checksums) {
        let sum = print.map(|p| p.sha256).or_else(|| report.sha256.clone());
        found.push((report.uri.clone(), sum.unwrap_or_default()));
    }
    let recorded = manifest.inputs.iter().map(|input| (input.uri.clone(), input.sha256.clone()));
    let mut recorded: Vec<(String, String)> = recorded.collect();
    if matches!(place, Place::Moved(_)) {
        // In any order.
        found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        recorded.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    }
    let pairs = found.iter().zip(&recorded);
    let changed = pairs.into_iter().find(|(now, then)| now.1 != then.1).map(|(now, _)| &now.0);
    let fewer = recorded.get(found.len()).map(|then| &then.0);
    let more = found.get(recorded.len()).map(|now| &now.0);
    if let Some(uri) = changed.or(fewer).or(more) {
        let message = format!(
            "the files are not those that the model was trained on (changed, missing or new); {how}"
        );
        return Err(Error::Model { path: uri.into(), message });
    }
    Ok(data)
}

/// Reads ratings again that rows were folded in from, and compares the files' checksums.
pub(super) fn replay_folded(
    entry: &FoldedEntry,
    manifest: &Manifest,
    settings: &TrainConfig,
    stop: &AtomicBool,
    warnings: &mut Vec<String>,
) -> Result<Given> {
    let how = "give all ratings by --seen FILE";
    if entry.files.iter().any(|file| file == "-") {
        let message =
            format!("rows were folded in from standard input, which cannot be read again; {how}");
        return Err(Error::Usage(message));
    }
    let directory = entry.working_directory.as_deref().or(manifest.working_directory.as_deref());
    let files: Vec<String> = entry.files.iter().map(|file| from(file, directory)).collect();
    let reading = serde_json::from_value(entry.reading.clone());
    let reading = reading
        .map_err(|e| Error::Usage(format!("the record of a fold-in in the manifest: {e}")))?;
    let wrong = |path: PathBuf, message: String| Error::Model { path, message };
    let given = read_given(&files, &reading, settings, stop, warnings).map_err(|e| match e {
        Error::Read { path, source } => {
            wrong(path, format!("{source}; rows of the model were folded in from it: {how}"))
        }
        other => other,
    })?;
    for (nth, input) in given.inputs.iter().enumerate() {
        let found = match &input.file {
            Some(path) => fingerprint(path)?.sha256,
            None => input.sha256.clone().unwrap_or_default(),
        };
        if entry.inputs.get(nth).is_none_or(|then| then.sha256 != found) {
            let message =
                format!("not the file that rows of the model were folded in from (changed); {how}");
            return Err(wrong(input.uri.clone().into(), message));
        }
    }
    Ok(given)
}

/// A file as the training was told of it, from where the training ran.
fn from_there(file: &str, manifest: &Manifest) -> String {
    from(file, manifest.working_directory.as_deref())
}

fn from(file: &str, directory: Option<&str>) -> String {
    let directory = directory.map(Path::new);
    let here = std::env::current_dir().ok();
    match directory {
        Some(directory) if Path::new(file).is_relative() && here.as_deref() != Some(directory) => {
            directory.join(file).to_string_lossy().into_owned()
        }
        _ => file.to_owned(),
    }
}

/// The cells that the factors were fitted on, the validation part left out.
pub(super) fn fitted_on(settings: &TrainConfig, parts: &Parts, data: &Dataset) -> Vec<Cell> {
    set_aside(settings, parts.training.clone(), &data.users, &data.items).0
}

/// The settings of the training that a manifest records.
pub(super) fn recorded(manifest: &Manifest) -> Result<TrainConfig> {
    let config = serde_json::from_value(manifest.config.clone());
    let mut config: TrainConfig =
        config.map_err(|e| Error::Usage(format!("the settings in the model's manifest: {e}")))?;
    if config.regularization == Some(Automatic::Auto) {
        config.regularization = NonNegative::new(manifest.model.lambda).ok().map(Automatic::Value);
    }
    Ok(config)
}
