//! The ratings of a stored model, read again, and other ratings under the model's numbers.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::dataset::{Dataset, Reading};
use super::given::read_given;
use super::reading::LoadConfig;
use super::report::Durations;
use super::train::set_aside;
use super::{Holdout, TrainConfig};
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::Observer;
use crate::load::prepare::Duplicates;
use crate::load::{self, expand, fingerprint};
use crate::model::Model;
use crate::param::{Automatic, NonNegative, Rank};
use crate::ratings::Cell;
use crate::remote::is_url;
use crate::split::Parts;
use crate::store::{HOLDOUT_RATINGS, InputEntry, Manifest, TRAINING_RATINGS, folded_file, verify};

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
pub(super) fn same_files(files: &[String], manifest: &Manifest, stop: &AtomicBool) -> Result<bool> {
    let mut found = Vec::new();
    for file in files {
        let path = Path::new(file);
        if is_url(file) {
            let sources = expand(std::slice::from_ref(file), stop)?;
            let [load::Source::Object(object)] = &*sources else { return Ok(false) };
            found.push(object.sha256(stop)?);
            continue;
        }
        // A pattern or a directory: it is read as ratings, and counted.
        if !path.is_file() {
            return Ok(false);
        }
        found.push(fingerprint(path)?.sha256);
    }
    let mut recorded = recorded_files(&manifest.inputs);
    found.sort_unstable();
    recorded.sort_unstable();
    Ok(found == recorded)
}

/// The checksums of the rating files, each file once: an archive stands in the record once per member.
fn recorded_files(inputs: &[InputEntry]) -> Vec<String> {
    let archive = |input: &InputEntry| {
        let (archive, member) = input.uri.rsplit_once(':')?;
        (!member.starts_with("//")).then(|| archive.to_owned())
    };
    let mut archives = HashSet::new();
    let ratings = inputs.iter().filter(|input| input.role == "ratings");
    let once = ratings.filter(|input| match archive(input) {
        Some(archive) => archives.insert((archive, &input.sha256)),
        None => true,
    });
    once.map(|input| input.sha256.clone()).collect()
}

/// The settings that read the ratings that a run kept, if it did.
fn kept(
    settings: &TrainConfig,
    (path, manifest): (&Path, &Manifest),
) -> Result<Option<TrainConfig>> {
    let entry = |name: &str| manifest.outputs.iter().find(|entry| entry.path == name);
    let Some(training) = entry(TRAINING_RATINGS) else { return Ok(None) };
    let file = |entry| Ok::<_, Error>(verify(path, entry)?.to_string_lossy().into_owned());
    let holdout = entry(HOLDOUT_RATINGS).map(file).transpose()?;
    let weighted = training.schema.contains("weight");
    Ok(Some(TrainConfig {
        input: vec![file(training)?],
        holdout: Holdout::None,
        test_file: holdout.into_iter().collect(),
        leave_out: None,
        split_time: None,
        fold_in_ratio: None,
        load: LoadConfig {
            weight_col: weighted.then(|| "weight".into()),
            id_type: settings.load.id_type,
            duplicates: Some(Duplicates::Last),
            ..LoadConfig::default()
        },
        ..settings.clone()
    }))
}

/// Whether a run kept its ratings.
pub(super) fn keeps_ratings(manifest: &Manifest) -> bool {
    manifest.outputs.iter().any(|entry| entry.path == TRAINING_RATINGS)
}

/// Reads the ratings that a run kept, or those that its manifest records again, whose checksums are then
/// compared.
pub(super) fn replay(
    settings: &TrainConfig,
    (path, manifest): (&Path, &Manifest),
    place: &Place<'_>,
    stop: &AtomicBool,
    observer: &Observer<'_>,
    warnings: &mut Vec<String>,
) -> Result<Dataset> {
    if matches!(place, Place::Recorded)
        && let Some(kept) = kept(settings, (path, manifest))?
    {
        let mut durations = Durations::default();
        let mut reading = Reading { stop, observer, durations: &mut durations, warnings };
        return Dataset::read(&kept, &mut reading);
    }
    let how = match place {
        Place::Recorded => "give the training ratings by --seen FILE",
        Place::Moved(_) => "the very files of the training are needed",
    };
    if manifest.inputs.iter().any(|input| input.uri == "-") && matches!(place, Place::Recorded) {
        let message =
            format!("the model was trained on standard input, which cannot be read again; {how}");
        return Err(Error::Usage(message));
    }
    let settings = TrainConfig {
        input: located(&settings.input, manifest, place),
        test_file: located(&settings.test_file, manifest, &Place::Recorded),
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

/// The ratings that rows of one side were folded in from; none where nothing was.
pub(super) fn replay_folded(
    axis: Axis,
    (path, manifest): (&Path, &Manifest),
    settings: &TrainConfig,
    stop: &AtomicBool,
) -> Result<Option<Source>> {
    let entry = manifest.outputs.iter().find(|entry| entry.path == folded_file(axis));
    let Some(entry) = entry else { return Ok(None) };
    let file = verify(path, entry)?.to_string_lossy().into_owned();
    let reading = LoadConfig {
        weight_col: Some("weight".into()),
        duplicates: Some(Duplicates::Last),
        ..LoadConfig::default()
    };
    read_given(&[file], &reading, settings, stop, &mut Vec::new()).map(|given| Some(given.source))
}

/// Whether rows of a model are solved exactly, which `what` needs.
pub(super) fn solves_rows((model, manifest): (&Model, &Manifest), what: &str) -> Result<()> {
    match manifest.model.algorithm.as_str() {
        "als" | "ials" => Ok(()),
        "bayes" if model.uncertainty.is_some() => Ok(()),
        "bayes" => Err(Error::Usage(format!(
            "{what} needs the posterior, which this model does not keep: train it again by bayes with \
             --inference vb"
        ))),
        other => Err(Error::Usage(format!(
            "{what} needs exact solves of rows, which models of bayes, als and ials have; {other} has none"
        ))),
    }
}

/// The files of a training, from here.
pub(super) fn located(files: &[String], manifest: &Manifest, place: &Place<'_>) -> Vec<String> {
    match place {
        Place::Recorded => {
            files.iter().map(|file| from(file, manifest.working_directory.as_deref())).collect()
        }
        Place::Moved(files) => files.to_vec(),
    }
}

/// A file as the program was told of it, from where it ran.
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
pub(crate) fn recorded(manifest: &Manifest) -> Result<TrainConfig> {
    let config = serde_json::from_value(manifest.config.clone());
    let mut config: TrainConfig =
        config.map_err(|e| Error::Usage(format!("the settings in the model's manifest: {e}")))?;
    // What was chosen from the ratings, by a law or a search.
    if config.regularization.is_none_or(|lambda| lambda == Automatic::Auto) {
        config.regularization = NonNegative::new(manifest.model.lambda)
            .ok()
            .filter(|_| matches!(manifest.model.algorithm.as_str(), "als" | "ials" | "sgd"))
            .map(Automatic::Value);
    }
    if config.factors.is_none() {
        config.factors = Rank::new(manifest.model.k).ok();
    }
    if let (None, Some(weight)) = (config.unobserved_weight, manifest.model.unobserved_weight) {
        config.unobserved_weight = NonNegative::new(weight).ok();
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_are_two_and_members_of_an_archive_one() {
        let input = |role: &str, uri: &str, sha256: &str| InputEntry {
            uri: uri.to_owned(),
            role: role.to_owned(),
            sha256: sha256.to_owned(),
            ..InputEntry::default()
        };
        let inputs = [
            input("ratings", "a.csv", "1"),
            input("ratings", "copy-of-a.csv", "1"),
            input("ratings", "s3://bucket/b.csv", "1"),
            input("ratings", "z.zip:u.csv", "2"),
            input("ratings", "z.zip:v.csv", "2"),
            input("ratings", "copy-of-z.zip:u.csv", "2"),
            input("test", "t.csv", "3"),
        ];
        assert_eq!(recorded_files(&inputs), ["1", "1", "1", "2", "2"]);
    }
}
