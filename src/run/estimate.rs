//! Estimates the memory and time of a run in advance.

use serde::Serialize;

use super::config::RunConfig;
use super::previous::Previous;
use super::units::Memory;
use crate::error::{Error, Result};
use crate::load::Source;
use crate::settings::Plan;
use crate::store::Manifest;
use crate::training::{Cost, Size, cost};

/// An estimate of the memory and time of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Peak memory while reading, in bytes.
    pub load_bytes: u64,
    /// Peak memory while training, in bytes.
    pub train_bytes: u64,
    /// Seconds of all iterations of the training.
    pub train_seconds: f64,
}

impl Estimate {
    /// The larger of the two peaks, in bytes.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.load_bytes.max(self.train_bytes)
    }
}

/// Estimates the memory and time of a training.
pub(super) fn estimate(plan: &Plan, previous: Option<&Previous>, size: Size) -> Estimate {
    let Cost { load_bytes, train_bytes: mut train, seconds_per_iteration, .. } = cost(plan, size);
    let facts = plan.facts();
    if let Some(previous) = previous {
        let Manifest { data, .. } = &previous.manifest;
        let vector = 4 * (u64::from(facts.rank).next_multiple_of(16) + 1);
        let models = 1 + u64::from(previous.measured.is_some());
        // The models as read, and one more copy in the order of today's rows.
        train += (models + 1) * (data.n_users + data.n_items) as u64 * vector;
    }
    // Freed memory that the allocator keeps.
    train += train / 5;
    let kernel = seconds_per_iteration * f64::from(facts.iterations);
    let measured = previous.and_then(|previous| previous.seconds(plan, size.ratings));
    Estimate { load_bytes, train_bytes: train, train_seconds: measured.unwrap_or(kernel) }
}

/// Checks an estimate against the memory limit.
pub(super) fn check(config: &RunConfig, estimate: &Estimate) -> Result<()> {
    let Some(limit) = config.memory_limit else { return Ok(()) };
    if estimate.peak_bytes() <= limit.0 {
        return Ok(());
    }
    let what = match estimate.load_bytes > estimate.train_bytes {
        true => "reading and sorting the ratings (--since and minimum counts do not lower it)",
        false => "training (fewer --factors lower it)",
    };
    Err(Error::MemoryLimit {
        needed: Memory(estimate.peak_bytes()).to_string(),
        what: what.to_owned(),
        limit: limit.to_string(),
    })
}

/// The approximate number of ratings in files that are not read yet.
///
/// It follows from the bytes per rating of the earlier run. `None` without an earlier run.
pub(super) fn ratings_before_reading(
    sources: &[Source],
    previous: Option<&Previous>,
) -> Option<usize> {
    let manifest = &previous?.manifest;
    let now: u64 = sources.iter().filter_map(Source::size).sum();
    let ratings = manifest.inputs.iter().filter(|input| input.role == "ratings");
    let then: u64 = ratings.map(|input| input.bytes).sum();
    (then > 0).then(|| (now as f64 / then as f64 * manifest.data.n_ratings as f64) as usize)
}
