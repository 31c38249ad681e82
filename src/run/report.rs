//! The report of a run: one line of JSON for schedulers.

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
    /// The new model is published.
    Promoted,
    /// Nothing to do: ratings and settings are those of an earlier run.
    Noop,
    /// A gate rejected the run.
    Rejected,
    /// The run failed. The published model is unchanged.
    #[default]
    Failed,
    /// The run was stopped or reached its time limit. The next run resumes from the checkpoint, if
    /// one was saved.
    Interrupted,
    /// A dry run or a validation found no problem.
    Valid,
}

/// Numbers of users, items and ratings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Number of users.
    pub users: Option<usize>,
    /// Number of items.
    pub items: Option<usize>,
    /// Number of training ratings.
    pub train: Option<usize>,
    /// Number of held-out ratings.
    pub holdout: Option<usize>,
    /// Number of rows set aside, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, u64>,
}

/// RMSE of the model and of the models that it is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RmseReport {
    /// RMSE of the model on the training ratings.
    pub train: Option<f64>,
    /// RMSE of the model on the holdout.
    pub holdout: Option<f64>,
    /// RMSE of the global mean.
    pub global_mean: Option<f64>,
    /// RMSE of biases alone.
    pub bias_only: Option<f64>,
    /// RMSE of the earlier run, on the held-out ratings that both models know.
    pub previous_model: Option<f64>,
    /// RMSE of this model on the same ratings as `previous_model`.
    pub beside_previous: Option<f64>,
}

/// A ranking metric of the model and of the most popular items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RankingReport {
    /// The value for the model.
    pub model: Option<f64>,
    /// The value for the items with the most training ratings, the same list for every user.
    pub popularity: Option<f64>,
}

/// The report of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunReport {
    /// How the run ended.
    pub result: RunResult,
    /// The program's exit code.
    pub exit_code: u8,
    /// Id of the run.
    pub run_id: String,
    /// Why the run failed or was rejected, or why there was nothing to do.
    pub reason: Option<String>,
    /// Directory or URL of the run, if it was written.
    pub path: Option<PathBuf>,
    /// Id of the published run.
    pub latest: Option<String>,
    /// Version of the model; see [`Manifest::model_version`].
    pub model_version: Option<String>,
    /// Path or URL of the manifest, if the run was written.
    pub manifest: Option<PathBuf>,
    /// Rank: number of entries of a vector.
    pub rank: Option<u32>,
    /// Number of iterations of the fit.
    pub iterations: Option<u32>,
    /// The iteration of the checkpoint that the run resumed from, if it resumed.
    pub resumed_from_sweep: Option<u32>,
    /// Numbers of users, items and ratings.
    pub counts: Counts,
    /// RMSE of the model and of the models that it is compared with.
    pub rmse: RmseReport,
    /// Ranking metrics on the holdout, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ranking: BTreeMap<String, RankingReport>,
    /// Outcomes of the gates, in the order in which they were checked.
    pub gates: Vec<GateEntry>,
    /// Earlier runs that the run depends on.
    pub lineage: Lineage,
    /// Estimated memory and time.
    pub estimate: Option<Estimate>,
    /// Seconds per stage.
    pub durations_s: BTreeMap<String, f64>,
    /// Peak resident memory of the process in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
}

/// Upper bound on the bytes of the line; the line is shorter.
const LINE_BYTES: usize = 4096;

/// How much text the line may contain.
struct Budget {
    /// Maximum number of warnings.
    warnings: usize,
    /// Maximum bytes of a warning or of a gate's message.
    text: usize,
    /// Maximum bytes of the reason.
    reason: usize,
}

/// The first budget that makes the line short enough is used.
const BUDGETS: [Budget; 4] = [
    Budget { warnings: 4, text: 160, reason: 600 },
    Budget { warnings: 2, text: 80, reason: 600 },
    Budget { warnings: 1, text: 40, reason: 300 },
    Budget { warnings: 0, text: 0, reason: 150 },
];

impl RunReport {
    /// Records the numbers of the ratings that were read.
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

    /// Records the version, rank, iterations and durations of a model.
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

    /// Records the errors and ranking metrics from the metrics of a manifest.
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

    /// Records the numbers of an earlier run, if there is nothing to do.
    pub(super) fn recall(&mut self, manifest: &Manifest) {
        self.describe(manifest);
        self.durations_s.clear();
        self.measured(&manifest.metrics);
        self.counts.users = Some(manifest.data.n_users);
        self.counts.items = Some(manifest.data.n_items);
        self.counts.train = Some(manifest.split.n_train);
        self.counts.holdout = Some(manifest.split.n_holdout);
    }

    /// Records how the run ended; `code` is the exit code for the error.
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

    /// The outcome in one sentence.
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

    /// The report as one line of JSON shorter than 4 KiB, so that schedulers can read it.
    ///
    /// Messages of passed gates are omitted. Long lists and texts are cut; `reason` keeps the most.
    #[must_use]
    pub fn line(&self) -> String {
        let shortened = BUDGETS.iter().map(|budget| self.shortened(budget).to_string());
        let mut lines = shortened.filter(|line| line.len() < LINE_BYTES);
        lines.next().unwrap_or_else(|| {
            // Long paths or ids make the line too long even without other texts.
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

/// The beginning of a text, of at most `bytes` bytes.
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
        // Characters of several bytes, and characters that JSON escapes.
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
