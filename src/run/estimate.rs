//! Estimates the memory and time of a run in advance.

use serde::Serialize;

use super::config::RunConfig;
use super::previous::Previous;
use super::units::Memory;
use crate::error::{Error, Result};
use crate::load::Source;
use crate::pair::Pair;
use crate::param::Rank;
use crate::settings::Plan;
use crate::store::Manifest;
use crate::training::cost;

/// Approximate memory of the program itself in bytes.
const BASE: u64 = 80 << 20;

/// Bytes per cell while the parts of a split are kept separately.
const CELL: u64 = 24;

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

/// The size of a training: numbers of users and items, of ratings and of held-out ratings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub rows: Pair<usize>,
    pub ratings: usize,
    pub holdout: usize,
}

/// Estimates the memory and time of a training.
pub(super) fn estimate(plan: &Plan, previous: Option<&Previous>, size: Size) -> Estimate {
    let Size { rows, ratings, holdout } = size;
    let facts = plan.facts();
    let rank = Rank::literal(facts.rank);
    let cost = cost(rank, rows, ratings);
    let rows = (rows.users + rows.items) as u64;
    let vector = 4 * (u64::from(rank.get()).next_multiple_of(16) + 1);
    let mut train = BASE + ratings as u64 * 16 + holdout as u64 * CELL;
    train += rows * plan.bytes_per_row() as u64;
    // The state after the last iteration, for a checkpoint.
    train += rows * plan.state_bytes_per_row() as u64;
    train += ratings as u64 * facts.bytes_per_rating;
    if plan.finish.refit {
        train += ratings as u64 * CELL;
    }
    if let Some(previous) = previous {
        let Manifest { data, .. } = &previous.manifest;
        let models = 1 + u64::from(previous.measured.is_some());
        // The models as read, and one more copy in the order of today's rows.
        train += (models + 1) * (data.n_users + data.n_items) as u64 * vector;
    }
    // Freed memory that the allocator keeps.
    train += train / 5;
    let kernel = cost.seconds_per_iteration * f64::from(facts.iterations);
    let measured = previous.and_then(|previous| previous.seconds(plan, ratings));
    let load_bytes = BASE + cost.load_bytes;
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
