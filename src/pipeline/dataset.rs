//! The prepared ratings of a run and their split: read once, fitted as often as wanted.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Instant;

use super::{Durations, TrainConfig};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::{Event, Observer};
use crate::load::prepare::{Duplicates, Preparation, Prepared, merge, prepare};
use crate::load::{Fingerprint, InputReport, LoadOptions, Reject, fingerprint, load};
use crate::ratings::{Cell, Ratings, Side};
use crate::split::{Parts, Split};

/// What reading leaves besides the cells.
pub(crate) struct Inputs {
    pub reports: Vec<InputReport>,
    pub n_test: usize,
    pub rejects: Vec<Reject>,
    pub zero_weight: u64,
    pub outside_time: u64,
    pub duplicates: u64,
    pub zero_counts: u64,
    pub below_minimum: u64,
    pub removed_from_training: u64,
    /// Checksums of the files, computed beside the training.
    pub fingerprints: Option<JoinHandle<Vec<Result<Option<Fingerprint>>>>>,
}

impl Inputs {
    /// Every input's checksum, where it is a file; they are computed beside the work until now.
    pub(crate) fn checksums(&mut self) -> Result<Vec<Option<Fingerprint>>> {
        let prints = self.fingerprints.take().map(JoinHandle::join).transpose();
        let prints = prints.map_err(|_| Error::Internal("hashing the inputs".into()))?;
        prints.unwrap_or_default().into_iter().collect()
    }
}

/// The cells of a run, under the ids of all of them.
pub(crate) struct Dataset {
    pub inputs: Inputs,
    pub users: Ids,
    pub items: Ids,
    pub parts: Parts,
    /// Cells in all.
    pub n_ratings: usize,
}

/// What reading needs besides the settings.
pub(super) struct Reading<'a> {
    pub stop: &'a AtomicBool,
    pub observer: &'a Observer<'a>,
    pub durations: &'a mut Durations,
    pub warnings: &'a mut Vec<String>,
}

impl Dataset {
    /// Reads, prepares and splits the ratings that `config` names.
    pub(super) fn read(config: &TrainConfig, reading: &mut Reading<'_>) -> Result<Self> {
        let (inputs, prepared) = read_cells(config, reading)?;
        let Prepared { cells, test, users, items, .. } = prepared;
        let n_ratings = cells.len() + test.len();
        let since = Instant::now();
        (reading.observer)(&Event::Phase("splitting"));
        let parts = match test.is_empty() {
            true => config.split().apply(cells, &users, &items),
            false => Parts { training: cells, holdout: test, ..Parts::default() },
        };
        let wanted = !matches!(config.split(), Split::None) || !config.test_file.is_empty();
        if parts.holdout.is_empty() && wanted {
            reading.warnings.push("the holdout is empty: its metrics are null".into());
        }
        if parts.training.is_empty() {
            return Err(Error::NothingLeft { after: "the holdout was taken off".into() });
        }
        reading.durations.csr += since.elapsed().as_secs_f64();
        Ok(Self { inputs, users, items, parts, n_ratings })
    }
}

/// The values of all cells.
pub(crate) fn values(parts: &Parts) -> impl Iterator<Item = f32> + Clone {
    let Parts { training, fold_in, holdout } = parts;
    training.iter().chain(fold_in).chain(holdout).map(|cell| cell.value)
}

/// All cells, training and held-out ones, sorted.
pub(super) fn all_cells(parts: &Parts, duplicates: Duplicates) -> Vec<Cell> {
    let Parts { training, fold_in, holdout } = parts;
    match fold_in.is_empty() {
        true => union(training, holdout, duplicates),
        false => union(&union(training, fold_in, duplicates), holdout, duplicates),
    }
}

/// The cells that held-out users are folded in from, as rows over all users; cells of items without
/// training ratings say nothing. None where no users are held out.
pub(super) fn fold_in_side(fold_in: &[Cell], training: &Ratings) -> Option<Side> {
    let usable = |cell: &&Cell| training.by_item.count(cell.item as usize) > 0;
    let usable: Vec<Cell> = fold_in.iter().filter(usable).copied().collect();
    let side = || Ratings::from_sorted(training.users(), training.items(), &usable).by_user;
    (!fold_in.is_empty()).then(side)
}

/// Reads the inputs and the test files, and prepares their cells.
fn read_cells(config: &TrainConfig, reading: &mut Reading<'_>) -> Result<(Inputs, Prepared)> {
    let Reading { stop, observer, .. } = *reading;
    let since = Instant::now();
    let progress = |done, total| observer(&Event::Reading(done, total));
    let counts = config.reads_counts();
    let options = LoadOptions { counts, ..config.load.options(config.time_use()) };
    let mut interactions = load((&config.input, &config.test_file), &options, stop, &progress)?;
    reading.durations.parse = since.elapsed().as_secs_f64();
    let (users, items) = (interactions.users.len(), interactions.items.len());
    observer(&Event::Read(interactions.len(), users, items));
    if interactions.some_times_unused {
        reading.warnings.push("some inputs have no times: ratings are ordered by file".into());
    }
    let n_test = interactions.n_test;
    let reports = interactions.inputs.clone();
    let rejects = std::mem::take(&mut interactions.rejects);
    let (zero_weight, outside_time) = (interactions.zero_weight, interactions.outside_time);
    let paths: Vec<Option<PathBuf>> = reports.iter().map(|r| r.file.clone()).collect();
    let since = Instant::now();
    observer(&Event::Phase("sorting"));
    let boundary = match config.split() {
        Split::Time { at } => Some(at),
        _ => None,
    };
    let preparation = Preparation {
        duplicates: config.load.duplicates(),
        minimum: config.load.minimum(),
        boundary,
        counts,
        least: config.positive_from,
    };
    let prepared = prepare(interactions, &preparation, stop)?;
    reading.durations.csr += since.elapsed().as_secs_f64();
    let fingerprints = std::thread::spawn(move || {
        paths.into_iter().map(|path| path.map(|p| fingerprint(&p)).transpose()).collect()
    });
    let inputs = Inputs {
        reports,
        n_test,
        rejects,
        zero_weight,
        outside_time,
        duplicates: prepared.duplicates,
        zero_counts: prepared.zero_counts,
        below_minimum: prepared.below_minimum,
        removed_from_training: prepared.in_test,
        fingerprints: Some(fingerprints),
    };
    Ok((inputs, prepared))
}

/// Two sets of cells as one, sorted; a cell in both (after a split by time) is resolved as duplicates
/// are.
pub(super) fn union(first: &[Cell], second: &[Cell], duplicates: Duplicates) -> Vec<Cell> {
    let mut all = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    let key = |c: &Cell| (c.user, c.item);
    while let (Some(&x), Some(&y)) = (a.peek(), b.peek()) {
        match key(x).cmp(&key(y)) {
            Ordering::Less => all.extend(a.next().copied()),
            Ordering::Greater => all.extend(b.next().copied()),
            Ordering::Equal => {
                all.push(merge(&[*x, *y], duplicates));
                a.next();
                b.next();
            }
        }
    }
    all.extend(a);
    all.extend(b);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_is_sorted_and_resolves_duplicates() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let all = union(
            &[cell(0, 1, 1.0), cell(0, 3, 1.0), cell(2, 0, 1.0)],
            &[cell(0, 0, 2.0), cell(0, 3, 2.0), cell(3, 0, 2.0)],
            Duplicates::Mean,
        );
        let of: Vec<_> = all.iter().map(|c| (c.user, c.item, c.value)).collect();
        assert_eq!(of, [(0, 0, 2.0), (0, 1, 1.0), (0, 3, 1.5), (2, 0, 1.0), (3, 0, 2.0)]);
    }
}
