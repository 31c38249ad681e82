//! What a run looks at before it trains: the run before, the files, the ratings, the gates of the ratings.

use serde_json::json;

use super::directory::RunDirectory;
use super::estimate::{self, Estimate, estimate};
use super::gates::Gates;
use super::inputs::Inputs;
use super::log::Level;
use super::night::Night;
use super::previous::Previous;
use super::report::RunResult;
use super::units::Memory;
use super::{RunConfig, checks, resume};
use crate::error::{Error, Result};
use crate::pipeline::{Dataset, Training, now};
use crate::store::Lineage;

impl Night<'_> {
    /// The run that is served; a damaged one is told of, and not compared with.
    pub(super) fn previous(&mut self, directory: Option<&RunDirectory>) -> Option<Previous> {
        let directory = directory?;
        self.report.latest = directory.latest();
        match Previous::latest(directory) {
            Ok(previous) => previous,
            Err(error) => {
                self.warn(format!(
                    "the latest run cannot be read, so this one starts cold and is not compared with it: {}",
                    super::chain(&error)
                ));
                None
            }
        }
    }

    /// Whether ratings and settings are those of the latest run.
    pub(super) fn nothing_new(&self, previous: Option<&Previous>, inputs: &Inputs) -> bool {
        let Some(previous) = previous.filter(|_| !self.config.train.force) else { return false };
        let manifest = &previous.manifest;
        let (ratings, tests) = previous.checksums();
        let same = |now: &[String], then: &[&str]| now.iter().eq(then.iter());
        same(&inputs.checksums.0, &ratings)
            && same(&inputs.checksums.1, &tests)
            && manifest.config_sha256 == self.config_sha256()
            && previous.entry.publish_sha256 == self.publish_sha256()
            && manifest.tool.version == env!("CARGO_PKG_VERSION")
    }

    /// Reads the ratings, after a look at what that may take.
    pub(super) fn read(
        &mut self,
        training: &mut Training<'_>,
        inputs: &Inputs,
        previous: Option<&Previous>,
    ) -> Result<(Dataset, Estimate)> {
        self.log.phase("load");
        if let Some(ratings) = estimate::ratings_before_reading(&inputs.sources, previous) {
            let shape = previous.map_or((0, 0), |previous| {
                (previous.manifest.data.n_users, previous.manifest.data.n_items)
            });
            let before = estimate(self.config, previous, shape, (ratings, ratings / 10));
            estimate::check(self.config, &before)?;
        }
        let data = training.dataset()?;
        self.report.read(&data);
        for input in data.inputs.reports.iter().filter(|input| !input.rows_rejected.is_empty()) {
            let rows: u64 = input.rows_rejected.values().sum();
            let numbers = json!({ "uri": input.uri, "rows": rows, "reasons": input.rows_rejected });
            let message = format!("{rows} rows of {} are set aside", input.uri);
            self.log.event(Level::Warn, "rows_rejected", &message, numbers);
        }
        let shape = (data.users.len(), data.items.len());
        let parts = (data.n_ratings, data.parts.holdout.len());
        let estimated = estimate(self.config, previous, shape, parts);
        self.report.estimate = Some(estimated);
        let numbers = json!({
            "users": shape.0,
            "items": shape.1,
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
        Ok((data, estimated))
    }

    /// Looks at the gates of the ratings.
    pub(super) fn data_gates<'g>(
        &mut self,
        config: &'g RunConfig,
        data: &Dataset,
        previous: Option<&Previous>,
    ) -> Gates<'g> {
        self.log.phase("data gates");
        let mut gates = Gates::new(config);
        checks::data(&mut gates, config, data, previous, now());
        self.tell(&gates, 0);
        gates
    }

    /// Logs the gates from this one on.
    pub(super) fn tell(&mut self, gates: &Gates<'_>, from: usize) {
        for gate in &gates.entries[from..] {
            let level = if gate.passed { Level::Info } else { Level::Warn };
            let state = if gate.passed { "passed" } else { "not passed" };
            let message = format!("{} {state}: {}", gate.name, gate.message);
            self.log.event(level, "gate", &message, serde_json::to_value(gate).unwrap_or_default());
        }
        self.report.gates.clone_from(&gates.entries);
    }

    /// Where the fit begins, and what it is compared with: why not, where it is not.
    pub(super) fn lineage(
        &mut self,
        previous: Option<&Previous>,
        data: &Dataset,
        inputs: &Inputs,
    ) -> (Lineage, Option<String>) {
        let Some(previous) = previous else {
            let cold_because = Some("there is no earlier run".to_owned());
            return (Lineage { cold_because, ..Lineage::default() }, None);
        };
        let (ids, tests) = ((&data.users, &data.items), &inputs.checksums.1);
        let settings = &self.config.train;
        let no_start = previous.no_start(self.config, ids, tests);
        let differs = previous.differs(settings, ids);
        let no_comparison = differs.clone().or_else(|| previous.leaks(settings, tests));
        let id = previous.entry.run_id.clone();
        let lineage = Lineage {
            warm_start_from: no_start.is_none().then(|| id.clone()),
            runs_since_cold: match no_start.is_none() {
                true => previous.entry.lineage.runs_since_cold + 1,
                false => 0,
            },
            cold_because: no_start,
            aligned_to: (differs.is_none() && self.config.aligns()).then_some(id),
            alignment: None,
        };
        let message = match (&lineage.warm_start_from, &lineage.cold_because) {
            (Some(id), _) => format!("warm start at the factors of run {id}"),
            (None, why) => format!("cold start: {}", why.as_deref().unwrap_or_default()),
        };
        self.log.info("warm_start", &message, json!({ "lineage": lineage }));
        if let (Some(why), true) = (&differs, self.config.aligns()) {
            self.log.info("aligned", &format!("no alignment: {why}"), json!({}));
        }
        (lineage, no_comparison)
    }

    /// What would be done; there is no directory before the first run.
    pub(super) fn look(
        &mut self,
        directory: Option<&RunDirectory>,
        previous: Option<&Previous>,
    ) -> Result<()> {
        let inputs = Inputs::scan(&self.config.train)?;
        if self.nothing_new(previous, &inputs) {
            self.report.result = RunResult::Noop;
            return Ok(());
        }
        let mut training = Training::new(self.config.train.clone(), self.stop, self.observer);
        let (data, _) = self.read(&mut training, &inputs, previous)?;
        self.take_warnings(&mut training);
        let config = self.config;
        let gates = self.data_gates(config, &data, previous);
        let reason = gates.reason().filter(|_| !config.allow_gate_failure);
        if let Some(reason) = reason {
            let record = config.check()?.to_owned();
            return Err(Error::DataGate { reason, record });
        }
        let (lineage, _) = self.lineage(previous, &data, &inputs);
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
