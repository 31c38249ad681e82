//! The sources of the training, test and fold-in cells.

use super::config::EvaluateConfig;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::Job;
use crate::ratings::Cell;
use crate::replay::{
    Place, Published, Source, fitted_on, published_on, read_files, replay, replay_folded,
    same_files,
};
use crate::settings::Plan;
use crate::store::Manifest;

/// The cells of an evaluation, as they were read.
pub(super) struct Sources {
    /// The cells that the factors were fitted to.
    pub fitted: Source,
    /// The fitted cells and the validation cells, if there are validation cells. None of them is a
    /// test rating.
    pub excluded: Option<Source>,
    pub test: Source,
    /// The cells that users are folded in from.
    pub fold_in: Source,
    /// The cells of rows that were folded in after the training.
    pub folded: Vec<(Axis, Source)>,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
}

impl Sources {
    /// Reads the cells that the manifest records. Files named in the settings take precedence.
    pub(super) fn read(
        config: &EvaluateConfig,
        plan: &Plan,
        published: &Published,
        job: &Job<'_>,
    ) -> Result<Self> {
        let manifest = &published.manifest;
        let mut warnings = Vec::new();
        let mut files = |names: &[String]| {
            let found = read_files(names, &config.load, plan, job, &mut warnings)?;
            Ok::<Source, Error>(found.source)
        };
        let place = Place::of(&config.seen);
        let own_holdout = config.input.is_empty();
        let recorded = config.seen.is_empty() || same_files(&config.seen, manifest, job)?;
        if !recorded && own_holdout {
            return Err(Error::Usage(
                "--seen holds other files than the model was trained on (their checksums differ), \
                 so the model's own holdout is unknown; give test ratings"
                    .into(),
            ));
        }
        let (test, fold_in) = match (own_holdout, config.fold_in.is_empty()) {
            (true, _) => (Source::default(), Source::default()),
            (false, true) => (files(&config.input)?, Source::default()),
            (false, false) => (files(&config.input)?, files(&config.fold_in)?),
        };
        if !recorded {
            let fitted = files(&config.seen)?;
            check_count(fitted.cells.len(), manifest)?;
            let folded = Vec::new();
            return Ok(Self { fitted, excluded: None, test, fold_in, folded, warnings });
        }
        let mut data = replay(plan, published, place, job, &mut warnings)?;
        // The model's own holdout was measured before the factors were refitted with it.
        let fitted = match own_holdout {
            true => fitted_on(plan, &data),
            false => published_on(plan, manifest, &data),
        };
        let parts = std::mem::take(&mut data.parts);
        let source = |cells: Vec<Cell>| Source { cells, ids: (*data.ids).clone() };
        let fitted = source(fitted);
        let more = parts.training.len() > fitted.cells.len();
        let excluded = more.then(|| source(parts.training));
        let (test, fold_in) = match own_holdout {
            true => (source(parts.holdout), source(parts.fold_in)),
            false => (test, fold_in),
        };
        let mut folded = Vec::new();
        for axis in Axis::BOTH {
            let source = replay_folded(axis, published, plan, job)?;
            folded.extend(source.map(|source| (axis, source)));
        }
        Ok(Self { fitted, excluded, test, fold_in, folded, warnings })
    }
}

/// Compares the number of training ratings with the manifest.
fn check_count(found: usize, manifest: &Manifest) -> Result<()> {
    let split = &manifest.split;
    let fitted = if manifest.model.refit { manifest.data.n_ratings } else { split.n_train };
    if [fitted, split.n_train + split.n_validation].contains(&found) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--seen holds {found} ratings, but the model was trained on {fitted}; give exactly these \
         ratings, or the unchanged files"
    )))
}
