//! The ratings of a stored model, read again, and other ratings under the model's numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;

use super::dataset::{Dataset, Reading};
use super::report::Durations;
use super::train::set_aside;
use super::{Observer, TrainConfig};
use crate::error::{Error, Result};
use crate::ids::{Id, Ids};
use crate::param::{Automatic, NonNegative};
use crate::ratings::Cell;
use crate::split::Parts;
use crate::store::Manifest;

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

    fn number(&mut self, id: Id<'_>) -> u32 {
        let position = match id {
            Id::Int(id) => self.known.find_int(id),
            Id::Text(id) => self.known.find(id),
        };
        if let Some(position) = position {
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

/// Reads the ratings that a manifest records again, and compares the files' checksums.
pub(super) fn replay(
    settings: &TrainConfig,
    manifest: &Manifest,
    stop: &AtomicBool,
    observer: &Observer<'_>,
) -> Result<Dataset> {
    let how = "; give the training ratings by --seen FILE";
    if manifest.inputs.iter().any(|input| input.uri == "-") {
        let message =
            format!("the model was trained on standard input, which cannot be read again{how}");
        return Err(Error::Usage(message));
    }
    let (mut durations, mut warnings) = (Durations::default(), Vec::new());
    let mut reading =
        Reading { stop, observer, durations: &mut durations, warnings: &mut warnings };
    let mut data = Dataset::read(settings, &mut reading)?;
    let prints = data.inputs.fingerprints.take().map(std::thread::JoinHandle::join).transpose();
    let prints = prints.map_err(|_| Error::Internal("hashing the inputs".into()))?;
    let mut found = BTreeMap::new();
    for (report, print) in data.inputs.reports.iter().zip(prints.unwrap_or_default()) {
        found.insert(report.uri.clone(), print?.map(|p| p.sha256));
    }
    for input in &manifest.inputs {
        let same = found.get(&input.uri).is_some_and(|sha| sha.as_deref() == Some(&*input.sha256));
        if !same {
            return Err(Error::Usage(format!(
                "{} is not the file that the model was trained on (its checksum or place changed){how}",
                input.uri
            )));
        }
    }
    Ok(data)
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
