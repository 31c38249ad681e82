//! Carries out the steps of one run.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::config::RunConfig;
use super::directory::RunDirectory;
use super::gates::{Gates, ModelLook, check_model};
use super::inputs::Inputs;
use super::lock::Lock;
use super::log::Log;
use super::mode::Mode;
use super::previous::{NewRows, Previous};
use super::publish::{Candidate, Desk, publish, reject_data};
use super::report::{RankingReport, RunReport, RunResult};
use super::run_id::began;
use super::units::Span;
use super::{align, resume, retention};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::time;
use crate::model::Model;
use crate::pair::Pair;
use crate::replay::Published;
use crate::settings::{Plan, TrainConfig};
use crate::store::{Alignment, Lineage, MANIFEST, OutDir, RunEntry, Status, Trigger, json};
use crate::system::{host, now};
use crate::training::{
    Began, Checkpoints, Dataset, Metrics, Notes, Outcome, Prepared, cross_validate, finish, fit,
    keep_ratings, measure, of_kept_rank, of_values,
};

/// One run and its context.
pub(super) struct Night<'a> {
    /// The settings, with all defaults resolved.
    pub config: &'a RunConfig,
    /// The plan of the training.
    pub plan: Plan,
    pub log: &'a Log<'a>,
    pub job: Job<'a>,
    pub report: &'a mut RunReport,
    pub run_id: String,
    pub trigger: Trigger,
    pub began: Began,
}

/// A training that is ready to start.
struct Training<'t> {
    plan: Plan,
    /// The ratings; taken out when the training starts.
    data: Option<Dataset>,
    previous: Option<&'t Previous>,
    lineage: Lineage,
    /// Why the model is not compared with the earlier one, if it is not.
    no_comparison: Option<String>,
    checkpoints: Checkpoints,
}

/// A finished training.
struct Trained {
    outcome: Outcome,
    metrics: Metrics,
}

impl Night<'_> {
    /// Carries out a run, or a dry run or validation, in a directory of runs.
    pub(super) fn go(&mut self, mode: Mode, root: &Path) -> Result<()> {
        if mode != Mode::Run {
            let directory = RunDirectory::look(root, &self.job)?;
            directory.as_ref().map_or(Ok(()), RunDirectory::check_pointer)?;
            let previous = self.previous(directory.as_ref())?;
            return self.look(mode, directory.as_ref(), previous.as_ref());
        }
        let directory = RunDirectory::create(root, self.config.work_dir.as_deref())?;
        let wait = self.config.lock_wait.map_or(Duration::ZERO, |Span(wait)| wait);
        let waits = |holder: &str| {
            self.log.info("waiting", &format!("waiting for {holder}"), json!({}));
        };
        let lock = directory.lock(&self.run_id, wait, &self.job, &waits)?;
        directory.claim(&self.job)?;
        directory.pull(&self.job)?;
        directory.check_pointer()?;
        let swept = directory.sweep(&self.job)?;
        if swept > 0 {
            self.warn(format!("removed the unfinished files of interrupted runs: {swept}"));
        }
        if directory.reconcile()? {
            self.warn("latest and latest.json did not lead to the same run; now they do".into());
        }
        let previous = self.previous(Some(&directory))?;
        self.night(&directory, previous.as_ref(), &lock)
    }

    pub(super) fn warn(&mut self, message: String) {
        self.log.warn(&message);
        self.report.warnings.push(message);
    }

    /// Reports the warnings of a training.
    pub(super) fn take(&mut self, notes: &mut Notes) {
        for warning in std::mem::take(&mut notes.warnings) {
            self.warn(warning);
        }
    }

    pub(super) fn config_sha256(&self) -> String {
        json::digest([self.plan.record.identity().to_string().as_str()])
    }

    pub(super) fn publish_sha256(&self) -> String {
        json::digest([self.config.published().to_string().as_str()])
    }

    /// The description of the training that a checkpoint belongs to.
    pub(super) fn about(
        &self,
        inputs: &Inputs,
        previous: Option<&Previous>,
        lineage: &Lineage,
    ) -> serde_json::Value {
        let warm = previous.filter(|_| lineage.warm_start_from.is_some());
        resume::about(&self.plan.record, inputs, warm)
    }

    /// The plan, with the rank of the earlier run if no rank is set.
    pub(super) fn with_kept_rank(&self, previous: Option<&Previous>) -> Result<Plan> {
        let rank = match self.plan.record.factors {
            None => previous.and_then(|previous| previous.rank_to_keep(&self.plan)),
            Some(_) => return Ok(self.plan.clone()),
        };
        Plan::of_record(&TrainConfig { factors: rank, ..self.plan.record.clone() })
    }

    fn night(
        &mut self,
        directory: &RunDirectory,
        previous: Option<&Previous>,
        lock: &Lock,
    ) -> Result<()> {
        self.check_clock(previous);
        self.log.phase("scan");
        let since = Instant::now();
        let inputs = Inputs::scan(&self.plan.reading, &self.job)?;
        let scan = since.elapsed().as_secs_f64();
        if let Some(why) = self.nothing_new(Some(directory), previous, &inputs) {
            resume::remove_done(directory, &self.plan.record, &inputs);
            if let Some(previous) = previous {
                self.report.recall(&previous.manifest);
            }
            self.report.result = RunResult::Noop;
            self.report.reason = Some(why);
            return Ok(());
        }
        let (config, log, job, began) = (self.config, self.log, self.job, self.began);
        let desk = Desk { directory, lock, config, log, job: &job, began };
        let plan = self.with_kept_rank(previous)?;
        let data = self.read(&plan, &inputs, previous)?;
        let mut gates = self.data_gates(&data, previous);
        if let Some(reason) = gates.reason().filter(|_| !config.allow_gate_failure) {
            return Err(self.reject_data(desk, data, &gates, reason));
        }
        let (lineage, no_comparison) = self.lineage(Some(directory), previous, &data, &inputs);
        let about = self.about(&inputs, previous, &lineage);
        let checkpoints = resume::checkpoints(directory, config, &about, log)?;
        let new_share =
            previous.map(|previous| previous.new_rows(&data).map(|rows: NewRows| rows.share()));
        let out = OutDir::staged(&directory.temporary(), &self.run_id)?;
        let kept = keep_ratings(&plan, &out, &data)?;
        self.log.phase("train");
        let mut training =
            Training { plan, data: Some(data), previous, lineage, no_comparison, checkpoints };
        let mut notes = Notes::default();
        let trained = self.train(&mut training, &mut notes);
        let Trained { mut outcome, metrics } = self.kept(trained, &mut training.checkpoints)?;
        self.take(&mut notes);
        self.measured(&metrics);
        let Training { plan, mut lineage, no_comparison, mut checkpoints, .. } = training;
        let turn = lineage.aligned_to.is_some();
        let model = &mut outcome.published.model;
        lineage.alignment = previous.and_then(|previous| self.align(model, previous, turn));
        let look = ModelLook {
            config,
            rates: plan.facts().rates,
            model,
            metrics: &metrics,
            alignment: lineage.alignment.as_ref(),
            no_comparison: no_comparison.as_deref(),
        };
        self.quality_gates(&mut gates, &look);
        let failure = gates.reason();
        let passed = failure.is_none() || config.allow_gate_failure;
        let status = if passed { Status::Promoted } else { Status::Rejected };
        let mut entry = self.entry(status, failure, &gates, lineage);
        entry.resumed_from_sweep = outcome.resumed_from;
        let candidate = Candidate {
            out,
            kept,
            outcome,
            metrics: &metrics,
            previous,
            inputs: &inputs,
            entry: entry.clone(),
            new_share,
            seconds: notes.seconds,
            scan,
        };
        self.log.phase("publish");
        let written = publish(desk, candidate);
        let published = self.kept(written, &mut checkpoints)?;
        resume::remove_all(directory);
        self.report.describe(&published.manifest);
        self.settle(directory, entry, published)
    }

    /// Trains and measures, with a warm start and checkpoints.
    fn train(&self, training: &mut Training<'_>, notes: &mut Notes) -> Result<Trained> {
        let Training { plan, data, previous, lineage, no_comparison, checkpoints } = training;
        let job = &self.job;
        let Some(data) = data.take() else {
            return Err(Error::Internal("a training without ratings".into()));
        };
        let earlier = previous.map(Previous::fitted_without_holdout);
        let warm = earlier.filter(|_| lineage.warm_start_from.is_some());
        let compared = earlier.filter(|_| no_comparison.is_none());
        let folds = cross_validate(plan, &data, job)?;
        let prepared = Prepared::new(plan, data, notes)?;
        if self.plan.record.factors.is_none() && plan.record.factors.is_some() {
            notes.warn(of_kept_rank(plan, &prepared.sets.ratings));
        }
        notes.warn(of_values(plan, &prepared.sets));
        let fitted = fit(plan, &prepared.sets, warm, Some(&mut *checkpoints), job, notes)?;
        let measured = measure(&fitted, &prepared.sets, compared, job, notes)?;
        let outcome = finish(prepared, fitted, warm.is_some(), Some(checkpoints), job, notes)?;
        Ok(Trained { outcome, metrics: Metrics { folds, ..measured } })
    }

    /// Warns if the latest run began later than this one: the clock may have been set back.
    fn check_clock(&mut self, previous: Option<&Previous>) {
        let before = previous.and_then(|previous| began(&previous.entry.run_id));
        if before.is_some_and(|before| self.began.at < before) {
            let now = time::iso(self.began.at);
            self.warn(format!(
                "the clock says {now}, which is before the latest run began: was it set back?"
            ));
        }
    }

    /// Writes the record of a run whose ratings failed a gate. Returns the error that ends the run.
    fn reject_data(
        &mut self,
        desk: Desk<'_>,
        data: Dataset,
        gates: &Gates<'_>,
        reason: String,
    ) -> Error {
        let entry = self.entry(Status::Rejected, Some(reason.clone()), gates, Lineage::default());
        match reject_data(desk, data, &entry, &self.config_sha256()) {
            Ok(record) => {
                self.report.path = Some(record.clone());
                Error::DataGate { reason, record: Some(record) }
            }
            Err(error) => error,
        }
    }

    /// Aligns the vectors with those of the earlier run if `turn` is set, and measures how far they
    /// moved. `None` if the two models are not comparable.
    fn align(&mut self, model: &mut Model, previous: &Previous, turn: bool) -> Option<Alignment> {
        self.log.phase("align");
        let ids = Pair::new(&model.users.ids, &model.items.ids);
        if previous.differs(&self.plan, ids).is_some() {
            return None;
        }
        let moved = align::align(model, previous, turn)?;
        let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.3}"));
        let message = format!(
            "median cosine of the item vectors {} before and {} after alignment; \
             share of the nearest items that stayed the same {}",
            number(moved.median_cosine_before),
            number(moved.median_cosine_after),
            number(moved.overlap_at_10)
        );
        self.log.info("aligned", &message, json::value(&moved));
        Some(moved)
    }

    /// Checks the gates of the model.
    fn quality_gates(&mut self, gates: &mut Gates<'_>, look: &ModelLook<'_>) {
        self.log.phase("quality gates");
        let from = gates.entries.len();
        check_model(gates, look);
        self.tell(gates, from);
    }

    /// Completes the report of a written run and, after a publication, removes old runs.
    ///
    /// # Errors
    /// [`Error::QualityGate`] if the run was rejected.
    fn settle(
        &mut self,
        directory: &RunDirectory,
        entry: RunEntry,
        published: Published,
    ) -> Result<()> {
        let path = published.path;
        self.report.manifest = Some(path.join(MANIFEST));
        self.report.path = Some(path.clone());
        self.report.lineage = entry.lineage;
        self.report.resumed_from_sweep = entry.resumed_from_sweep;
        if entry.status == Status::Rejected {
            let (reason, published) =
                (entry.reason.unwrap_or_default(), self.report.latest.clone());
            return Err(Error::QualityGate { reason, path, published });
        }
        if let Some(reason) = entry.reason {
            self.warn(format!("published although a gate failed: {reason}"));
        }
        self.report.result = RunResult::Promoted;
        self.report.latest = Some(self.run_id.clone());
        let pruned = retention::keep(directory, self.config, now(), &self.job);
        if !pruned.removed.is_empty() {
            let message = format!("old runs removed: {}", pruned.removed.len());
            self.log.info("pruned", &message, json!({ "removed": pruned.removed }));
        }
        Ok(())
    }

    /// After an error, saves a checkpoint of the last state of the training. Turns
    /// [`Error::Stopped`] into [`Error::StoppedAt`] if there is a checkpoint.
    fn kept<T>(&self, outcome: Result<T>, checkpoints: &mut Checkpoints) -> Result<T> {
        outcome.map_err(|error| match (error, checkpoints.flush(&self.job)) {
            (Error::Stopped, Some(iteration)) => Error::StoppedAt { iteration },
            (error, _) => error,
        })
    }

    /// Records and logs the measurements.
    fn measured(&mut self, metrics: &Metrics) {
        let compared = metrics.baselines.previous_model.as_ref();
        self.report.measured(&json::value(metrics));
        self.report.rmse.previous_model = compared.and_then(|c| c.previous.rmse());
        self.report.rmse.beside_previous = compared.and_then(|c| c.new.rmse());
        let ranking = self.report.ranking.iter().next();
        let message = match (metrics.errors.holdout.rmse(), ranking) {
            (Some(rmse), _) => {
                format!("holdout RMSE {rmse:.4} after iteration {}", metrics.iteration)
            }
            (None, Some((name, RankingReport { model: Some(own), popularity }))) => format!(
                "{name} {own:.4} (popularity {}) after iteration {}",
                popularity.map_or("-".to_owned(), |v| format!("{v:.4}")),
                metrics.iteration
            ),
            (None, _) => format!("iterations: {}", metrics.iteration),
        };
        let numbers = json!({
            "rmse": self.report.rmse,
            "iteration": metrics.iteration,
            "ranking": metrics.ranking,
        });
        self.log.info("eval", &message, numbers);
    }

    fn entry(
        &self,
        status: Status,
        reason: Option<String>,
        gates: &Gates<'_>,
        lineage: Lineage,
    ) -> RunEntry {
        RunEntry {
            run_id: self.run_id.clone(),
            status,
            reason,
            host: host(),
            trigger: self.trigger.clone(),
            resumed_from_sweep: None,
            gates: gates.entries.clone(),
            lineage,
            publish_sha256: self.publish_sha256(),
        }
    }
}
