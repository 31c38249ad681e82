//! The steps of a run before the training: the earlier run, the files, the ratings and their gates.

use serde_json::json;

use super::directory::RunDirectory;
use super::estimate::{self, estimate};
use super::gates::{DataLook, Gates, check_data};
use super::inputs::{Checksums, Inputs};
use super::log::Level;
use super::mode::Mode;
use super::night::Night;
use super::places::Place;
use super::previous::{Previous, checksums};
use super::report::RunResult;
use super::units::Memory;
use super::{records, resume};
use crate::error::{Error, Result};
use crate::pair::Pair;
use crate::settings::Plan;
use crate::store::{Lineage, MANIFEST, Manifest, Severity, json};
use crate::system::now;
use crate::training::{Dataset, Notes, Size};

impl<'c> Night<'c> {
    /// Reads the published run or, if it cannot be read, the newest other run that can be.
    pub(super) fn previous(
        &mut self,
        directory: Option<&RunDirectory>,
    ) -> Result<Option<Previous>> {
        let Some(directory) = directory else { return Ok(None) };
        self.report.latest = directory.latest();
        let Some(latest) = self.report.latest.clone() else { return Ok(None) };
        let error = match Previous::read(directory, &latest, &self.job) {
            Ok(previous) => return Ok(Some(previous)),
            Err(error @ (Error::Stopped | Error::Unreachable { .. })) => return Err(error),
            Err(error) => error,
        };
        let why = error.chain();
        let runs = directory.runs();
        let mut earlier = runs.iter().rev().filter(|id| **id != latest);
        if let Some(previous) = earlier.find_map(|id| Previous::read(directory, id, &self.job).ok())
        {
            let id = &previous.entry.run_id;
            self.warn(format!(
                "run {id} stands in for the latest run, which cannot be read: {why}"
            ));
            return Ok(Some(previous));
        }
        if !self.config.allow_gate_failure {
            let message = format!(
                "neither the latest run nor an earlier one can be read, so there is \
                 nothing to compare with: {why}; repair the latest run, or publish without \
                 a comparison by --allow-gate-failure"
            );
            return Err(Error::Model { path: directory.shown(Place::RUNS, &latest), message });
        }
        self.warn(format!(
            "the latest run cannot be read, so there is nothing to compare with: {why}"
        ));
        Ok(None)
    }

    /// Why this run has nothing to do, if so: the published run, or a run that was rolled back, has
    /// the same ratings and settings.
    pub(super) fn nothing_new(
        &self,
        directory: Option<&RunDirectory>,
        previous: Option<&Previous>,
        inputs: &Inputs,
    ) -> Option<String> {
        let directory = directory.filter(|_| !self.config.train.force)?;
        let latest = self.report.latest.as_deref()?;
        let same = |manifest: &Manifest| {
            let Checksums { ratings, tests } = checksums(manifest);
            let same = |now: &[String], then: &[&str]| now.iter().eq(then.iter());
            same(&inputs.checksums.ratings, &ratings)
                && same(&inputs.checksums.tests, &tests)
                && manifest.config_sha256 == self.config_sha256()
                && manifest.run.as_ref().is_some_and(|r| r.publish_sha256 == self.publish_sha256())
                && manifest.tool.version == env!("CARGO_PKG_VERSION")
        };
        // The published run must also be complete.
        let whole = |p: &&Previous| p.entry.run_id == latest && directory.is_complete(latest);
        let published = previous.filter(whole).filter(|p| same(&p.manifest));
        if published.is_some() {
            return Some(format!("ratings and settings are those of run {latest}"));
        }
        // A run that was rolled back is not wanted again. A run that was killed before it was
        // published does not count.
        let rolled_back = directory.pointer().map(|p| p.rolled_back).unwrap_or_default();
        let found = rolled_back
            .into_iter()
            .rev()
            .find(|id| Manifest::read(&directory.run(id).join(MANIFEST)).is_ok_and(|m| same(&m)))?;
        Some(format!(
            "ratings and settings are those of run {found}, which was rolled back \
             (--force trains on them again)"
        ))
    }

    /// Reads the ratings. Checks the memory limit before and after.
    pub(super) fn read(
        &mut self,
        plan: &Plan,
        inputs: &Inputs,
        previous: Option<&Previous>,
    ) -> Result<Dataset> {
        self.log.phase("load");
        if let Some(ratings) = estimate::ratings_before_reading(&inputs.sources, previous) {
            let rows = previous.map_or(Pair::default(), |previous| {
                Pair::new(previous.manifest.data.n_users, previous.manifest.data.n_items)
            });
            let size = Size { rows, ratings, holdout: ratings / 10 };
            let before = estimate(plan, previous, size);
            estimate::check(self.config, &before)?;
        }
        let mut notes = Notes::default();
        let data = Dataset::read(&plan.reading, &self.job, &mut notes);
        self.take(&mut notes);
        let data = data?;
        inputs.unchanged()?;
        self.report.read(&data);
        for input in data.inputs.reports.iter().filter(|input| !input.rows_rejected.is_empty()) {
            let rows: u64 = input.rows_rejected.values().sum();
            let numbers = json!({ "uri": input.uri, "rows": rows, "reasons": input.rows_rejected });
            let message = format!("rows of {} that are set aside: {rows}", input.uri);
            self.log.event(Level::Warn, "rows_rejected", &message, numbers);
        }
        let rows = Pair::new(data.ids.users.len(), data.ids.items.len());
        let size = Size { rows, ratings: data.n_ratings, holdout: data.parts.holdout.len() };
        let estimated = estimate(plan, previous, size);
        self.report.estimate = Some(estimated);
        let numbers = json!({
            "users": rows.users,
            "items": rows.items,
            "n_train": data.parts.training.len(),
            "n_holdout": data.parts.holdout.len(),
            "estimate": estimated,
        });
        let message = format!(
            "{} ratings to train on, {} held out; about {} of memory and {:.0} s of training",
            data.parts.training.len(),
            data.parts.holdout.len(),
            Memory(estimated.peak_bytes()),
            estimated.train_seconds
        );
        self.log.info("csr_built", &message, numbers);
        estimate::check(self.config, &estimated)?;
        Ok(data)
    }

    /// Checks the gates of the ratings.
    pub(super) fn data_gates(&mut self, data: &Dataset, previous: Option<&Previous>) -> Gates<'c> {
        self.log.phase("data gates");
        let config = self.config;
        let mut gates = Gates::new(config);
        check_data(&mut gates, &DataLook { config, data, previous, now: now() });
        self.tell(&gates, 0);
        gates
    }

    /// Logs the gates from the index `from` on and records all of them.
    pub(super) fn tell(&mut self, gates: &Gates<'_>, from: usize) {
        for gate in &gates.entries[from..] {
            let level = match (gate.passed, gate.severity) {
                (true, _) => Level::Info,
                (false, Severity::Error) if !self.config.allow_gate_failure => Level::Error,
                (false, _) => Level::Warn,
            };
            let state = if gate.passed { "passed" } else { "not passed" };
            let message = format!("{} {state}: {}", gate.name, gate.message);
            self.log.event(level, "gate", &message, json::value(gate));
        }
        self.report.gates.clone_from(&gates.entries);
    }

    /// Decides on a warm start, an alignment and a comparison with the earlier run.
    ///
    /// Returns the lineage and, if the models are not compared, why not.
    pub(super) fn lineage(
        &mut self,
        directory: Option<&RunDirectory>,
        previous: Option<&Previous>,
        data: &Dataset,
        inputs: &Inputs,
    ) -> (Lineage, Option<String>) {
        let Some(previous) = previous else {
            let why = match self.report.latest {
                None => "there is no earlier run",
                Some(_) => "no earlier run can be read",
            };
            let cold_because = Some(why.to_owned());
            return (Lineage { cold_because, ..Lineage::default() }, None);
        };
        let (ids, tests) = ((*data.ids).as_ref(), &inputs.checksums.tests);
        let plan = &self.plan;
        let tried = cold_start_was_rejected(directory, &previous.entry.run_id);
        let due = previous.cold_is_due(self.config) && !tried;
        let no_start = previous.no_start(self.config, plan, ids, tests, due);
        let differs = previous.differs(plan, ids);
        let no_comparison = differs.clone().or_else(|| previous.leaks(plan, tests));
        let id = previous.entry.run_id.clone();
        let lineage = Lineage {
            warm_start_from: no_start.is_none().then(|| id.clone()),
            runs_since_cold: match no_start.is_none() {
                // A rejected cold start restarts the count: the next one is due after the full
                // number of runs.
                true if tried => 0,
                true => previous.entry.lineage.runs_since_cold + 1,
                false => 0,
            },
            cold_was_due: due,
            cold_because: no_start,
            aligned_to: (differs.is_none() && self.config.aligns()).then_some(id),
            alignment: None,
        };
        let message = match (&lineage.warm_start_from, &lineage.cold_because) {
            (Some(id), _) => format!("warm start from the factors of run {id}"),
            (None, why) => format!("cold start: {}", why.as_deref().unwrap_or_default()),
        };
        self.log.info("warm_start", &message, json!({ "lineage": lineage }));
        if let (Some(why), true) = (&differs, self.config.aligns()) {
            self.log.info("aligned", &format!("no alignment: {why}"), json!({}));
        }
        (lineage, no_comparison)
    }

    /// Reports what a run would do. Before the first run, there is no directory.
    pub(super) fn look(
        &mut self,
        mode: Mode,
        directory: Option<&RunDirectory>,
        previous: Option<&Previous>,
    ) -> Result<()> {
        let inputs = Inputs::scan(&self.plan.reading, &self.job)?;
        let nothing_new = self.nothing_new(directory, previous, &inputs);
        if let Some(why) = nothing_new.filter(|_| mode == Mode::DryRun) {
            self.report.result = RunResult::Noop;
            self.report.reason = Some(why);
            return Ok(());
        }
        let plan = self.with_kept_rank(previous)?;
        let data = self.read(&plan, &inputs, previous)?;
        let gates = self.data_gates(&data, previous);
        let reason = gates.reason().filter(|_| !self.config.allow_gate_failure);
        if let Some(reason) = reason {
            return Err(Error::DataGate { reason, record: None });
        }
        let (lineage, _) = self.lineage(directory, previous, &data, &inputs);
        if let Some(directory) = directory {
            let found = resume::interrupted(directory, &self.about(&inputs, previous, &lineage));
            if let Some(what) = found {
                self.log.info("resumed", &what, json!({}));
            }
        }
        self.report.lineage = lineage;
        Ok(())
    }
}

/// Whether a scheduled cold start was rejected since a run. Another one would also be rejected.
fn cold_start_was_rejected(directory: Option<&RunDirectory>, since: &str) -> bool {
    let Some(directory) = directory else { return false };
    let due = |id: &String| {
        let record = records::read(&directory.rejected(id)).ok().and_then(|record| record.run);
        record.is_some_and(|run| run.lineage.cold_was_due)
    };
    directory.rejects().iter().rev().take_while(|id| id.as_str() > since).any(due)
}
