//! Searches for settings by many fits on one part of the training ratings, compared on another.

use std::path::Path;
use std::time::{Duration, Instant};

use super::config::TuneConfig;
use super::outcome::{self, Tuning};
use super::space::{Method, Space, apply};
use super::trials::{Search, Trials};
use crate::error::{Error, Result};
use crate::job::{Job, with_threads};
use crate::param::{Automatic, Folds};
use crate::settings::{Plan, TrainConfig};
use crate::split::Split;
use crate::store::json::{digest, pretty};
use crate::store::{Trial, TrialsDir};
use crate::training::{Dataset, Notes, Sets, cut, fold, keys};

/// Searches for settings and writes every trial as it finishes.
///
/// An interrupted search resumes without repeating its finished trials.
///
/// # Errors
/// [`Error::Config`] for a space that cannot be used, [`Error::Usage`] for settings that cannot be
/// combined or an output that holds another search, and the errors of reading and of a fit with the
/// untuned settings.
pub fn tune(config: &TuneConfig, job: &Job<'_>) -> Result<Tuning> {
    // Trials are compared by --criterion, so it needs no --patience here.
    let output = TrainConfig { criterion: None, ..config.train.clone() }.check()?.to_owned();
    let base = &config.train;
    let plan = base.plan()?;
    if base.refit {
        let message = "--refit works with train only: tune writes no model";
        return Err(Error::Usage(message.into()));
    }
    if base.regularization == Some(Automatic::Auto) {
        let message = "--regularization auto searches by itself: use it with train, or put \
                       regularization into [space]";
        return Err(Error::Usage(message.into()));
    }
    if i64::try_from(base.seed).is_err() {
        let message =
            format!("--seed {} is too large: best.toml holds at most {}", base.seed, i64::MAX);
        return Err(Error::Usage(message));
    }
    let space = match &config.space {
        Some(path) => Space::read(path, base)?,
        None => Space::standard(base)?,
    };
    if space.method == Method::Halving && base.patience.is_some() {
        let message =
            "--patience needs method = \"random\" or \"grid\": halving sets the iterations itself";
        return Err(Error::Usage(message.into()));
    }
    let budget = ["iterations", "algorithm", "inference", "burn_in", "samples"];
    let own = budget.iter().find(|key| space.settings.contains_key(**key));
    if let (Method::Halving, Some(key)) = (space.method, own) {
        return Err(Error::Usage(format!(
            "method = \"halving\" sets the iterations itself: remove {key} from [space]"
        )));
    }
    if space.method == Method::Halving && plan.record.iterations.is_none() {
        let message = "method = \"halving\" compares fits of few iterations, but sampling needs \
                       all of them: use method = \"random\"";
        return Err(Error::Usage(message.into()));
    }
    with_threads(base.threads, || {
        let mut notes = Notes::default();
        let mut data = Dataset::read(&plan.reading, job, &mut notes)?;
        let bad = data.inputs.rejects.len();
        if bad > 0 {
            notes.warnings.push(format!("bad rows set aside: {bad}"));
        }
        // A search may resume with more points, except that the rounds of halving depend on their
        // number.
        let points = if space.method == Method::Halving { space.trials } else { 0 };
        let described = format!("{:?} {} {points} {:?}", space.method, space.seed, space.settings);
        let sums = data.inputs.sha256()?;
        let inputs = digest(sums.iter().map(String::as_str));
        let settings = plan.record.identity().to_string();
        let folds = base.folds.map_or(0, Folds::get).to_string();
        let release = env!("CARGO_PKG_VERSION");
        let identity = digest([release, &*described, &settings, &folds, &inputs]);
        let (directory, finished) = TrialsDir::open(&output, &identity, base.force)?;
        let parts = parts(&plan, &data)?;
        let deadline =
            config.max_seconds.map(|s| Instant::now() + Duration::from_secs(u64::from(s.get())));
        let base = outcome::settled(base, &plan, &data);
        let search =
            Search { plan: base.plan()?, base, data, parts, directory, deadline, job: *job };
        let workers = search.workers(config.parallel, &space);
        let trials = search.run(&space, &finished, workers)?;
        search.finish(&space, trials, notes, &output)
    })
}

/// Cuts the ratings to compare by off those to fit on: once, or once per fold.
fn parts(plan: &Plan, data: &Dataset) -> Result<Vec<Sets>> {
    let rules = match plan.finish.folds {
        None => vec![plan.watch.validation.clone()],
        Some(folds) => (0..folds).map(|number| fold(plan, number, folds)).collect(),
    };
    let keys = keys(&data.ids);
    let part = |rule: &Split| {
        let cells = data.parts.training.clone();
        let (training, validation) = cut(rule, cells, (*data.ids).as_ref());
        if training.is_empty() || validation.is_empty() {
            let message = "there are too few training ratings to cut validation ratings from them";
            return Err(Error::Usage(message.into()));
        }
        Ok(Sets { validation, ..Sets::of_training(&data.ids, &keys, &training) })
    };
    rules.iter().map(part).collect()
}

impl Search<'_> {
    /// Writes the table, the best settings and the report of the search.
    ///
    /// The best trial is one of the last complete round. Its settings are scored once on the
    /// holdout.
    fn finish(
        &self,
        space: &Space,
        trials: Trials,
        mut notes: Notes,
        output: &Path,
    ) -> Result<Tuning> {
        let Trials { all, last, complete } = trials;
        self.directory.table(&all, &outcome::base_settings(&self.plan))?;
        let mut ranked: Vec<Trial> = all.iter().filter(|t| t.rung == last).cloned().collect();
        ranked.sort_by(|a, b| self.compare(a, b));
        let best = ranked.first().filter(|t| t.validation.is_some()).cloned();
        let Some(best) = best else {
            let why = ranked.iter().find_map(|t| t.failure.clone());
            let why = why.unwrap_or_else(|| "raise --max-seconds".into());
            return Err(Error::Usage(format!("no trial has a result: {why}")));
        };
        let config = apply(&self.base, &best.settings, None)?;
        let criterion = self.plan.watch.criterion;
        outcome::write_best(&self.directory, &config, &best, criterion)?;
        let warnings = std::mem::take(&mut notes.warnings);
        let chosen = outcome::score(&self.data, &config, &self.job)?;
        let tuning = Tuning {
            output: output.to_owned(),
            criterion,
            complete,
            trials: all.len(),
            failed: all.iter().filter(|t| t.validation.is_none()).count(),
            edges: space.edges(&best.settings),
            warnings,
            best,
            chosen,
            ranked,
        };
        self.directory.write("report.json", &pretty(&tuning)?)?;
        Ok(tuning)
    }
}
