//! Rating files that are given for a stored model.

use super::source::Source;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::prepare::{Preparation, Prepared, prepare};
use crate::load::{InputReport, LoadOptions, TimeUse, load};
use crate::pair::Pair;
use crate::settings::{LoadConfig, Plan};

/// Ratings that were given, and how they were read.
pub(crate) struct Given {
    pub source: Source,
    /// One per file.
    pub inputs: Vec<InputReport>,
    /// The settings they were read by, what was taken from the training in place.
    pub reading: LoadConfig,
}

/// Reads files as the training was read unless `reading` says something else; what becomes of duplicates
/// is as in the training.
pub(crate) fn read_given(
    files: &[String],
    reading: &LoadConfig,
    plan: &Plan,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<Given> {
    let Preparation { counts, least, duplicates, .. } = plan.reading.preparation;
    let mut read = |reading: &LoadConfig| -> Result<Given> {
        let duplicates = Some(reading.duplicates.unwrap_or(duplicates));
        let reading = LoadConfig { duplicates, ..reading.clone() };
        let options = LoadOptions { counts, ..reading.options(TimeUse::Ignore) };
        let interactions = load((files, &[]), &options, job.stop, &|_, _| {})?;
        let inputs = interactions.inputs.clone();
        let bad = interactions.rejects.len();
        if bad > 0 {
            warnings.push(format!("{bad} bad rows of {} are left out", files.join(", ")));
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
        Ok(Given { source: Source { cells, ids: Pair { users, items } }, inputs, reading })
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
        // Other files may well have other columns.
        Err(Error::MissingColumn { .. }) if as_trained != *reading => read(reading),
        found => found,
    }
}
