//! The main job: reads rating files and writes a model directory.

use std::time::Instant;

use super::dataset::Dataset;
use super::files::keep_ratings;
use super::finish::finish;
use super::fit::fit;
use super::folds::cross_validate;
use super::hints;
use super::measure::measure;
use super::notes::{Began, Notes};
use super::results::{Metrics, Report};
use super::sets::Prepared;
use super::write::{Destination, write};
use crate::error::{Error, Result};
use crate::job::{Job, with_threads};
use crate::settings::{Plan, TrainConfig};
use crate::store::{DirKind, OutDir};
use crate::system::now;

/// The warning for inputs without a rating column.
const NO_RATINGS: &str = "there is no rating column: every row is an event, and ials is trained; \
                          if a column holds ratings, name it with --rating-col NAME, which trains \
                          bayes by default";

/// Trains a model according to the settings and publishes it.
///
/// # Errors
/// Every kind of [`Error`]. A failure leaves an earlier model unchanged and nothing half-written.
pub fn train(config: &TrainConfig, job: &Job<'_>) -> Result<Report> {
    let output = config.check()?;
    let plan = config.plan()?;
    let out = OutDir::create(output, config.force, DirKind::Model)?;
    with_threads(config.threads, || {
        let began = Began { instant: Instant::now(), at: now() };
        let mut notes = Notes::default();
        let (plan, data) = read(config, plan, job, &mut notes)?;
        let kept = keep_ratings(&plan, &out, &data)?;
        let folds = cross_validate(&plan, &data, job)?;
        let prepared = Prepared::new(&plan, data, &mut notes)?;
        notes.warn(hints::of_values(&plan, &prepared.sets));
        let fitted = fit(&plan, &prepared.sets, None, None, job, &mut notes)?;
        let measured = measure(&fitted, &prepared.sets, None, job, &mut notes)?;
        let outcome = finish(prepared, fitted, false, None, job, &mut notes)?;
        let metrics = Metrics { folds, ..measured };
        write(Destination { out, kept }, &plan.record, outcome, metrics, began, job, notes)
    })
}

/// Reads the ratings.
///
/// If there is no rating column and the settings allow it, every row is an event.
fn read(
    config: &TrainConfig,
    plan: Plan,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<(Plan, Dataset)> {
    match Dataset::read(&plan.reading, job, notes) {
        Err(Error::MissingColumn { role: "rating", .. }) if config.may_be_events() => {
            let plan = config.of_events().plan()?;
            notes.warnings.push(NO_RATINGS.into());
            let data = Dataset::read(&plan.reading, job, notes)?;
            Ok((plan, data))
        }
        data => {
            notes.warn(config.implied_algorithm());
            Ok((plan, data?))
        }
    }
}
