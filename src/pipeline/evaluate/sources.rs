//! Where the training, test and fold-in cells come from.

use std::sync::atomic::AtomicBool;

use super::super::TrainConfig;
use super::super::dataset::all_cells;
use super::super::given::read_given;
use super::super::record::{Place, Source, fitted_on, replay, replay_folded, same_files};
use super::EvaluateConfig;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::Observer;
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
    /// Rows that were folded in after the training.
    pub folded: Vec<(Axis, Source)>,
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
        let mut files = |names: &[String]| {
            let given = read_given(names, &config.load, settings, stop, &mut warnings)?;
            Ok::<Source, Error>(given.source)
        };
        let place = match config.seen.is_empty() {
            true => Place::Recorded,
            false => Place::Moved(&config.seen),
        };
        let own_holdout = config.input.is_empty();
        let recorded = config.seen.is_empty() || same_files(&config.seen, manifest, stop)?;
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
            return Ok(Self { fitted, looked_at: None, test, given, folded: Vec::new(), warnings });
        }
        let mut data =
            replay(settings, (&config.model, manifest), &place, stop, observer, &mut warnings)?;
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
        let mut folded = Vec::new();
        for axis in [Axis::User, Axis::Item] {
            let source = replay_folded(axis, (&config.model, manifest), settings, stop)?;
            folded.extend(source.map(|source| (axis, source)));
        }
        Ok(Self { fitted, looked_at, test, given, folded, warnings })
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
