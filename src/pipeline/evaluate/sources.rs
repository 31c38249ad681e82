//! Where the training, test and fold-in cells come from.

use std::sync::atomic::AtomicBool;

use super::super::dataset::all_cells;
use super::super::reading::LoadConfig;
use super::super::record::{Place, Source, fitted_on, replay, same_files};
use super::super::{AlgorithmName, Observer, TrainConfig};
use super::EvaluateConfig;
use crate::error::{Error, Result};
use crate::load::prepare::{Preparation, prepare};
use crate::load::{LoadOptions, TimeUse, load};
use crate::ratings::Cell;
use crate::store::Manifest;

/// The cells, as they were read.
pub(super) struct Sources {
    /// What the factors were fitted on.
    pub fitted: Source,
    /// That and the validation part, where there is one: no test rating.
    pub looked_at: Option<Source>,
    pub test: Source,
    /// What users are folded in from.
    pub given: Source,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Sources {
    /// From the run record; what is given by files from these.
    pub(super) fn read(
        config: &EvaluateConfig,
        settings: &TrainConfig,
        manifest: &Manifest,
        stop: &AtomicBool,
        observer: &Observer<'_>,
    ) -> Result<Self> {
        let mut warnings = Vec::new();
        let mut files = |names: &[String]| read_files(names, config, settings, stop, &mut warnings);
        let place = match config.seen.is_empty() {
            true => Place::Recorded,
            false => Place::Moved(&config.seen),
        };
        let own_holdout = config.input.is_empty();
        let recorded = config.seen.is_empty() || same_files(&config.seen, manifest)?;
        if !recorded && own_holdout {
            return Err(Error::Usage(
                "--seen holds other files than the model was trained on (by their checksums), so its own \
                 holdout is not known: give test ratings"
                    .into(),
            ));
        }
        let (test, given) = match (own_holdout, config.fold_in.is_empty()) {
            (true, _) => (Source::default(), Source::default()),
            (false, true) => (files(&config.input)?, Source::default()),
            (false, false) => (files(&config.input)?, files(&config.fold_in)?),
        };
        if !recorded {
            let fitted = files(&config.seen)?;
            check_count(fitted.cells.len(), manifest)?;
            return Ok(Self { fitted, looked_at: None, test, given, warnings });
        }
        let mut data = replay(settings, manifest, &place, stop, observer, &mut warnings)?;
        let parts = std::mem::take(&mut data.parts);
        let source = |cells: Vec<Cell>| Source {
            cells,
            users: data.users.clone(),
            items: data.items.clone(),
        };
        let fitted = match manifest.model.refit && !own_holdout {
            true => source(all_cells(&parts, settings.load.duplicates())),
            false => source(fitted_on(settings, &parts, &data)),
        };
        let more = parts.training.len() > fitted.cells.len();
        let looked_at = more.then(|| source(parts.training));
        let (test, given) = match own_holdout {
            true => (source(parts.holdout), source(parts.fold_in)),
            false => (test, given),
        };
        Ok(Self { fitted, looked_at, test, given, warnings })
    }
}

/// Compares the number of training ratings with what the manifest says.
fn check_count(found: usize, manifest: &Manifest) -> Result<()> {
    let split = &manifest.split;
    let fitted = if manifest.model.refit { manifest.data.n_ratings } else { split.n_train };
    if [fitted, split.n_train + split.n_validation].contains(&found) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--seen holds {found} ratings, but the model was trained on {fitted}: give exactly these, or the \
         files as they were"
    )))
}

/// Reads files that are given to evaluate, as the training was read unless something else is said; what
/// becomes of duplicates is as in the training.
fn read_files(
    files: &[String],
    config: &EvaluateConfig,
    settings: &TrainConfig,
    stop: &AtomicBool,
    warnings: &mut Vec<String>,
) -> Result<Source> {
    let counts = settings.algorithm == AlgorithmName::Ials;
    let mut read = |reading: &LoadConfig| -> Result<Source> {
        let duplicates = reading.duplicates.or(settings.resolved().load.duplicates);
        let reading = LoadConfig { duplicates, ..reading.clone() };
        let options = LoadOptions { counts, ..reading.options(TimeUse::Ignore) };
        let interactions = load((files, &[]), &options, stop, &|_, _| {})?;
        let bad = interactions.rejects.len();
        if bad > 0 {
            warnings.push(format!("{bad} bad rows of {} are left out", files.join(", ")));
        }
        let preparation = Preparation {
            duplicates: reading.duplicates(),
            minimum: reading.minimum(),
            boundary: None,
            counts,
        };
        let prepared = prepare(interactions, &preparation, stop)?;
        Ok(Source { cells: prepared.cells, users: prepared.users, items: prepared.items })
    };
    if config.load != LoadConfig::default() {
        return read(&config.load);
    }
    let as_trained = LoadConfig {
        since: None,
        until: None,
        min_user_ratings: 0,
        min_item_ratings: 0,
        ..settings.load.clone()
    };
    match read(&as_trained) {
        // Other files may well have other columns.
        Err(Error::MissingColumn { .. }) if as_trained != config.load => read(&config.load),
        found => found,
    }
}
