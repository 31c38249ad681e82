//! Writes metrics of the last run for Prometheus.
//!
//! The file has the text format that the textfile collector of the node exporter reads (Prometheus
//! documentation, "Exposition formats", version 0.0.4).

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use super::places::readable;
use super::report::RunReport;
use crate::error::{Error, Result};

/// Writes the metrics of a run, also if the run failed. The file is replaced as a whole.
///
/// # Errors
/// [`Error::Write`].
pub(super) fn write(path: &Path, report: &RunReport, now: i64) -> Result<()> {
    let last = std::fs::read_to_string(path).ok();
    let text = text(report, now, last.as_deref());
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        // The collector ignores the temporary file: it reads only names that end in .prom.
        let mut file = NamedTempFile::with_prefix_in(".lacuna-", parent)?;
        file.write_all(text.as_bytes())?;
        readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// The metrics as text. If the run failed, the time of the last success is taken from `before`, the
/// previous content of the file.
fn text(report: &RunReport, now: i64, before: Option<&str>) -> String {
    let mut metrics = Text::default();
    let success = match report.exit_code {
        0 | 99 => Some(now as f64),
        // Without an earlier success, the time is 0: alerts need a number.
        _ => before.and_then(last_success).or(Some(0.0)),
    };
    let name = "lacuna_last_success_timestamp_seconds";
    metrics.add(name, "Time when a run last succeeded.", &[], success);
    let name = "lacuna_last_run_timestamp_seconds";
    metrics.add(name, "Time when the last run ended.", &[], Some(now as f64));
    let code = f64::from(report.exit_code);
    metrics.add("lacuna_last_run_exit_code", "Exit code of the last run.", &[], Some(code));
    let total = report.durations_s.get("total").copied();
    metrics.add("lacuna_run_duration_seconds", "Duration of the last run.", &[], total);
    for (stage, seconds) in report.durations_s.iter().filter(|(stage, _)| *stage != "total") {
        let name = "lacuna_stage_duration_seconds";
        metrics.add(name, "Duration of each stage.", &[("stage", stage)], Some(*seconds));
    }
    let counts = &report.counts;
    for (split, count) in [("train", counts.train), ("holdout", counts.holdout)] {
        let count = count.map(|count| count as f64);
        metrics.add("lacuna_ratings", "Ratings.", &[("split", split)], count);
    }
    for (reason, rows) in &counts.rejected {
        let rows = Some(*rows as f64);
        metrics.add("lacuna_rows_rejected", "Rows set aside.", &[("reason", reason)], rows);
    }
    metrics.add("lacuna_users", "Users.", &[], counts.users.map(|n| n as f64));
    metrics.add("lacuna_items", "Items.", &[], counts.items.map(|n| n as f64));
    for (split, rmse) in [("train", report.rmse.train), ("holdout", report.rmse.holdout)] {
        metrics.add("lacuna_rmse", "Root mean squared error.", &[("split", split)], rmse);
    }
    let baselines = [
        ("global_mean", report.rmse.global_mean),
        ("bias_only", report.rmse.bias_only),
        ("previous_model", report.rmse.previous_model),
    ];
    for (kind, rmse) in baselines {
        let help = "Root mean squared error of baselines and of the earlier model on the holdout.";
        metrics.add("lacuna_rmse_baseline", help, &[("kind", kind)], rmse);
    }
    for (metric, ranking) in &report.ranking {
        for (kind, value) in [("model", ranking.model), ("popularity", ranking.popularity)] {
            let help = "Ranking metrics of the model and of the most popular items on the holdout.";
            let labels = [("metric", metric.as_str()), ("kind", kind)];
            metrics.add("lacuna_ranking", help, &labels, value);
        }
    }
    for gate in &report.gates {
        let passed = Some(f64::from(u8::from(gate.passed)));
        let labels = [("gate", gate.name.as_str())];
        metrics.add("lacuna_gate_passed", "Whether a gate passed.", &labels, passed);
    }
    let peak = report.peak_rss_bytes.map(|bytes| bytes as f64);
    metrics.add("lacuna_peak_rss_bytes", "Peak memory of the run.", &[], peak);
    if let (Some(version), Some(rank)) = (&report.model_version, report.rank) {
        let labels = [("version", version.as_str()), ("k", &rank.to_string())];
        metrics.add("lacuna_model_info", "The model of the run.", &labels, Some(1.0));
    }
    metrics.text
}

fn last_success(before: &str) -> Option<f64> {
    let name = "lacuna_last_success_timestamp_seconds ";
    before.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[derive(Default)]
struct Text {
    text: String,
    described: Option<String>,
}

impl Text {
    /// Adds one sample, if there is a value. The help precedes the first sample of each name.
    fn add(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: Option<f64>) {
        let Some(value) = value else { return };
        if self.described.as_deref() != Some(name) {
            // Writing to memory cannot fail.
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
            self.described = Some(name.to_owned());
        }
        let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_success_survives_failures() {
        let good = RunReport { exit_code: 0, ..RunReport::default() };
        let first = text(&good, 1_700_000_000, None);
        assert!(first.contains("\nlacuna_last_run_exit_code 0\n"), "{first}");
        let bad = RunReport { exit_code: 4, ..RunReport::default() };
        let second = text(&bad, 1_700_086_400, Some(&first));
        assert!(
            second.contains("\nlacuna_last_success_timestamp_seconds 1700000000\n"),
            "{second}"
        );
        assert!(second.contains("\nlacuna_last_run_timestamp_seconds 1700086400\n"), "{second}");
        assert!(second.contains("\nlacuna_last_run_exit_code 4\n"), "{second}");
        // A first run that fails has never succeeded.
        assert!(text(&bad, 1, None).contains("\nlacuna_last_success_timestamp_seconds 0\n"));
        assert!(text(&bad, 1, Some("garbage")).contains("exit_code 4"));
    }

    #[test]
    fn labels_are_escaped_and_help_stands_once() {
        let mut report = RunReport::default();
        report.counts.rejected.insert("column \"rating\": not\na number \\".into(), 3);
        report.counts.rejected.insert("b".into(), 1);
        let text = text(&report, 1, None);
        let line = "lacuna_rows_rejected{reason=\"column \\\"rating\\\": not\\na number \\\\\"} 3";
        assert!(text.lines().any(|l| l == line), "{text}");
        assert_eq!(text.matches("# TYPE lacuna_rows_rejected gauge").count(), 1);
    }
}
