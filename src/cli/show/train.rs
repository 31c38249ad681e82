//! The summary of a training.

use crate::settings::takes;
use serde_json::json;

use super::text::{count, error_names, error_values, fit, number, number_of, wrap};
use crate::load::time::iso;
use crate::metric::Errors;
use crate::train::StopReason;
use crate::training::{RankingMetrics, Report};

/// The summary of a training, for 80 columns. With `verbose`, it lists all inputs and describes the
/// leaks of the holdout.
#[must_use]
pub(crate) fn train_summary(report: &Report, verbose: bool) -> String {
    let Report { manifest, metrics, durations, .. } = report;
    let (data, split, model) = (&manifest.data, &manifest.split, &manifest.model);
    let mut lines = Vec::new();
    let shown = if verbose { manifest.inputs.len() } else { 1 };
    for input in manifest.inputs.iter().take(shown) {
        lines.push(format!("input      {}", fit(&input.uri, 69)));
        lines.push(format!("           {}", fit(&input.layout, 69)));
    }
    if manifest.inputs.len() > shown {
        lines.push(format!("           and {} more", manifest.inputs.len() - shown));
    }
    lines.push(format!(
        "ratings    {} by {} of {} ({:.2} % of all cells)",
        count(data.n_ratings as u64),
        number_of(data.n_users as u64, "user"),
        number_of(data.n_items as u64, "item"),
        data.density * 100.0
    ));
    let first = manifest.inputs.iter().filter_map(|input| input.min_timestamp).min();
    let last = manifest.inputs.iter().filter_map(|input| input.max_timestamp).max();
    if let (Some(first), Some(last)) = (first, last) {
        lines.push(format!("times      {} to {}", iso(first), iso(last)));
    }
    let dropped: Vec<String> = [
        (manifest.inputs.iter().flat_map(|i| i.rows_rejected.values()).sum(), "bad rows set aside"),
        (data.zero_counts, "counts of 0"),
        (data.zero_weight, "of weight 0"),
        (data.outside_time, "outside the time range"),
        (data.without_id, "without an id"),
        (data.dropped_ratings, "with a rating of --drop-rating"),
        (data.below_minimum, "below the minimum numbers of ratings"),
        (split.removed_from_training as u64, "also in the test files"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", count(n)))
    .collect();
    if data.duplicates > 0 {
        let rows = number_of(data.duplicates, "repeated row");
        lines.push(format!("merged     {rows} ({})", data.duplicates_policy));
    }
    if !dropped.is_empty() {
        lines.push(fit(&format!("left out   {}", dropped.join(", ")), 80));
    }
    lines.push(format!(
        "holdout    {}, {} of them with a user or item not in training",
        number_of(metrics.n_holdout, "rating"),
        count(metrics.n_holdout_cold)
    ));
    if verbose && metrics.n_holdout > 0 {
        lines.extend(wrap(&split.leaks, 69).into_iter().map(|line| format!("{:<11}{line}", "")));
    }
    if model.scores == "ratings" {
        lines.extend(errors(report));
    } else {
        let chosen = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| v.to_string());
        lines.push(format!(
            "settings   λ {}, weight of unobserved pairs α₀ {}",
            chosen(Some(model.lambda)),
            chosen(model.unobserved_weight)
        ));
        let objective = metrics.curve.last().map(|point| point.objective);
        lines.push(format!(
            "objective  {} per rating ({} k={}; scores are preferences, so no RMSE)",
            number(objective),
            model.algorithm,
            model.k
        ));
    }
    lines.extend(folds(report));
    lines.extend(ranking(report));
    let run = metrics.curve.len() as u64;
    let earlier = run > u64::from(model.sweeps);
    let of = if earlier { format!(" of {run}") } else { String::new() };
    let why = match model.stop_reason {
        _ if earlier => "best on validation",
        StopReason::Iterations => "all done",
        StopReason::Tolerance => "converged",
        StopReason::Observer => "best on validation",
    };
    lines.push(format!(
        "iterations {}{of} ({why}); read {:.1} s, train {:.1} s, total {:.1} s",
        model.sweeps, durations.parse, durations.train, durations.total
    ));
    let refit = if model.refit { ", refitted on all ratings" } else { "" };
    lines.push(format!(
        "wrote      {} ({} user and {} item vectors{refit})",
        report.output.display(),
        count((data.n_users - model.untrained_users) as u64),
        count((data.n_items - model.untrained_items) as u64),
    ));
    lines.join("\n") + "\n"
}

/// The errors of the model and of the baselines.
fn errors(report: &Report) -> Vec<String> {
    let Report { manifest, metrics, .. } = report;
    let (model, mut lines) = (&manifest.model, Vec::new());
    let row = |name: &str, errors: Errors, note: String| {
        format!("{name:<22}{}  {note}", error_values(&errors)).trim_end().to_owned()
    };
    lines.push(format!("{:<22}{}", "errors, clipped", error_names()));
    lines.push(row("  global mean", metrics.baselines.global_mean, String::new()));
    lines.push(row("  bias-only", metrics.baselines.bias_only, String::new()));
    let own = metrics.errors.holdout;
    let gain = match (own.rmse(), metrics.baselines.bias_only.rmse()) {
        (Some(own), Some(bias)) if bias > 0.0 => {
            format!("{:+.2} % against bias-only", (own / bias - 1.0) * 100.0)
        }
        _ => String::new(),
    };
    lines.push(row(&format!("  {} k={}", model.algorithm, model.k), own, gain));
    if let Some(posterior) = &metrics.posterior {
        let note = posterior.coverage.map_or_else(String::new, |c| {
            format!("90 % intervals cover {:.1} %", c.nine_tenths * 100.0)
        });
        // Variational inference has no samples to compress.
        let name = if posterior.samples > 0 { "  before compression" } else { "  intervals" };
        if posterior.samples > 0 || !note.is_empty() {
            lines.push(row(name, posterior.holdout, note));
        }
    }
    if takes(&model.algorithm, "regularization") && model.k > 0 {
        lines.push(format!("  (regularization {})", model.lambda));
    }
    lines.push(row("  on training ratings", metrics.errors.training, String::new()));
    lines
}

/// The line of a cross-validation.
fn folds(report: &Report) -> Option<String> {
    let folds = report.metrics.folds.as_ref()?;
    let shown = |name: &str| {
        let spread = folds.spread.get(name).copied().flatten()?;
        Some(format!("{:.4} ± {:.4}", spread.mean, spread.std))
    };
    let text = match shown("holdout_rmse") {
        Some(rmse) => format!(
            "RMSE {rmse} (bias-only {})",
            shown("bias_only_rmse").unwrap_or_else(|| "-".into())
        ),
        None => {
            let name = folds.spread.keys().find(|name| shown(name).is_some())?;
            format!("{name} {}", shown(name)?)
        }
    };
    Some(format!("{:<10} {text}", format!("{} folds", folds.folds)))
}

/// The ranking metrics of the model and of the ranking by popularity.
fn ranking(report: &Report) -> Vec<String> {
    let (Some(own), Some(popular)) =
        (&report.metrics.ranking, &report.metrics.baselines.popularity)
    else {
        return Vec::new();
    };
    let asked = report.manifest.config["metrics"].as_array().is_some_and(|m| !m.is_empty());
    if report.manifest.model.scores == "ratings" && !asked {
        let name = "ndcg@10";
        let value = |of: &RankingMetrics| number(of.values.get(name).copied().flatten());
        return vec![format!(
            "ranking    {name} {} (popularity {}); to rank items, train with -a ials",
            value(own),
            value(popular)
        )];
    }
    let title = format!("ranking for {}", number_of(own.users as u64, "user"));
    let mut lines = vec![format!("{title:<28}{:>10}  {:>10}", "model", "popularity")];
    for (name, value) in &own.values {
        let simple = popular.values.get(name).copied().flatten();
        lines.push(format!("  {name:<26}{:>10}  {:>10}", number(*value), number(simple)));
    }
    lines
}

/// The summary as one line of JSON.
#[must_use]
pub(crate) fn train_json(report: &Report) -> String {
    let Report { manifest, metrics, durations, warnings, output } = report;
    let mut summary = json!({
        "result": "trained",
        "output": output,
        "model_version": manifest.model_version,
        "n_users": manifest.data.n_users,
        "n_items": manifest.data.n_items,
        "n_ratings": manifest.data.n_ratings,
        "iterations": manifest.model.sweeps,
        "objective": metrics.curve.last().map(|point| point.objective),
        "train_rmse": metrics.errors.training.rmse(),
        "n_holdout": metrics.n_holdout,
        "n_holdout_cold": metrics.n_holdout_cold,
        "ranking": metrics.ranking,
        "baselines": metrics.baselines,
        "folds": metrics.folds,
        "durations_s": durations,
        "peak_rss_bytes": manifest.resources.get("peak_rss_bytes"),
        "warnings": warnings,
    });
    for (name, value) in metrics.errors.holdout.iter() {
        summary[format!("holdout_{name}")] = json!(value);
    }
    summary.to_string()
}
