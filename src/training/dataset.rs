//! The prepared ratings of a training and their split.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::notes::Notes;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::{Event, Job};
use crate::load::prepare::{Prepared, prepare};
use crate::load::{
    Fingerprint, InputReport, Interactions, Reject, fingerprint, load, value_warnings,
};
use crate::pair::Pair;
use crate::settings::Reading;
use crate::split::{Parts, Split};

/// Facts about the inputs, in addition to their cells.
pub(crate) struct Inputs {
    pub reports: Vec<InputReport>,
    pub n_test: usize,
    pub rejects: Vec<Reject>,
    pub zero_weight: u64,
    pub outside_time: u64,
    pub without_id: u64,
    pub dropped_ratings: u64,
    pub duplicates: u64,
    pub zero_counts: u64,
    pub below_minimum: u64,
    pub removed_from_training: u64,
    /// The thread that computes the checksums of the files during the training.
    fingerprints: Option<JoinHandle<Vec<Result<Option<Fingerprint>>>>>,
    /// The checksums, once they are known.
    checksums: Vec<Option<Fingerprint>>,
}

impl Inputs {
    /// Returns the checksum of every input, or `None` for an input that is not a file.
    ///
    /// The first call waits until the checksums are computed.
    pub(crate) fn checksums(&mut self) -> Result<&[Option<Fingerprint>]> {
        if let Some(computing) = self.fingerprints.take() {
            let found = computing.join();
            let found = found.map_err(|_| Error::Internal("hashing the inputs".into()))?;
            self.checksums = found.into_iter().collect::<Result<_>>()?;
        }
        Ok(&self.checksums)
    }

    /// Returns the SHA-256 of every input, or an empty text if it is unknown.
    pub(crate) fn sha256(&mut self) -> Result<Vec<String>> {
        self.checksums()?;
        let sums = self.reports.iter().zip(&self.checksums).map(|(report, print)| {
            let sum = print.as_ref().map(|print| &print.sha256).or(report.sha256.as_ref());
            sum.cloned().unwrap_or_default()
        });
        Ok(sums.collect())
    }

    /// Returns the reports of the rating files, without those of test files.
    pub(crate) fn of_ratings(&self) -> &[InputReport] {
        &self.reports[..self.reports.len() - self.n_test]
    }
}

/// The cells of a training, with the positions of their users and items in `ids`.
pub(crate) struct Dataset {
    pub inputs: Inputs,
    pub ids: Arc<Pair<Ids>>,
    pub parts: Parts,
    /// Number of cells in all parts.
    pub n_ratings: usize,
}

impl Dataset {
    /// Reads, prepares and splits ratings.
    pub(crate) fn read(reading: &Reading, job: &Job<'_>, notes: &mut Notes) -> Result<Self> {
        let (inputs, prepared) = read_cells(reading, job, notes)?;
        let Prepared { cells, test, users, items, .. } = prepared;
        let n_ratings = cells.len() + test.len();
        job.phase("splitting");
        let parts = notes.timed(
            |s| &mut s.csr,
            |_| match test.is_empty() {
                true => reading.split.apply(cells, &users, &items),
                false => Parts { training: cells, holdout: test, ..Parts::default() },
            },
        );
        let wanted = !matches!(reading.split, Split::None) || !reading.test_file.is_empty();
        if parts.holdout.is_empty() && wanted {
            notes.warnings.push("the holdout is empty: its metrics are null".into());
        }
        if parts.training.is_empty() {
            return Err(Error::NothingLeft { after: "the holdout was split off".into() });
        }
        Ok(Self { inputs, ids: Arc::new(Pair { users, items }), parts, n_ratings })
    }
}

/// Reads the inputs and the test files, and prepares their cells.
fn read_cells(reading: &Reading, job: &Job<'_>, notes: &mut Notes) -> Result<(Inputs, Prepared)> {
    let since = Instant::now();
    let progress = |done, total| job.report(&Event::Reading(done, total));
    let Reading { input, test_file, options, .. } = reading;
    let mut interactions = load(input, test_file, options, job.stop, &progress)?;
    notes.seconds.parse = since.elapsed().as_secs_f64();
    let (users, items) = (interactions.users.len(), interactions.items.len());
    job.report(&Event::Read(interactions.len(), users, items));
    notes.warnings.append(&mut interactions.warnings);
    let n_test = interactions.n_test;
    let reports = interactions.inputs.clone();
    let rejects = std::mem::take(&mut interactions.rejects);
    let Interactions { zero_weight, outside_time, without_id, dropped_ratings, .. } = interactions;
    let paths: Vec<Option<PathBuf>> = reports.iter().map(|r| r.file.clone()).collect();
    job.phase("sorting");
    let prepared =
        notes.timed(|s| &mut s.csr, |_| prepare(interactions, &reading.preparation, job.stop))?;
    if !options.counts {
        notes.warnings.append(&mut value_warnings(&prepared, &reports));
    }
    let fingerprints = std::thread::spawn(move || {
        paths.into_iter().map(|path| path.map(|p| fingerprint(&p)).transpose()).collect()
    });
    let inputs = Inputs {
        reports,
        n_test,
        rejects,
        zero_weight,
        outside_time,
        without_id,
        dropped_ratings,
        duplicates: prepared.duplicates,
        zero_counts: prepared.zero_counts,
        below_minimum: prepared.below_minimum,
        removed_from_training: prepared.in_test,
        fingerprints: Some(fingerprints),
        checksums: Vec::new(),
    };
    Ok((inputs, prepared))
}
