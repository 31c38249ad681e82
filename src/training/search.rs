//! Searches for what a law does not give: `--regularization auto`, and what `ials` chooses by default.
//! Values are compared on ratings that are set aside from the training ones.

use std::ops::ControlFlow;

use super::cells::cut;
use super::checkpoint::Checkpoints;
use super::notes::Notes;
use super::sets::Sets;
use super::watch::Validation;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::metric::ranking::RankingMetric;
use crate::model::Factors;
use crate::settings::{Criterion, Plan, Sought, Watch, significant};
use crate::train::Start;

/// Trials, at most.
const TRIALS: usize = 5;

/// Factors of a trial, at most: the best settings hardly depend on their number.
const RANK: u32 = 32;

/// Decides what the plan leaves to the ratings: by a search where one is due, else by the laws.
pub(crate) fn choose(
    plan: &Plan,
    sets: &Sets,
    checkpoints: Option<&Checkpoints>,
    job: &Job<'_>,
    notes: &mut Notes,
) -> Result<Plan> {
    let mut fit = plan.fit.clone();
    if let Some(sought) = fit.sought() {
        let chosen = match checkpoints.and_then(Checkpoints::chosen) {
            Some(chosen) => Some(chosen),
            None => notes.timed(|s| &mut s.train, |_| search(plan, sought, sets, job))?,
        };
        if let (Some(checkpoints), Some(chosen)) = (checkpoints, chosen) {
            checkpoints.choose(chosen);
        }
        fit.choose(chosen, &sets.ratings);
    } else {
        fit.settle(&sets.ratings);
    }
    Ok(plan.with_fit(fit))
}

/// Climbs from the value of the law to the best one. None where there are too few ratings to set some
/// aside, and the value of the law has to do.
fn search(plan: &Plan, sought: Sought, all: &Sets, job: &Job<'_>) -> Result<Option<f64>> {
    job.phase("choosing the regularisation");
    let (training, aside) = cut(&plan.watch.search, all.ratings.cells(), (*all.ids).as_ref());
    if training.is_empty() || aside.is_empty() {
        if !plan.fit.must_search() {
            return Ok(None);
        }
        let message = "--regularization auto: too few ratings to set some aside; give a number";
        return Err(Error::Usage(message.into()));
    }
    let sets = Sets::of_training(&all.ids, &all.keys, &training);
    drop(training);
    let sets = Sets { validation: aside, ..sets };
    let rates = plan.facts().rates;
    let criterion = match rates {
        true => Criterion::Rmse,
        false => Criterion::Ranking(RankingMetric::ndcg(10)),
    };
    let watch = Watch { criterion, ..plan.watch.clone() };
    let Some(validation) = Validation::new(&watch, &sets) else { return Ok(None) };
    // Iterations of a first trial, and of one that begins at the factors of another.
    let (cold, warm) = if rates { (8, 4) } else { (5, 5) };
    let mut before: Option<Factors> = None;
    let value = |at: f64| -> Result<f64> {
        let mut fit = plan.fit.clone();
        fit.limit_rank(RANK);
        fit.choose(Some(at), &sets.ratings);
        fit.run_exactly(if before.is_some() { warm } else { cold });
        let start = match before.as_ref().filter(|_| rates) {
            Some(factors) => Start::Factors(factors),
            None => Start::Random,
        };
        let problem = sets.problem(start, job);
        let fitted = fit.algorithm().fit(&problem, &mut |_| ControlFlow::Continue(()));
        let fitted = fitted.map_err(|error| all.named(error))?;
        let found = validation.measure(&fitted.scorer(), &job.silent())?;
        before = Some(fitted.factors);
        // Less is better.
        let found = found.filter(|value| value.is_finite());
        Ok(if rates { found.unwrap_or(f64::INFINITY) } else { -found.unwrap_or(0.0) })
    };
    let best = climb(plan.fit.law_value(&sets.ratings), sought, value)?;
    Ok(Some(significant(best)))
}

/// The best of a value and its neighbours, each `step` times the one before, as long as they are better by
/// the margin: the vertex of the parabola through the last three (in logarithms), or the best one where
/// that does not lie between them.
fn climb(start: f64, sought: Sought, mut value: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let (step, margin) = (sought.step(), sought.margin());
    let mut known = std::collections::BTreeMap::from([(0_i32, value(start)?)]);
    let at = |n: i32| start * step.powi(n);
    let mut best = 0;
    while known.len() < TRIALS {
        // Upwards first.
        let next = [best + 1, best - 1].into_iter().find(|n| !known.contains_key(n));
        let Some(next) = next else { break };
        let found = value(at(next))?;
        known.insert(next, found);
        if found < known[&best] - margin * known[&best].abs() {
            best = next;
        }
    }
    let around = [best - 1, best, best + 1].map(|n| known.get(&n).copied());
    if let [Some(low), Some(middle), Some(high)] = around {
        let curvature = low - 2.0 * middle + high;
        let shift = (low - high) / (2.0 * curvature);
        if curvature > 0.0 && shift.abs() <= 1.0 {
            return Ok(at(best) * step.powf(shift));
        }
    }
    Ok(at(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_found_within_the_trials() {
        for least in [0.4, 0.9, 1.0, 1.7, 2.5] {
            let mut calls = 0;
            let found = climb(1.0, Sought::Lambda, |at| {
                calls += 1;
                Ok(1.0 + (at.ln() - f64::ln(least)).powi(2))
            });
            let found = found.expect("no error");
            assert!(calls <= TRIALS && (found / least).ln().abs() < 0.01, "{least}: {found}");
        }
        // Noise moves nothing far.
        let flat = climb(1.0, Sought::Ratio, |at| Ok(1.0 - 1e-4 * at.min(1.0))).expect("no error");
        assert!((0.25..=4.0).contains(&flat));
    }
}
