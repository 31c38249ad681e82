//! Searches for settings: many fits on one part of the training ratings, compared on another.

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

/// Searches, writing every finished trial; a search that was interrupted goes on where it was.
///
/// # Errors
/// [`Error::Config`] for a space that cannot be used, [`Error::Usage`] where the output holds another
/// search, those of reading and of a fit at the settings as given.
pub fn tune(config: &TuneConfig, job: &Job<'_>) -> Result<Tuning> {
    // Without patience, --criterion is what trials are compared by.
    let output = TrainConfig { criterion: None, ..config.train.clone() }.check()?.to_owned();
    let base = &config.train;
    let plan = base.plan()?;
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
    if space.method == Method::Halving && plan.record.iterations.is_none() {
        let message =
            "method = \"halving\" compares few iterations: sampling needs them all; use \"random\"";
        return Err(Error::Usage(message.into()));
    }
    with_threads(base.threads, || {
        let mut notes = Notes::default();
        let mut data = Dataset::read(&plan.reading, job, &mut notes)?;
        let bad = data.inputs.rejects.len();
        if bad > 0 {
            notes.warnings.push(format!("{bad} bad rows are left out"));
        }
        // A search resumes with more points, but the rounds of halving depend on their number.
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
        let base = outcome::settled(base, &plan, &data)?;
        let search =
            Search { plan: base.plan()?, base, data, parts, directory, deadline, job: *job };
        let workers = search.workers(config.parallel, &space);
        let trials = search.run(&space, &finished, workers)?;
        search.finish(&space, trials, notes, &output)
    })
}

/// The ratings to fit on and those to compare by.
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
            let message = "too few ratings to set some aside to compare by";
            return Err(Error::Usage(message.into()));
        }
        Ok(Sets { validation, ..Sets::of_training(&data.ids, &keys, &training) })
    };
    rules.iter().map(part).collect()
}

impl Search<'_> {
    /// Writes the table, the best settings and the report, and scores the best settings once on the
    /// holdout. The best trial is one of the last round.
    fn finish(
        &self,
        space: &Space,
        trials: Trials,
        mut notes: Notes,
        output: &Path,
    ) -> Result<Tuning> {
        let Trials { all, last, complete } = trials;
        self.directory.table(&all, &outcome::given(&self.plan))?;
        let mut ranked: Vec<Trial> = all.iter().filter(|t| t.rung == last).cloned().collect();
        ranked.sort_by(|a, b| self.compare(a, b));
        let best = ranked.first().filter(|t| t.validation.is_some()).cloned();
        let Some(best) = best else {
            let why = ranked.iter().find_map(|t| t.failure.clone());
            let why = why.unwrap_or_else(|| "give more --max-seconds".into());
            return Err(Error::Usage(format!("no trial was finished: {why}")));
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
