//! The trials of a search: their order, their fits and their comparison.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::space::{Method, Point, Space, apply};
use crate::error::{Error, Result};
use crate::job::{Event, Job, with_threads};
use crate::param::{Count, Threads};
use crate::settings::{Plan, TrainConfig};
use crate::store::{Trial, TrialsDir};
use crate::train::Start;
use crate::training::{Dataset, Notes, Sets, Spread, Validation, run};

/// Factor of successive halving.
///
/// Each round keeps one of this many points and multiplies the iterations by this number.
const HALVING: u32 = 3;

/// The data and settings that all trials share.
pub(super) struct Search<'a> {
    /// The settings that are not tuned, with laws settled where best.toml needs their values.
    pub base: TrainConfig,
    /// The plan that these settings lead to.
    pub plan: Plan,
    pub data: Dataset,
    /// The ratings to fit on and to compare by: one pair of sets, or one per fold.
    pub parts: Vec<Sets>,
    pub directory: TrialsDir,
    pub deadline: Option<Instant>,
    pub job: Job<'a>,
}

/// The finished trials.
pub(super) struct Trials {
    /// All finished trials of all rounds.
    pub all: Vec<Trial>,
    /// The last complete round; the only one unless the method is halving.
    pub last: u32,
    /// Whether all trials finished before the deadline.
    pub complete: bool,
}

impl Search<'_> {
    /// The number of trials to run at the same time.
    ///
    /// This is the requested number, or the number of threads. It is lowered until the factors of
    /// all these trials fit into half of the available memory.
    pub(super) fn workers(&self, asked: Option<Count>, space: &Space) -> usize {
        let threads = rayon::current_num_threads();
        let largest = space
            .points()
            .iter()
            .filter_map(|point| apply(&self.base, point, None).ok()?.plan().ok())
            .map(|plan| plan.bytes_per_row())
            .max()
            .unwrap_or_else(|| self.plan.bytes_per_row());
        let bytes = largest * (self.data.ids.users.len() + self.data.ids.items.len());
        let fitting = crate::system::available_memory()
            .map_or(threads, |free| (free / 2) as usize / bytes.max(1));
        asked.map_or(threads, |n| n.get() as usize).min(fitting).max(1)
    }

    /// Runs all trials except those in `finished`.
    pub(super) fn run(&self, space: &Space, finished: &[Trial], workers: usize) -> Result<Trials> {
        let points: BTreeMap<u32, Point> = (1..).zip(space.points()).collect();
        let full = self.plan.facts().iterations;
        if space.method != Method::Halving {
            let mut jobs = vec![(0, Point::new())];
            jobs.extend(points);
            let trials = self.round(0, None, &jobs, finished, workers)?;
            let complete = trials.len() == jobs.len();
            return Ok(Trials { all: trials, last: 0, complete });
        }
        // The untuned settings, trial 0, compete with all their iterations in the last round.
        let rounds = rounds(points.len() as u32, full);
        let (mut trials, mut left, mut last) = (Vec::new(), points, 0);
        for rung in 0..rounds {
            let iterations = (full / HALVING.pow(rounds - 1 - rung)).max(1);
            let mut jobs: Vec<(u32, Point)> = left.clone().into_iter().collect();
            if rung + 1 == rounds {
                jobs.insert(0, (0, Point::new()));
            }
            let expected = jobs.len();
            let found = self.round(rung, Some(iterations), &jobs, finished, workers)?;
            let complete = found.len() == expected;
            let mut ranked: Vec<&Trial> = found.iter().collect();
            ranked.sort_by(|a, b| self.compare(a, b));
            let keep = (left.len() as u32).div_ceil(HALVING) as usize;
            let kept: Vec<u32> = ranked.iter().take(keep).map(|t| t.number).collect();
            left.retain(|number, _| kept.contains(number));
            trials.extend(found);
            if !complete {
                return Ok(Trials { all: trials, last, complete: false });
            }
            last = rung;
        }
        Ok(Trials { all: trials, last, complete: true })
    }

    /// Orders two trials, better ones first and failed ones last.
    pub(super) fn compare(&self, a: &Trial, b: &Trial) -> std::cmp::Ordering {
        let criterion = self.plan.watch.criterion;
        match (a.validation, b.validation) {
            (Some(a_value), Some(b_value)) => {
                criterion.compare(a_value, b_value).then(a.number.cmp(&b.number))
            }
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.number.cmp(&b.number),
        }
    }

    /// Runs the jobs that are not among the finished trials, several at a time.
    ///
    /// The result of a trial does not depend on which trials run alongside it.
    fn round(
        &self,
        rung: u32,
        iterations: Option<u32>,
        jobs: &[(u32, Point)],
        finished: &[Trial],
        workers: usize,
    ) -> Result<Vec<Trial>> {
        let done = |(number, point): &(u32, Point)| {
            let is = |t: &&Trial| t.rung == rung && t.number == *number && t.settings == *point;
            finished.iter().find(is)
        };
        let mut trials: Vec<Trial> = jobs.iter().filter_map(|job| done(job).cloned()).collect();
        let pending: Vec<&(u32, Point)> = jobs.iter().filter(|job| done(job).is_none()).collect();
        let (next, total) = (AtomicUsize::new(0), jobs.len());
        let found = Mutex::new((Vec::new(), None::<Error>));
        let workers = workers.min(pending.len()).max(1);
        let threads = (rayon::current_num_threads() / workers).max(1);
        let work = || {
            while let Some((number, point)) = pending.get(next.fetch_add(1, Ordering::Relaxed)) {
                let late = self.deadline.is_some_and(|at| Instant::now() >= at);
                if late || self.job.is_stopped() {
                    break;
                }
                let trial = with_threads(Threads::new(threads as u32).ok(), || {
                    self.trial(rung, *number, point, iterations)
                });
                let written = trial.and_then(|t| self.directory.add(&t).map(|()| t));
                let Ok(mut found) = found.lock() else { break };
                match written {
                    Ok(trial) => {
                        found.0.push(trial.clone());
                        let count = trials.len() + found.0.len();
                        self.job.report(&Event::Trial(count, total, trial.validation));
                    }
                    Err(error) => {
                        found.1.get_or_insert(error);
                        break;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        let (new, error) =
            found.into_inner().map_err(|_| Error::Internal("a trial panicked".into()))?;
        match error {
            Some(error) => return Err(error),
            None if self.job.is_stopped() => return Err(Error::Stopped),
            None => {}
        }
        trials.extend(new);
        trials.sort_by_key(|t| t.number);
        Ok(trials)
    }

    /// Fits at one point and measures the criterion on the validation ratings.
    ///
    /// A fit that fails numerically is a trial without a value. In trial 0, the untuned settings,
    /// it is an error.
    fn trial(
        &self,
        rung: u32,
        number: u32,
        point: &Point,
        iterations: Option<u32>,
    ) -> Result<Trial> {
        let since = Instant::now();
        let decided = apply(&self.base, point, iterations).and_then(|config| config.plan());
        let mut plan = match decided {
            Ok(plan) => plan,
            // Settings that cannot be combined cost this point alone.
            Err(error) if number > 0 => {
                return Ok(Trial::failed(rung, number, point, error.to_string()));
            }
            Err(error) => return Err(error),
        };
        // All trials are compared by the same criterion.
        plan.watch.criterion = self.plan.watch.criterion;
        let mut values = Vec::new();
        let (mut done, mut failure) = (0, None);
        for part in &self.parts {
            match self.fit(&plan, part) {
                Ok((value, iterations)) => {
                    values.push(value);
                    done = done.max(iterations);
                }
                Err(error @ (Error::Numeric { .. } | Error::Diverged(_))) if number > 0 => {
                    failure = Some(error.to_string());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let spread = Spread::of(&values);
        let single = values.first().copied().flatten();
        let validation = if self.parts.len() == 1 { single } else { spread.map(|s| s.mean) };
        if validation.is_none() && failure.is_none() {
            failure = Some(format!("nothing to compute {} from", self.plan.watch.criterion));
        }
        Ok(Trial {
            number,
            rung,
            settings: point.clone(),
            iterations: done,
            validation: validation.filter(|_| failure.is_none()),
            deviation: spread.map(|s| s.std),
            failure,
            seconds: since.elapsed().as_secs_f64(),
        })
    }

    /// Fits on one part and returns the value of the criterion and the number of iterations.
    fn fit(&self, plan: &Plan, part: &Sets) -> Result<(Option<f64>, u32)> {
        let job = self.job.silent();
        let mut fit = plan.fit.clone();
        fit.settle(&part.ratings);
        let plan = plan.with_fit(fit);
        if plan.watch.patience.is_some() {
            let fitted = run(plan, part, Start::Random, None, &job, &mut Notes::default())?;
            return Ok((fitted.validation, fitted.iteration));
        }
        let problem = part.problem(Start::Random, &job);
        let fit = plan.fit.algorithm().fit(&problem, &mut |_| ControlFlow::Continue(()))?;
        let value = match Validation::new(&plan.watch, part) {
            Some(validation) => validation.measure(&fit.scorer(), &job)?,
            None => None,
        };
        Ok((value, fit.iterations))
    }
}

/// Fewest iterations of the first of several rounds; shorter fits say little about their end.
const LEAST: u32 = 4;

/// The number of rounds of successive halving.
///
/// Rounds are added until one point is left or the first round would have too few iterations.
fn rounds(points: u32, iterations: u32) -> u32 {
    let (mut rounds, mut left, mut budget) = (1, points, iterations);
    while left > 1 && budget / HALVING >= LEAST {
        (left, budget, rounds) = (left.div_ceil(HALVING), budget / HALVING, rounds + 1);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_ends_with_one_point_or_few_iterations() {
        assert_eq!(rounds(27, 108), 4);
        assert_eq!(rounds(81, 15), 2);
        assert_eq!(rounds(1, 15), 1);
        assert_eq!(rounds(5, 2), 1);
    }
}
