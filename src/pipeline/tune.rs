//! Searches for settings: many fits on one part of the training ratings, compared on another.

mod outcome;
mod space;
mod standard;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use outcome::{Chosen, Tuning};
use space::{Method, Point, Space, apply};

use super::TrainConfig;
use super::dataset::Dataset;
use super::train::{Sets, Training, validation_rule};
use crate::error::{Error, Result};
use crate::job::{Event, Observer, with_threads};
use crate::param::{Automatic, Count, Folds};
use crate::ratings::{Cell, Ratings};
use crate::split::{Parts, Split};
use crate::store::{Trial, TrialsDir, json::digest};

/// A round of successive halving keeps one of this many trials, with this many times the iterations.
const HALVING: u32 = 3;

/// Everything that tune can be told beside the settings of train.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TuneConfig {
    /// What to tune (TOML): method, trials, and the values of each setting. By default the standard space of
    /// the algorithm, which the README lists.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Tuning"))]
    pub space: Option<PathBuf>,
    /// Start no trial after this many seconds.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Tuning"))]
    pub max_seconds: Option<Count>,
    /// Trials at the same time, each on its share of the threads. By default as many as there are threads,
    /// fewer where memory is short.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Tuning"))]
    pub parallel: Option<Count>,
    /// The settings that are not tuned.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub train: TrainConfig,
}

/// One fit's training and validation ratings.
struct Part {
    ratings: Ratings,
    validation: Vec<Cell>,
}

/// What all trials share.
struct Search<'a> {
    base: TrainConfig,
    data: Dataset,
    /// One part, or one per fold.
    parts: Vec<Part>,
    keys: (Vec<u64>, Vec<u64>),
    directory: TrialsDir,
    deadline: Option<Instant>,
    stop: &'a AtomicBool,
    observer: &'a Observer<'a>,
}

/// Searches, writing every finished trial; a search that was interrupted goes on where it was.
///
/// # Errors
/// [`Error::Config`] for a space that cannot be used, [`Error::Usage`] where the output holds another
/// search, those of reading and of a fit at the settings as given.
pub fn tune(config: &TuneConfig, stop: &AtomicBool, observer: &Observer<'_>) -> Result<Tuning> {
    // Without patience, --criterion is what trials are compared by.
    let output = TrainConfig { criterion: None, ..config.train.clone() }.check()?.to_owned();
    let base = &config.train;
    base.check_algorithm()?;
    if base.refit {
        let message = "--refit belongs to train: tune writes no model";
        return Err(Error::Usage(message.into()));
    }
    if base.regularization == Some(Automatic::Auto) {
        let message = "--regularization auto chooses by itself: leave it to train, or put regularization into [space]";
        return Err(Error::Usage(message.into()));
    }
    if i64::try_from(base.seed).is_err() {
        let message = format!("--seed {}: best.toml holds numbers up to {}", base.seed, i64::MAX);
        return Err(Error::Usage(message));
    }
    let space = match &config.space {
        Some(path) => Space::read(path, base)?,
        None => Space::standard(base)?,
    };
    if space.method == Method::Halving && base.patience.is_some() {
        let message =
            "--patience ends trials by itself: use it with method = \"random\" or \"grid\"";
        return Err(Error::Usage(message.into()));
    }
    let budget = ["iterations", "algorithm", "inference", "burn_in", "samples"];
    let own = budget.iter().find(|key| space.settings.contains_key(**key));
    if let (Method::Halving, Some(key)) = (space.method, own) {
        return Err(Error::Usage(format!(
            "method = \"halving\" decides on the iterations: take {key} out of [space]"
        )));
    }
    if space.method == Method::Halving && base.resolved().iterations.is_none() {
        let message =
            "method = \"halving\" compares few iterations: sampling needs them all; use \"random\"";
        return Err(Error::Usage(message.into()));
    }
    with_threads(base.threads.map(|t| t.get() as usize), || {
        let mut run = Training::new(base.resolved(), stop, observer);
        let mut data = run.dataset()?;
        let bad = data.inputs.rejects.len();
        if bad > 0 {
            run.warnings.push(format!("{bad} bad rows are left out"));
        }
        // A search goes on with more points, but the rounds of halving depend on their number.
        let points = if space.method == Method::Halving { space.trials } else { 0 };
        let described = format!("{:?} {} {points} {:?}", space.method, space.seed, space.settings);
        let fingerprint = outcome::fingerprint(&mut data)?;
        let settings = run.config.identity().to_string();
        let folds = base.folds.map_or(0, Folds::get).to_string();
        let release = env!("CARGO_PKG_VERSION");
        let identity = digest([release, &*described, &settings, &folds, &fingerprint]);
        let (directory, finished) = TrialsDir::open(&output, &identity, base.force)?;
        let parts = parts(&run.config, &data)?;
        let keys = (data.users.keys("user"), data.items.keys("item"));
        let deadline =
            config.max_seconds.map(|s| Instant::now() + Duration::from_secs(u64::from(s.get())));
        let base = outcome::settled(base, &data);
        let search = Search { base, data, parts, keys, directory, deadline, stop, observer };
        let workers = search.workers(config.parallel, &space);
        let (trials, last, complete) = search.run(&space, &finished, workers)?;
        let tuning = search.finish(&space, &trials, last, run, &output)?;
        search.report(Tuning { complete, ..tuning })
    })
}

/// The ratings to fit on and those to compare by.
fn parts(config: &TrainConfig, data: &Dataset) -> Result<Vec<Part>> {
    let rules = match config.folds {
        None => vec![validation_rule(config)],
        Some(folds) => (0..folds.get())
            .map(|number| Split::Fold {
                number,
                folds: folds.get(),
                salt: format!("{}/folds", config.holdout_salt),
            })
            .collect(),
    };
    let part = |rule: &Split| {
        let cells = data.parts.training.clone();
        let Parts { training, holdout, .. } = rule.apply(cells, &data.users, &data.items);
        if training.is_empty() || holdout.is_empty() {
            let message = "too few ratings to set some aside to compare by";
            return Err(Error::Usage(message.into()));
        }
        let ratings = Ratings::from_sorted(data.users.len(), data.items.len(), &training);
        Ok(Part { ratings, validation: holdout })
    };
    rules.iter().map(part).collect()
}

impl Search<'_> {
    /// Trials at the same time: what was asked for, or as many as there are threads, as far as the
    /// factors of all of them fit half of the memory that is available.
    fn workers(&self, asked: Option<Count>, space: &Space) -> usize {
        let threads = rayon::current_num_threads();
        let largest = space
            .points()
            .iter()
            .filter_map(|p| apply(&self.base, p, None).ok())
            .map(|c| c.bytes_per_row())
            .max()
            .unwrap_or_else(|| self.base.bytes_per_row());
        let bytes = largest * (self.data.users.len() + self.data.items.len());
        let fitting = crate::system::available_memory()
            .map_or(threads, |free| (free / 2) as usize / bytes.max(1));
        asked.map_or(threads, |n| n.get() as usize).min(fitting).max(1)
    }

    /// Runs what is not finished; all trials of all rounds, the last round that is complete (or the only
    /// one), and whether everything was done in time.
    fn run(
        &self,
        space: &Space,
        finished: &[Trial],
        workers: usize,
    ) -> Result<(Vec<Trial>, u32, bool)> {
        let points: BTreeMap<u32, Point> = (1..).zip(space.points()).collect();
        let full = self.base.resolved().iterations.map_or(15, Count::get);
        if space.method != Method::Halving {
            let mut jobs = vec![(0, Point::new())];
            jobs.extend(points);
            let trials = self.round(0, None, &jobs, finished, workers)?;
            let complete = trials.len() == jobs.len();
            return Ok((trials, 0, complete));
        }
        // The settings as given compete with full iterations in the last round.
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
                return Ok((trials, last, false));
            }
            last = rung;
        }
        Ok((trials, last, true))
    }

    /// Better trials first; failed ones last.
    fn compare(&self, a: &Trial, b: &Trial) -> std::cmp::Ordering {
        let criterion = self.base.criterion();
        match (a.validation, b.validation) {
            (Some(a_value), Some(b_value)) => {
                criterion.compare(a_value, b_value).then(a.number.cmp(&b.number))
            }
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.number.cmp(&b.number),
        }
    }

    /// Runs the jobs that are not among the finished trials, several at a time. Trials do not depend on
    /// which run beside them.
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
                if late || self.stop.load(Ordering::Relaxed) {
                    break;
                }
                let trial = with_threads(NonZeroUsize::new(threads).map(usize::from), || {
                    self.trial((rung, *number), point, iterations)
                });
                let written = trial.and_then(|t| self.directory.add(&t).map(|()| t));
                let Ok(mut found) = found.lock() else { break };
                match written {
                    Ok(trial) => {
                        found.0.push(trial.clone());
                        let count = trials.len() + found.0.len();
                        (self.observer)(&Event::Trial(count, total, trial.validation));
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
            None if self.stop.load(Ordering::Relaxed) => return Err(Error::Stopped),
            None => {}
        }
        trials.extend(new);
        trials.sort_by_key(|t| t.number);
        Ok(trials)
    }

    /// Fits at one point and compares on what was set aside. A fit that fails numerically is a trial
    /// without a value; at the settings as given it is an error.
    fn trial(
        &self,
        (rung, number): (u32, u32),
        point: &Point,
        iterations: Option<u32>,
    ) -> Result<Trial> {
        let since = Instant::now();
        let mut config = match apply(&self.base, point, iterations) {
            Ok(config) => config,
            // Settings that do not go together: this point alone is lost.
            Err(error) if number > 0 => {
                return Ok(Trial::failed((rung, number), point, error.to_string()));
            }
            Err(error) => return Err(error),
        };
        // All trials are compared by the same.
        config.criterion = Some(self.base.criterion());
        let config = config.resolved();
        let mut values = Vec::new();
        let (mut done, mut failure) = (0, None);
        for part in &self.parts {
            match self.fit(&config, part) {
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
        let spread = super::Spread::of(&values);
        let single = values.first().copied().flatten();
        let validation = if self.parts.len() == 1 { single } else { spread.map(|s| s.mean) };
        if validation.is_none() && failure.is_none() {
            failure = Some(format!("nothing to compute {} from", self.base.criterion()));
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

    /// The criterion after a fit on one part, and its iterations.
    fn fit(&self, config: &TrainConfig, part: &Part) -> Result<(Option<f64>, u32)> {
        let silent = |_: &Event| {};
        let config = &config.settled(&part.ratings);
        let mut run = Training::new(config.clone(), self.stop, &silent);
        let sets = Sets {
            start: crate::train::Start::Random,
            fold_in: None,
            ratings: &part.ratings,
            moments: &part.ratings.moments(),
            holdout: &[],
            validation: &part.validation,
            looked_at: None,
            user_keys: &self.keys.0,
            item_keys: &self.keys.1,
        };
        let algorithm = config.algorithm(None);
        if config.patience.is_some() {
            let fitted = run.fit(&sets, &*algorithm)?;
            return Ok((fitted.validation, fitted.iteration));
        }
        let fit = algorithm.fit(&run.problem(&sets), &mut |_| ControlFlow::Continue(()))?;
        let value = run.validate(&sets, &fit.scorer())?;
        Ok((value, fit.iterations))
    }

    /// Writes the table and the best settings, and scores these once on the holdout. The best is one of the
    /// round `last`.
    fn finish(
        &self,
        space: &Space,
        trials: &[Trial],
        last: u32,
        run: Training<'_>,
        output: &Path,
    ) -> Result<Tuning> {
        self.directory.table(trials, &outcome::given(&self.base))?;
        let mut ranked: Vec<Trial> = trials.iter().filter(|t| t.rung == last).cloned().collect();
        ranked.sort_by(|a, b| self.compare(a, b));
        let best = ranked.first().filter(|t| t.validation.is_some()).cloned();
        let Some(best) = best else {
            let why = ranked.iter().find_map(|t| t.failure.clone());
            let why = why.unwrap_or_else(|| "give more --max-seconds".into());
            return Err(Error::Usage(format!("no trial was finished: {why}")));
        };
        let config = apply(&self.base, &best.settings, None)?;
        outcome::write_best(&self.directory, &config, &best, self.base.criterion())?;
        let warnings = run.warnings.clone();
        let chosen = outcome::score(&self.data, &self.keys, &config, run)?;
        Ok(Tuning {
            output: output.to_owned(),
            criterion: self.base.criterion(),
            complete: true,
            trials: trials.len(),
            failed: trials.iter().filter(|t| t.validation.is_none()).count(),
            edges: space.edges(&best.settings),
            warnings,
            best,
            chosen,
            ranked,
        })
    }

    /// Writes the report.
    fn report(&self, tuning: Tuning) -> Result<Tuning> {
        let text =
            serde_json::to_vec_pretty(&tuning).map_err(|e| Error::Internal(e.to_string()))?;
        self.directory.write("report.json", &text)?;
        Ok(tuning)
    }
}

/// Iterations below which fits say little of how they end.
const LEAST: u32 = 4;

/// Rounds of successive halving: until one point is left, or iterations would be too few.
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
