//! Cross-validation.

use crate::metric::RATING_METRICS;
use std::collections::BTreeMap;
use std::time::Instant;

use super::cells::{all_cells, cut};
use super::dataset::Dataset;
use super::fit::run;
use super::measure::measure;
use super::notes::Notes;
use super::results::{FoldMetrics, Metrics, Spread};
use super::search::choose;
use super::sets::{Sets, keys};
use crate::error::{Error, Result};
use crate::job::{Event, Job};
use crate::settings::Plan;
use crate::split::Split;
use crate::train::Start;

/// Returns the rule that holds out one of several folds.
pub(crate) fn fold(plan: &Plan, number: u32, folds: u32) -> Split {
    Split::Fold { number, folds, salt: format!("{}/folds", plan.record.holdout_salt) }
}

/// Fits one model per fold on the other folds, and measures it on the fold.
///
/// The fits use the settings of the published model. Their metrics are only reported. Returns
/// `None` if no folds are requested.
pub(crate) fn cross_validate(
    plan: &Plan,
    data: &Dataset,
    job: &Job<'_>,
) -> Result<Option<FoldMetrics>> {
    let Some(folds) = plan.finish.folds else { return Ok(None) };
    let cells = all_cells(&data.parts, plan.reading.preparation.duplicates);
    let (ids, keys, since) = (&data.ids, keys(&data.ids), Instant::now());
    job.phase("cross-validating");
    let mut found: Vec<Metrics> = Vec::new();
    for number in 0..folds {
        let rule = fold(plan, number, folds);
        let (training, holdout) = cut(&rule, cells.clone(), (**ids).as_ref());
        if training.is_empty() || holdout.is_empty() {
            return Err(Error::Usage(format!(
                "--folds {folds}: fold {} has no ratings to train on or to measure on",
                number + 1
            )));
        }
        let sets = Sets { holdout, ..Sets::cut(&plan.watch, ids, &keys, training)? };
        // The durations and warnings of a fold are not those of the published model.
        let mut notes = Notes::default();
        let plan = choose(plan, &sets, None, job, &mut notes)?;
        let silent = job.silent();
        let fitted = run(plan, &sets, Start::Random, None, &silent, &mut notes);
        let fitted = fitted.map_err(|error| sets.named(error))?;
        let metrics = measure(&fitted, &sets, None, &silent, &mut notes)?;
        job.report(&Event::Fold(number + 1, folds, metrics.errors.holdout.rmse()));
        found.push(metrics);
    }
    Ok(Some(summary(folds, &found, since.elapsed().as_secs_f64())))
}

fn summary(folds: u32, found: &[Metrics], seconds: f64) -> FoldMetrics {
    let spread = |value: &dyn Fn(&Metrics) -> Option<f64>| {
        Spread::of(&found.iter().map(value).collect::<Vec<_>>())
    };
    let mut all =
        BTreeMap::from([("bias_only_rmse".to_owned(), spread(&|m| m.baselines.bias_only.rmse()))]);
    for name in RATING_METRICS {
        all.insert(format!("holdout_{name}"), spread(&|m| m.errors.holdout.get(name)));
    }
    let names = found.iter().filter_map(|m| m.ranking.as_ref()).flat_map(|r| r.values.keys());
    for name in names.cloned().collect::<Vec<_>>() {
        let value = |m: &Metrics| m.ranking.as_ref()?.values.get(&name).copied().flatten();
        all.insert(name.clone(), spread(&value));
    }
    let holdout_rmse = found.iter().map(|m| m.errors.holdout.rmse()).collect();
    FoldMetrics { folds, holdout_rmse, spread: all, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let spread = Spread::of(&[Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(spread, Some(Spread { mean: 2.0, std: 1.0 }));
        assert_eq!(Spread::of(&[Some(1.0), None]), None);
    }
}
