//! Reading the inputs of a training.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use super::super::{AlgorithmName, Event};
use super::Run;
use crate::error::Result;
use crate::load::prepare::{Preparation, Prepared, prepare};
use crate::load::{Fingerprint, InputReport, LoadOptions, Reject, fingerprint, load};
use crate::split::Split;

/// What reading leaves besides the cells.
pub(in crate::pipeline) struct Inputs {
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

impl Run<'_> {
    /// Reads the inputs and the test files, and prepares their cells.
    pub(super) fn load(&mut self) -> Result<(Inputs, Prepared)> {
        let config = &self.config;
        let since = Instant::now();
        let progress = |done, total| (self.observer)(&Event::Reading(done, total));
        let counts = config.algorithm == AlgorithmName::Ials;
        let options = LoadOptions { counts, ..config.load.options(config.time_use()) };
        let mut interactions =
            load((&config.input, &config.test_file), &options, self.stop, &progress)?;
        self.durations.parse = since.elapsed().as_secs_f64();
        let (users, items) = (interactions.users.len(), interactions.items.len());
        (self.observer)(&Event::Read(interactions.len(), users, items));
        if interactions.some_times_unused {
            self.warnings.push("some inputs have no times: ratings are ordered by file".into());
        }
        let n_test = interactions.n_test;
        let reports = interactions.inputs.clone();
        let rejects = std::mem::take(&mut interactions.rejects);
        let (zero_weight, outside_time) = (interactions.zero_weight, interactions.outside_time);
        let paths: Vec<Option<PathBuf>> = reports.iter().map(|r| r.file.clone()).collect();
        let since = Instant::now();
        (self.observer)(&Event::Phase("sorting"));
        let boundary = match config.split() {
            Split::Time { at } => Some(at),
            _ => None,
        };
        let preparation = Preparation {
            duplicates: config.load.duplicates(),
            minimum: config.load.minimum(),
            boundary,
            counts,
        };
        let prepared = prepare(interactions, &preparation, self.stop)?;
        self.durations.csr += since.elapsed().as_secs_f64();
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
}
