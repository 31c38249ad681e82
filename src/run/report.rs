//! What is known of a run at its end: one line of JSON for schedulers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::estimate::Estimate;
use super::mode::Mode;
use crate::error::Error;
use crate::store::json;
use crate::store::{GateEntry, Lineage, Manifest};
use crate::training::Dataset;

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// The new model is served.
    Promoted,
    /// Ratings and settings are those of the latest run.
    Noop,
    /// A gate did not let it through.
    Rejected,
    /// Something went wrong; what was served still is.
    #[default]
    Failed,
    /// It was stopped, or its time was up; the next one goes on.
    Interrupted,
    /// Nothing was to be done but to look.
    Valid,
}

/// Numbers of ratings, users and items.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Users.
    pub users: Option<usize>,
    /// Items.
    pub items: Option<usize>,
    /// Training ratings.
    pub train: Option<usize>,
    /// Held-out ratings.
    pub holdout: Option<usize>,
    /// Rows set aside, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, u64>,
}

/// Errors of the model and of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RmseReport {
    /// On the training ratings.
    pub train: Option<f64>,
    /// On the holdout.
    pub holdout: Option<f64>,
    /// Of the mean.
    pub global_mean: Option<f64>,
    /// Of biases alone.
    pub bias_only: Option<f64>,
    /// Of the latest run, on the held-out ratings that both know.
    pub previous_model: Option<f64>,
    /// Of this model, on those.
    pub beside_previous: Option<f64>,
}

/// A ranking metric of the model and of the most popular items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RankingReport {
    /// Of the model.
    pub model: Option<f64>,
    /// Of the items with the most training ratings, the same for everyone.
    pub popularity: Option<f64>,
}

/// What is known of a run at its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunReport {
    /// How it ended.
    pub result: RunResult,
    /// The program's exit code.
    pub exit_code: u8,
    /// Its id.
    pub run_id: String,
    /// Why it failed or was rejected.
    pub reason: Option<String>,
    /// Its directory, where it has one.
    pub path: Option<PathBuf>,
    /// The run that is served now.
    pub latest: Option<String>,
    /// Identity of the model.
    pub model_version: Option<String>,
    /// Its manifest.
    pub manifest: Option<PathBuf>,
    /// Entries of a vector.
    pub rank: Option<u32>,
    /// Iterations of the fit, and the one that a checkpoint was resumed from.
    pub iterations: Option<u32>,
    /// See `iterations`.
    pub resumed_from_sweep: Option<u32>,
    /// Ratings, users, items.
    pub counts: Counts,
    /// Errors.
    pub rmse: RmseReport,
    /// Ranking metrics on the holdout, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ranking: BTreeMap<String, RankingReport>,
    /// Gates, in the order in which they were looked at.
    pub gates: Vec<GateEntry>,
    /// Earlier runs that it depends on.
    pub lineage: Lineage,
    /// What it was estimated to take.
    pub estimate: Option<Estimate>,
    /// Seconds per stage.
    pub durations_s: BTreeMap<String, f64>,
    /// Peak memory.
    pub peak_rss_bytes: Option<u64>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
}

/// The line is shorter than this.
const LINE_BYTES: usize = 4096;

/// How much of the texts stands in the line.
struct Budget {
    warnings: usize,
    /// Bytes of a warning, of a gate's message.
    text: usize,
    /// Bytes of the reason.
    reason: usize,
}

/// The first one with which the line is short enough holds.
const BUDGETS: [Budget; 4] = [
    Budget { warnings: 4, text: 160, reason: 600 },
    Budget { warnings: 2, text: 80, reason: 600 },
    Budget { warnings: 1, text: 40, reason: 300 },
    Budget { warnings: 0, text: 0, reason: 150 },
];

impl RunReport {
    /// What the ratings are.
    pub(super) fn read(&mut self, data: &Dataset) {
        self.counts.users = Some(data.ids.users.len());
        self.counts.items = Some(data.ids.items.len());
        self.counts.train = Some(data.parts.training.len());
        self.counts.holdout = Some(data.parts.holdout.len());
        for report in &data.inputs.reports {
            for (reason, rows) in &report.rows_rejected {
                *self.counts.rejected.entry(reason.clone()).or_default() += rows;
            }
        }
    }

    /// What the model is.
    pub(super) fn describe(&mut self, manifest: &Manifest) {
        self.model_version = Some(manifest.model_version.clone());
        self.rank = Some(manifest.model.k);
        self.iterations = Some(manifest.model.sweeps);
        if let serde_json::Value::Object(stages) = &manifest.durations_s {
            let seconds = |(stage, value): (&String, &serde_json::Value)| {
                Some((stage.clone(), value.as_f64()?))
            };
            self.durations_s = stages.iter().filter_map(seconds).collect();
        }
    }

    /// Errors and rankings as they stand in a manifest's metrics.
    pub(super) fn measured(&mut self, metrics: &serde_json::Value) {
        let number =
            |path: &[&str]| path.iter().try_fold(metrics, |value, key| value.get(key))?.as_f64();
        self.rmse.train = number(&["train_rmse"]);
        self.rmse.holdout = number(&["holdout_rmse"]);
        self.rmse.global_mean = number(&["baselines", "global_mean", "rmse"]);
        self.rmse.bias_only = number(&["baselines", "bias_only", "rmse"]);
        let ranking = metrics.get("ranking").and_then(serde_json::Value::as_object);
        let names = ranking.into_iter().flat_map(|values| values.keys());
        let metrics_of = |name: &String| RankingReport {
            model: number(&["ranking", name]),
            popularity: number(&["baselines", "popularity", name]),
        };
        self.ranking = names
            .filter(|name| name.contains('@') || *name == "auc")
            .map(|name| (name.clone(), metrics_of(name)))
            .collect();
    }

    /// The figures of the run that stays served where there is nothing new.
    pub(super) fn recall(&mut self, manifest: &Manifest) {
        self.describe(manifest);
        self.durations_s.clear();
        self.measured(&manifest.metrics);
        self.counts.users = Some(manifest.data.n_users);
        self.counts.items = Some(manifest.data.n_items);
        self.counts.train = Some(manifest.split.n_train);
        self.counts.holdout = Some(manifest.split.n_holdout);
    }

    /// Notes how it ended; `code` is the exit code of the failure.
    pub(super) fn finish(&mut self, error: Option<&Error>, code: u8, mode: Mode) {
        let Some(error) = error else {
            if mode != Mode::Run && self.result == RunResult::Failed {
                self.result = RunResult::Valid;
            }
            return;
        };
        self.exit_code = code;
        self.result = match error {
            Error::DataGate { .. } | Error::QualityGate { .. } => RunResult::Rejected,
            Error::Stopped | Error::StoppedAt { .. } | Error::TimeLimit { .. } => {
                RunResult::Interrupted
            }
            _ => RunResult::Failed,
        };
        self.reason = Some(error.chain());
    }

    /// One sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.result {
            RunResult::Promoted => format!("run {} is published", self.run_id),
            RunResult::Noop => {
                format!("nothing to do: {}", self.reason.as_deref().unwrap_or_default())
            }
            RunResult::Rejected => format!("run {} is rejected", self.run_id),
            RunResult::Failed => format!("run {} failed", self.run_id),
            RunResult::Interrupted => format!("run {} was interrupted", self.run_id),
            RunResult::Valid => "settings and ratings are good".to_owned(),
        }
    }

    /// The report as one line of JSON below 4 KiB, which also fits where schedulers read it: passed gates
    /// lose their messages, long lists their end, and long texts are cut. `reason` stays longest.
    #[must_use]
    pub fn line(&self) -> String {
        let shortened = BUDGETS.iter().map(|budget| self.shortened(budget).to_string());
        let mut lines = shortened.filter(|line| line.len() < LINE_BYTES);
        lines.next().unwrap_or_else(|| {
            // Long paths and ids.
            let reason = self.reason.as_deref().map(|text| cut(text, 600));
            serde_json::json!({
                "result": self.result,
                "exit_code": self.exit_code,
                "run_id": cut(&self.run_id, 100),
                "reason": reason,
            })
            .to_string()
        })
    }

    fn shortened(&self, budget: &Budget) -> serde_json::Value {
        let mut short = self.clone();
        let warnings = self.warnings.iter().take(budget.warnings);
        short.warnings = warnings.map(|text| cut(text, budget.text)).collect();
        short.reason = self.reason.as_deref().map(|text| cut(text, budget.reason));
        short.counts.rejected.clear();
        let rejected: u64 = self.counts.rejected.values().sum();
        let mut value = json::value(&short);
        value["counts"]["rejected"] = rejected.into();
        for gate in value["gates"].as_array_mut().into_iter().flatten() {
            let text = gate["message"].as_str().map(|text| cut(text, budget.text));
            gate["message"] = text.into();
            if gate["passed"] == true
                && let Some(gate) = gate.as_object_mut()
            {
                gate.remove("message");
            }
        }
        value
    }
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, bytes: usize) -> String {
    let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= bytes;
    text.char_indices().take_while(fits).map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Severity;

    #[test]
    fn the_line_is_short_whatever_the_report_holds() {
        let gate = GateEntry {
            name: "previous-model".into(),
            severity: Severity::Error,
            threshold: Some(0.123_456_789),
            observed: Some(0.123_456_789),
            passed: false,
            message: "x".repeat(500),
        };
        let mut report = RunReport {
            gates: vec![gate; 11],
            warnings: vec!["y".repeat(5000); 50],
            reason: Some("z".repeat(5000)),
            ..RunReport::default()
        };
        for number in 0..1000 {
            report.counts.rejected.insert(format!("reason {number}"), 1);
        }
        // Texts of several bytes a character, and texts that JSON writes longer than they are.
        for unit in ["z", "\u{304b}", "\u{1f3ac}", "\u{1}"] {
            report.reason = Some(unit.repeat(5000));
            report.warnings = vec![unit.repeat(5000); 50];
            report.gates.iter_mut().for_each(|gate| gate.message = unit.repeat(500));
            let line = report.line();
            assert!(line.len() < 4096 && !line.contains('\n'), "{unit}: {}", line.len());
            let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert!(read["reason"].as_str().is_some_and(|reason| reason.starts_with(unit)));
            assert_eq!(read["gates"].as_array().map(Vec::len), Some(11));
        }
        report.path = Some("p".repeat(4000).into());
        assert!(report.line().len() < 4096);
    }
}
