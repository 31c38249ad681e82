//! Summaries of one run and of several runs.

use serde_json::Value;

use super::text::{bytes, count, number, wrap};
use crate::run::{Difference, Mode, Record, RunReport, RunResult};
use crate::store::{GateEntry, Severity};

/// The outcome of a run.
#[must_use]
pub(crate) fn run_summary(report: &RunReport, mode: Mode) -> String {
    let mut text = format!("{}\n", report.summary());
    let mut row = |name: &str, value: String| text += &format!("  {name:<14} {value}\n");
    let counts = &report.counts;
    if let (Some(train), Some(holdout)) = (counts.train, counts.holdout) {
        let (users, items) = (counts.users.unwrap_or(0), counts.items.unwrap_or(0));
        let number = |n: usize| count(n as u64);
        row(
            "ratings",
            format!(
                "{} training, {} holdout; {} users, {} items",
                number(train),
                number(holdout),
                number(users),
                number(items)
            ),
        );
    }
    if let Some(estimate) = report.estimate.filter(|_| mode != Mode::Run) {
        row(
            "estimate",
            format!(
                "about {} of memory, {:.0} s of training",
                bytes(estimate.peak_bytes()),
                estimate.train_seconds
            ),
        );
    }
    match (&report.lineage.warm_start_from, &report.lineage.cold_because) {
        (Some(id), _) => row("warm start", format!("from {id}")),
        (None, Some(why)) => row("cold start", why.clone()),
        (None, None) => {}
    }
    let rmse = report.rmse;
    if let Some(holdout) = rmse.holdout {
        row("holdout RMSE", format!("{holdout:.4} (biases alone {})", number(rmse.bias_only)));
    }
    for (name, ranking) in &report.ranking {
        let (own, popular) = (number(ranking.model), number(ranking.popularity));
        row(name, format!("{own} (popularity {popular})"));
    }
    if let (Some(own), Some(before)) = (rmse.beside_previous, rmse.previous_model) {
        row("earlier run", format!("{before:.4}, this run {own:.4}, on ratings that both know"));
    }
    let moved = report.lineage.alignment;
    if let Some(cosine) = moved.and_then(|moved| moved.median_cosine_after) {
        let overlap = moved.and_then(|moved| moved.overlap_at_10);
        row("alignment", format!("median cosine {cosine:.3}, overlap at 10 {}", number(overlap)));
    }
    for gate in report.gates.iter().filter(|gate| !gate.passed) {
        let lines = wrap(&format!("{}: {}", gate.name, gate.message), 62);
        for (at, line) in lines.into_iter().enumerate() {
            row(if at == 0 { state(gate) } else { "" }, line);
        }
    }
    let passed = report.gates.iter().filter(|gate| gate.passed).count();
    if !report.gates.is_empty() {
        row("gates", format!("{passed} of {} passed", report.gates.len()));
    }
    if report.result == RunResult::Promoted
        && let Some(path) = &report.path
    {
        row("path", path.display().to_string());
    }
    text
}

fn state(gate: &GateEntry) -> &'static str {
    match (gate.passed, gate.severity) {
        (true, _) => "passed",
        (false, Severity::Error) => "GATE FAILED",
        (false, _) => "gate warns",
    }
}

/// A list of runs, one line each.
#[must_use]
pub(crate) fn runs_list(records: &[Record]) -> String {
    if records.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let mut text = format!(
        "  {:<23} {:<9} {:>11} {:>8} {:>8} {:>4}  {}\n",
        "run", "status", "ratings", "RMSE", "ndcg@10", "iter", "start"
    );
    for record in records {
        let mark = if record.published { '*' } else { ' ' };
        let status = match (&record.damaged, record.is_rejected()) {
            (Some(_), _) => "damaged",
            (None, true) => "rejected",
            (None, false) => "published",
        };
        let whole = |path: &[&str]| record.number(path).map_or("-".into(), |n| count(n as u64));
        let lineage = record.run.as_ref().map(|run| &run.lineage);
        let start = match lineage {
            _ if record.is_rejected() && record.number(&["model", "sweeps"]).is_none() => "-",
            Some(lineage) if lineage.warm_start_from.is_some() => "warm",
            _ => "cold",
        };
        text += &format!(
            "{mark} {:<23} {status:<9} {:>11} {:>8} {:>8} {:>4}  {start}\n",
            record.id(),
            whole(&["data", "n_ratings"]),
            number(record.number(&["metrics", "holdout_rmse"])),
            number(record.number(&["metrics", "ranking", "ndcg@10"])),
            whole(&["model", "sweeps"]),
        );
    }
    text + "(* the run that latest leads to)\n"
}

/// The summary of one run.
#[must_use]
pub(crate) fn runs_show(record: &Record) -> String {
    let Some(run) = &record.run else {
        let why = record.damaged.as_deref().unwrap_or("its manifest does not describe a run");
        return format!("run            {}\n{why}\n", record.id());
    };
    let text = |path: &[&str]| -> String {
        let value = path.iter().try_fold(&record.manifest, |value, key| value.get(key));
        match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(Value::Number(n)) if n.is_f64() => {
                n.as_f64().map_or_else(String::new, |v| format!("{v:.4}"))
            }
            Some(value) => value.to_string(),
        }
    };
    let mut lines = vec![
        format!("run            {}", run.run_id),
        format!(
            "status         {}{}",
            if record.is_rejected() { "rejected" } else { "published" },
            if record.published { ", latest leads to it" } else { "" }
        ),
        format!("path           {}", record.path.display()),
        format!("time           {} to {}", text(&["started_at"]), text(&["finished_at"])),
        format!("host           {}", run.host),
        format!(
            "ratings        {} of {} users and {} items",
            text(&["data", "n_ratings"]),
            text(&["data", "n_users"]),
            text(&["data", "n_items"])
        ),
        format!(
            "model          {}, {} factors, {} iterations, version {}",
            text(&["model", "algorithm"]),
            text(&["model", "k"]),
            text(&["model", "sweeps"]),
            text(&["model_version"])
        ),
    ];
    if record.number(&["metrics", "holdout_rmse"]).is_some() {
        lines.push(format!(
            "holdout RMSE   {} (biases alone {})",
            text(&["metrics", "holdout_rmse"]),
            text(&["metrics", "baselines", "bias_only", "rmse"])
        ));
    }
    if let Some((name, own, popular)) = record.ranking() {
        lines.push(format!("{name:<14} {own:.4} (popularity {})", number(popular)));
    }
    match (&run.lineage.warm_start_from, &run.lineage.cold_because) {
        (Some(id), _) => lines.push(format!("warm start     {id}")),
        (None, Some(why)) => lines.push(format!("cold start     {why}")),
        (None, None) => {}
    }
    if let Some(moved) = run.lineage.alignment {
        lines.push(format!(
            "alignment      median cosine {} before, {} after; overlap at 10 {}",
            number(moved.median_cosine_before),
            number(moved.median_cosine_after),
            number(moved.overlap_at_10)
        ));
    }
    for gate in &run.gates {
        for (at, line) in wrap(&format!("{}: {}", gate.name, gate.message), 64).iter().enumerate() {
            lines.push(format!("{:<14} {line}", if at == 0 { state(gate) } else { "" }));
        }
    }
    lines.join("\n") + "\n"
}

/// The differences between two runs.
#[must_use]
pub(crate) fn runs_diff(first: &Record, second: &Record, found: &[Difference]) -> String {
    let mut text = format!("{} -> {}\n", first.id(), second.id());
    if found.is_empty() {
        return text + "no differences\n";
    }
    let mut of = "";
    for difference in found {
        if difference.of != of {
            of = difference.of;
            text += &format!("{of}\n");
        }
        let (before, after) = (shown(&difference.before), shown(&difference.after));
        text += &format!("  {}\n", difference.name);
        for (mark, value) in [('-', before), ('+', after)] {
            for (at, line) in wrap(&value, 74).into_iter().enumerate() {
                text += &format!("    {} {line}\n", if at == 0 { mark } else { ' ' });
            }
        }
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => format!("{value:.4}"),
            _ => number.to_string(),
        },
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key} {}", shown(value));
            fields.iter().map(field).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
