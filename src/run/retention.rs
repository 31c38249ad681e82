//! Removes old runs.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::config::RunConfig;
use super::directory::RunDirectory;
use super::places::Place;
use super::records;
use super::run_id::began;
use super::units::Span;
use crate::error::Result;
use crate::job::Job;
use crate::system::now;

/// The outcome of [`prune`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Ids of the removed runs, published and rejected.
    pub removed: Vec<String>,
    /// Number of runs that stay, published and rejected.
    pub kept: usize,
}

/// Removes every run that is neither among the `last` runs nor started `within` the last span of
/// time.
///
/// The published run always stays, and so do the runs that it depends on. Published and rejected
/// runs are counted separately. If `dry` is set, nothing is removed, only reported.
///
/// # Errors
/// [`crate::error::Error::Model`] if the directory is not a directory of runs,
/// [`crate::error::Error::Locked`].
pub fn prune(root: &Path, last: u32, within: Span, dry: bool, job: &Job<'_>) -> Result<Pruned> {
    let directory = RunDirectory::open(root, job)?;
    let _lock = match dry {
        true => None,
        false => Some(directory.lock("prune", Duration::ZERO, job, &|_| {})?),
    };
    // Another run may have been published in the meantime.
    directory.pull(job)?;
    directory.check_pointer()?;
    Ok(remove(&directory, last as usize, within, now(), (!dry).then_some(job)))
}

/// Prunes like [`prune`], with the settings of a run that holds the lock.
pub(super) fn keep(
    directory: &RunDirectory,
    config: &RunConfig,
    now: i64,
    job: &Job<'_>,
) -> Pruned {
    remove(directory, config.keep_last.get() as usize, config.keep_within, now, Some(job))
}

/// Seconds since the start of a run. The age is 0 if the clock was set back to before the start.
fn age(began: i64, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(began)).unwrap_or(0)
}

fn remove(
    directory: &RunDirectory,
    last: usize,
    Span(within): Span,
    now: i64,
    job: Option<&Job<'_>>,
) -> Pruned {
    let latest = directory.latest();
    let lineage = latest.as_deref().and_then(|id| records::read(&directory.run(id)).ok());
    let lineage = lineage.and_then(|record| record.run).map(|run| run.lineage).unwrap_or_default();
    let pointed = directory.pointer().map(|pointer| pointer.run_id);
    let needed = [latest, pointed, lineage.warm_start_from, lineage.aligned_to];
    let needed: HashSet<String> = needed.into_iter().flatten().collect();
    let recent = |id: &str| began(id).is_none_or(|began| age(began, now) <= within.as_secs());
    let mut pruned = Pruned::default();
    for (ids, place) in [(directory.runs(), Place::RUNS), (directory.rejects(), Place::REJECTS)] {
        let old = ids.len().saturating_sub(last);
        for (at, id) in ids.iter().enumerate() {
            if at >= old || recent(id) || needed.contains(id) {
                pruned.kept += 1;
                continue;
            }
            if job.is_none_or(|job| directory.remove(place, id, job)) {
                pruned.removed.push(id.clone());
            }
        }
    }
    pruned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_compare_with_any_span() {
        assert_eq!([age(10, 25), age(25, 10), age(i64::MIN, i64::MAX)], [15, 0, i64::MAX as u64]);
        // A span longer than the clock can count keeps everything.
        assert!(age(0, 4_102_444_800) <= std::time::Duration::MAX.as_secs());
    }
}
