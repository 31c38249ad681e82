//! The course of one run.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::json;

use super::directory::RunDirectory;
use super::gates::Gates;
use super::inputs::Inputs;
use super::lock::Lock;
use super::log::Log;
use super::previous::Previous;
use super::publish::{Candidate, publish, reject_data};
use super::report::{RankingReport, RunReport, RunResult};
use super::units::Span;
use super::{Mode, RunConfig, align, began, checks, resume, retention};
use crate::error::{Error, Result};
use crate::job::{Event, Observer};
use crate::model::Model;
use crate::pipeline::{Dataset, Metrics, Setup, Training, keep_ratings};
use crate::store::json;
use crate::store::{Alignment, Lineage, OutDir, RunEntry, Status, Trigger};
use crate::system::now;

/// One run, with its settings resolved.
pub(super) struct Night<'a> {
    pub config: &'a RunConfig,
    pub log: &'a Log<'a>,
    pub stop: &'a AtomicBool,
    pub observer: &'a Observer<'a>,
    pub report: &'a mut RunReport,
    pub run_id: String,
    pub trigger: Trigger,
    pub started: Instant,
    pub started_at: i64,
}

impl Night<'_> {
    /// Does what `mode` says in a directory of runs.
    pub(super) fn go(&mut self, mode: Mode, root: &Path) -> Result<()> {
        if mode != Mode::Run {
            let directory = RunDirectory::look(root, self.stop)?;
            directory.as_ref().map_or(Ok(()), RunDirectory::check_pointer)?;
            let previous = self.previous(directory.as_ref())?;
            return self.look(mode, directory.as_ref(), previous.as_ref());
        }
        let directory = RunDirectory::create(root, self.config.work_dir.as_deref())?;
        let wait = self.config.lock_wait.map_or(Duration::ZERO, |Span(wait)| wait);
        let waits = |holder: &str| {
            self.log.info("waiting", &format!("waiting for {holder}"), json!({}));
        };
        let lock = directory.lock(&self.run_id, wait, (self.stop, &waits))?;
        directory.claim(self.stop)?;
        directory.pull(self.stop)?;
        directory.check_pointer()?;
        let swept = directory.sweep(self.stop)?;
        if swept > 0 {
            self.warn(format!("removed what {swept} interrupted runs left unfinished"));
        }
        if directory.reconcile()? {
            self.warn("latest and latest.json did not lead to the same run, and do again".into());
        }
        let previous = self.previous(Some(&directory))?;
        self.night(&directory, previous.as_ref(), &lock)
    }

    pub(super) fn warn(&mut self, message: String) {
        self.log.warn(&message);
        self.report.warnings.push(message);
    }

    pub(super) fn config_sha256(&self) -> String {
        json::digest([self.config.train.identity().to_string().as_str()])
    }

    pub(super) fn publish_sha256(&self) -> String {
        json::digest([self.config.published().to_string().as_str()])
    }

    pub(super) fn take_warnings(&mut self, training: &mut Training<'_>) {
        for warning in std::mem::take(&mut training.warnings) {
            self.warn(warning);
        }
    }

    /// What a checkpoint belongs to.
    pub(super) fn about(
        &self,
        inputs: &Inputs,
        previous: Option<&Previous>,
        lineage: &Lineage,
    ) -> serde_json::Value {
        let warm = previous.filter(|_| lineage.warm_start_from.is_some());
        resume::about(&self.config.train, inputs, warm)
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
        let inputs = Inputs::scan(&self.config.train, self.stop)?;
        let scan = since.elapsed().as_secs_f64();
        if let Some(why) = self.nothing_new(Some(directory), previous, &inputs) {
            resume::remove_done(directory, &self.config.train, &inputs);
            if let Some(previous) = previous {
                self.report.recall(&previous.manifest);
            }
            self.report.result = RunResult::Noop;
            self.report.reason = Some(why);
            return Ok(());
        }
        let resumed = Mutex::new(None);
        let observer = |event: &Event| {
            if let (Event::Resumed(_, iteration), Ok(mut resumed)) = (event, resumed.lock()) {
                *resumed = Some(*iteration);
            }
            (self.observer)(event);
        };
        let config = self.config;
        let mut settings = config.train.clone();
        settings.factors = settings.factors.or_else(|| previous?.rank_to_keep(&config.train));
        let mut training = Training::new(settings, self.stop, &observer);
        let data = self.read(&mut training, &inputs, previous)?;
        self.take_warnings(&mut training);
        let mut gates = self.data_gates(config, &data, previous);
        if let Some(reason) = gates.reason().filter(|_| !config.allow_gate_failure) {
            return Err(self.reject_data((directory, lock), data, &gates, reason));
        }
        let (mut lineage, no_comparison) = self.lineage(Some(directory), previous, &data, &inputs);
        let about = self.about(&inputs, previous, &lineage);
        training.setup = Setup {
            warm: previous.filter(|_| lineage.warm_start_from.is_some()).map(Previous::honest),
            previous: previous.filter(|_| no_comparison.is_none()).map(Previous::honest),
            checkpoints: Some(resume::checkpoints(directory, config, &about, self.log)?),
            keeps_rank: config.train.factors.is_none() && training.config.factors.is_some(),
        };
        let new_share = previous.map(|previous| {
            let (users, items) = checks::new_shares(&data, previous);
            (users.0, items.0)
        });
        let out = OutDir::staged(&directory.temporary(), &self.run_id)?;
        let kept = keep_ratings(&config.train, &out, &data)?;
        self.log.phase("train");
        let fitted = training.train(data);
        let (mut outcome, metrics) = self.stopped(fitted, &mut training)?;
        self.take_warnings(&mut training);
        self.measured(&metrics);
        let turn = lineage.aligned_to.is_some();
        lineage.alignment = previous.and_then(|p| self.align(&mut outcome.model, p, turn));
        let measured = (&outcome.model, &metrics);
        self.quality_gates(&mut gates, measured, lineage.alignment, no_comparison.as_deref());
        let failure = gates.reason();
        let passed = failure.is_none() || config.allow_gate_failure;
        let status = if passed { Status::Promoted } else { Status::Rejected };
        let mut entry = self.entry(status, failure, &gates, lineage);
        entry.resumed_from_sweep = resumed.lock().ok().and_then(|resumed| *resumed);
        let candidate = Candidate {
            out,
            kept,
            directory,
            lock,
            config,
            previous,
            inputs: &inputs,
            entry: entry.clone(),
            new_share,
            started: (self.started, self.started_at),
            scan,
            stop: self.stop,
            log: self.log,
        };
        self.log.phase("publish");
        let written = publish(candidate, outcome, &metrics, training.durations);
        let (path, manifest) = self.stopped(written, &mut training)?;
        resume::remove_all(directory);
        self.report.describe(&manifest);
        self.settle(directory, entry, path)
    }

    /// A clock that was set back is told of: what began later than now is not old.
    fn check_clock(&mut self, previous: Option<&Previous>) {
        let before = previous.and_then(|previous| began(&previous.entry.run_id));
        if before.is_some_and(|before| self.started_at < before) {
            let now = crate::load::time::iso(self.started_at);
            self.warn(format!(
                "the clock says {now}, before the latest run began: was it set back?"
            ));
        }
    }

    /// Keeps the record of ratings that do not pass.
    fn reject_data(
        &mut self,
        (directory, lock): (&RunDirectory, &Lock),
        data: Dataset,
        gates: &Gates<'_>,
        reason: String,
    ) -> Error {
        let entry = self.entry(Status::Rejected, Some(reason.clone()), gates, Lineage::default());
        let parts = (self.started_at, self.config_sha256());
        let tools = (self.log, lock, self.stop);
        match reject_data(directory, self.config, data, &entry, parts, tools) {
            Ok(record) => {
                self.report.path = Some(record.clone());
                Error::DataGate { reason, record: Some(record) }
            }
            Err(error) => error,
        }
    }

    /// Turns the vectors to those of the run before, where both are of one kind.
    fn align(&mut self, model: &mut Model, previous: &Previous, turn: bool) -> Option<Alignment> {
        self.log.phase("align");
        let ids = (&model.users.ids, &model.items.ids);
        if previous.differs(&self.config.train, ids).is_some() {
            return None;
        }
        let moved = align::align(model, previous, turn)?;
        let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.3}"));
        let message = format!(
            "median cosine of the items {} before and {} after turning; {} of the nearest items stayed",
            number(moved.median_cosine_before),
            number(moved.median_cosine_after),
            number(moved.overlap_at_10)
        );
        self.log.info("aligned", &message, json::value(&moved));
        Some(moved)
    }

    /// Looks at the gates of the model.
    fn quality_gates(
        &mut self,
        gates: &mut Gates<'_>,
        measured: (&Model, &Metrics),
        alignment: Option<Alignment>,
        no_comparison: Option<&str>,
    ) {
        self.log.phase("quality gates");
        let from = gates.entries.len();
        checks::model(gates, self.config, measured, alignment.as_ref(), no_comparison);
        self.tell(gates, from);
    }

    /// After a run was written: what is served, and what old runs stay.
    fn settle(&mut self, directory: &RunDirectory, entry: RunEntry, path: PathBuf) -> Result<()> {
        self.report.manifest = Some(path.join(crate::store::MANIFEST));
        self.report.path = Some(path.clone());
        self.report.lineage = entry.lineage;
        self.report.resumed_from_sweep = entry.resumed_from_sweep;
        if entry.status == Status::Rejected {
            let (reason, served) = (entry.reason.unwrap_or_default(), self.report.latest.clone());
            return Err(Error::QualityGate { reason, path, served });
        }
        if let Some(reason) = entry.reason {
            self.warn(format!("published although a gate does not pass: {reason}"));
        }
        self.report.result = RunResult::Promoted;
        self.report.latest = Some(self.run_id.clone());
        let pruned = retention::keep(directory, self.config, now(), self.stop);
        if !pruned.removed.is_empty() {
            let message = format!("removed {} old runs", pruned.removed.len());
            self.log.info("pruned", &message, json!({ "removed": pruned.removed }));
        }
        Ok(())
    }

    /// After a failure, keeps what there is of the training, and after a stop says so.
    fn stopped<T>(&self, outcome: Result<T>, training: &mut Training<'_>) -> Result<T> {
        let error = match outcome {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        let checkpoints = training.setup.checkpoints.as_mut();
        let kept = checkpoints.and_then(|checkpoints| checkpoints.flush(self.observer));
        Err(match (error, kept) {
            (Error::Stopped, Some(iteration)) => Error::StoppedAt { iteration },
            (error, _) => error,
        })
    }

    /// Tells what the model is worth.
    fn measured(&mut self, metrics: &Metrics) {
        let compared = metrics.baselines.previous_model.as_ref();
        self.report.measured(&json::value(metrics));
        self.report.rmse.previous_model = compared.and_then(|c| c.previous.rmse);
        self.report.rmse.beside_previous = compared.and_then(|c| c.new.rmse);
        let ranking = self.report.ranking.iter().next();
        let message = match (metrics.holdout_rmse, ranking) {
            (Some(rmse), _) => {
                format!("holdout RMSE {rmse:.4} after {} iterations", metrics.iteration)
            }
            (None, Some((name, RankingReport { model: Some(own), popularity }))) => format!(
                "{name} {own:.4} (popularity {}) after {} iterations",
                popularity.map_or("-".to_owned(), |v| format!("{v:.4}")),
                metrics.iteration
            ),
            (None, _) => format!("{} iterations", metrics.iteration),
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
            host: crate::system::host(),
            trigger: self.trigger.clone(),
            resumed_from_sweep: None,
            gates: gates.entries.clone(),
            lineage,
            publish_sha256: self.publish_sha256(),
        }
    }
}
