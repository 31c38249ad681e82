//! The summary of an evaluation.

use super::text::{count, error_names, error_values, number, wrap};
use crate::metric::{Errors, RATING_METRICS};
use crate::serving::Evaluation;
use crate::training::Segment;

/// The evaluation as tables of at most 80 columns.
#[must_use]
pub(crate) fn evaluation(e: &Evaluation) -> String {
    let mut lines = Vec::new();
    let trained_on = match e.in_training {
        0 => String::new(),
        n => format!("; {} left out because the model was trained on them", count(n as u64)),
    };
    let others = match e.not_folded_in {
        0 => String::new(),
        n => format!("; {} left out (user not folded in)", count(n as u64)),
    };
    lines.push(format!("test       {} ratings{trained_on}{others}", count(e.n_ratings as u64)));
    if let Some(leaks) = &e.leaks {
        for (nth, line) in wrap(leaks, 69).into_iter().enumerate() {
            lines.push(format!("{:<11}{line}", if nth == 0 { "holdout" } else { "" }));
        }
    }
    if let Some(rating) = &e.rating {
        let row = |name: &str, errors: Errors, note: String| {
            format!("{name:<22}{}  {note}", error_values(&errors)).trim_end().to_owned()
        };
        lines.push(format!("{:<22}{}", "errors, clipped", error_names()));
        let (mean, bias) = (e.baselines.global_mean, e.baselines.bias_only);
        lines.push(row("  global mean", mean, String::new()));
        lines.push(row("  bias-only", bias, String::new()));
        let interval = rating
            .rmse_interval
            .map_or_else(String::new, |i| format!("95 %: {:.4} to {:.4}", i.low, i.high));
        lines.push(row(&format!("  {}", e.algorithm), rating.errors, interval));
        if rating.n_cold > 0 {
            let others = format!("without {} of unknown users or items", count(rating.n_cold));
            lines.push(format!("{:<22}{:>8}{:>12}{others}", "", number(rating.rmse_warm), ""));
        }
        lines.push(format!(
            "  slope of ratings on predictions {} (below 1: overfit, above: underfit)",
            number(rating.calibration_slope)
        ));
    }
    let unknown = match e.ranking.unknown_users {
        0 => String::new(),
        n => format!(" ({} unknown)", count(n as u64)),
    };
    let title = format!("ranking for {} users{unknown}", count(e.ranking.users as u64));
    lines.push(format!("{title:<42}{:>10}  {:>10}", e.algorithm, "popularity"));
    let popular = e.baselines.popularity.as_ref();
    for (name, value) in &e.ranking.values {
        let simple = popular.and_then(|p| p.values.get(name).copied().flatten());
        lines.push(format!("  {name:<40}{:>10}  {:>10}", number(*value), number(simple)));
    }
    lines.extend(segments("users", &e.by_user_activity));
    lines.extend(segments("items", &e.by_item_popularity));
    lines.join("\n") + "\n"
}

/// One line per decile, with the errors and one ranking metric (ndcg if there is one).
fn segments(what: &str, segments: &[Segment]) -> Vec<String> {
    if segments.is_empty() {
        return Vec::new();
    }
    let metric = segments.iter().find_map(|s| {
        let preferred = s.ranking.keys().find(|name| name.starts_with("ndcg"));
        preferred.or_else(|| s.ranking.keys().next()).cloned()
    });
    let title = format!("by training ratings of {what}");
    let shown = metric.clone().unwrap_or_default();
    let names = RATING_METRICS.map(|name| format!("{:>9}", name.to_uppercase())).concat();
    let head = format!("{title:<32}{what:>9}{:>11}{names}", "ratings");
    let mut lines = vec![format!("{head}{shown:>10}").trim_end().to_owned()];
    for s in segments {
        let range = match (s.decile, s.from == s.to) {
            (0, _) => "  none".to_owned(),
            (_, true) => format!("  {}", count(s.from as u64)),
            _ => format!("  {} to {}", count(s.from as u64), count(s.to as u64)),
        };
        let value = metric.as_ref().and_then(|m| s.ranking.get(m).copied());
        let value = value.map_or_else(String::new, number);
        let errors: Vec<String> =
            s.errors.iter().map(|(_, v)| format!("{:>9}", number(v))).collect();
        let line = format!(
            "{range:<32}{:>9}{:>11}{}{value:>10}",
            count(s.rows as u64),
            count(s.n_ratings),
            errors.concat()
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}
