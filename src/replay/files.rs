//! Reads rating files that are passed along with a stored model.

use super::source::Source;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::prepare::{Preparation, Prepared, prepare};
use crate::load::{InputReport, LoadOptions, TimeUse, load};
use crate::pair::Pair;
use crate::ratings::Cell;
use crate::settings::{LoadConfig, Plan};
use crate::store::Data;

/// The ratings of passed files, and how they were read.
pub(crate) struct FileRatings {
    pub source: Source,
    /// One report per file.
    pub inputs: Vec<InputReport>,
    /// The settings of reading, including those taken over from the training.
    pub reading: LoadConfig,
}

impl FileRatings {
    /// A warning about ratings outside the range of the ratings that a model was trained on.
    pub(crate) fn outside(&self, trained: &Data) -> Option<String> {
        let range = trained.rating_min..=trained.rating_max;
        let outside = |cell: &&Cell| !range.contains(&f64::from(cell.value));
        let cells = self.source.cells.iter().filter(outside);
        let (count, first) = (cells.clone().count(), cells.clone().next()?);
        Some(format!(
            "{count} of the ratings lie outside the range of the training ratings ({} to {}), for \
             example {}: check their scale",
            range.start(),
            range.end(),
            first.value
        ))
    }
}

/// Reads files as the training files were read, unless `reading` differs from the defaults.
///
/// Filters by date and by minimum counts are not taken over from the training. Duplicates are
/// combined as in the training unless `reading` sets another rule. If a column of the training is
/// missing in the files, they are read by the default settings.
pub(crate) fn read_files(
    files: &[String],
    reading: &LoadConfig,
    plan: &Plan,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<FileRatings> {
    let Preparation { counts, least, duplicates, .. } = plan.reading.preparation;
    let mut read = |reading: &LoadConfig| -> Result<FileRatings> {
        let duplicates = Some(reading.duplicates.unwrap_or(duplicates));
        let reading = LoadConfig { duplicates, ..reading.clone() };
        let options = LoadOptions { counts, ..reading.options(TimeUse::Ignore) };
        let mut interactions = load(files, &[], &options, job.stop, &|_, _| {})?;
        warnings.append(&mut interactions.warnings);
        let inputs = interactions.inputs.clone();
        let bad = interactions.rejects.len();
        if bad > 0 {
            warnings.push(format!("bad rows set aside in {}: {bad}", files.join(", ")));
        }
        let preparation = Preparation {
            duplicates: reading.duplicates(),
            minimum: reading.minimum(),
            boundary: None,
            counts,
            least,
        };
        let prepared = prepare(interactions, &preparation, job.stop)?;
        let Prepared { cells, users, items, .. } = prepared;
        Ok(FileRatings { source: Source { cells, ids: Pair { users, items } }, inputs, reading })
    };
    if *reading != LoadConfig::default() {
        return read(reading);
    }
    let as_trained = LoadConfig {
        since: None,
        until: None,
        min_user_ratings: 0,
        min_item_ratings: 0,
        ..plan.record.load.clone()
    };
    match read(&as_trained) {
        // Other files may have other columns than the training files.
        Err(Error::MissingColumn { .. }) if as_trained != *reading => read(reading),
        found => found,
    }
}
