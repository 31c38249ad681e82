//! Searches for settings that no law gives.
//!
//! The search decides `--regularization auto`, and by default the weight of unobserved pairs of
//! `ials`. It compares values on ratings that are held out from the training ratings.

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
use crate::settings::{Criterion, Plan, SearchedSetting, Watch, significant};
use crate::train::Start;

/// Largest number of trials.
const TRIALS: usize = 5;

/// Largest rank of a trial. The best settings hardly depend on the rank.
const RANK: u32 = 32;

/// Decides the settings that the plan leaves to the ratings: by a search if one is due, otherwise
/// by the laws.
///
/// A resumed run keeps the value that it chose before it was interrupted.
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

/// Searches for the best value, starting from the value of the law.
///
/// Returns `None` if there are too few ratings to hold some out. The value of the law is then used.
/// If the settings demand a search, this is an error instead.
fn search(plan: &Plan, sought: SearchedSetting, all: &Sets, job: &Job<'_>) -> Result<Option<f64>> {
    job.phase("choosing the regularisation");
    let (training, aside) = cut(&plan.watch.search, all.ratings.cells(), (*all.ids).as_ref());
    if training.is_empty() || aside.is_empty() {
        if !plan.fit.must_search() {
            return Ok(None);
        }
        let message = "--regularization auto: there are too few ratings to hold some out for the \
                       search; specify a number";
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
    // Iterations of the first trial and of later trials. A later trial of ratings starts from the
    // factors of the trial before it. Trials of preferences always start cold.
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
        // Lower is better.
        let found = found.filter(|value| value.is_finite());
        Ok(if rates { found.unwrap_or(f64::INFINITY) } else { -found.unwrap_or(0.0) })
    };
    let best = climb(plan.fit.law_value(&sets.ratings), sought, value)?;
    Ok(Some(significant(best)))
}

/// Minimises `value` over the points `start * step^n`, and returns the best argument.
///
/// The search starts at `n = 0` and moves to a neighbour if the neighbour is better by the margin.
/// It ends when both neighbours of the best point are known, or after all trials. The result is the
/// vertex of the parabola through the best point and its neighbours, in logarithms of the argument.
/// It is the best point itself if the vertex does not lie between the neighbours, or if a neighbour
/// is unknown.
fn climb(
    start: f64,
    sought: SearchedSetting,
    mut value: impl FnMut(f64) -> Result<f64>,
) -> Result<f64> {
    let (step, margin) = (sought.step(), sought.margin());
    let mut known = std::collections::BTreeMap::from([(0_i32, value(start)?)]);
    let at = |n: i32| start * step.powi(n);
    let mut best = 0;
    while known.len() < TRIALS {
        // The larger neighbour comes first.
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
            let found = climb(1.0, SearchedSetting::Lambda, |at| {
                calls += 1;
                Ok(1.0 + (at.ln() - f64::ln(least)).powi(2))
            });
            let found = found.expect("no error");
            assert!(calls <= TRIALS && (found / least).ln().abs() < 0.01, "{least}: {found}");
        }
        // Noise does not move the result far.
        let flat = climb(1.0, SearchedSetting::Ratio, |at| Ok(1.0 - 1e-4 * at.min(1.0)))
            .expect("no error");
        assert!((0.25..=4.0).contains(&flat));
    }
}
