//! The summary of a search.

use super::text::{count, fit, number};
use crate::store::Trial;
use crate::tuning::Tuning;

/// Number of trials that are shown.
const SHOWN: usize = 10;

/// A ranked table of the trials, of at most 80 columns, and the holdout metrics of the best.
#[must_use]
pub(crate) fn tuning(t: &Tuning) -> String {
    let mut lines = Vec::new();
    let failed = match t.failed {
        0 => String::new(),
        n => format!(", {} failed", count(n as u64)),
    };
    let early = if t.complete { "" } else { " (stopped by --max-seconds)" };
    lines.push(format!("trials     {}{failed}{early}; the best:", count(t.trials as u64)));
    lines.push(format!("{:>6} {:>10} {:>7}  settings", "trial", t.criterion.to_string(), "s"));
    let mut shown: Vec<&Trial> = t.ranked.iter().take(SHOWN).collect();
    // The untuned settings are always shown.
    if let Some(untuned) = t.ranked.iter().skip(SHOWN).find(|trial| trial.number == 0) {
        shown.push(untuned);
    }
    for trial in shown {
        let settings: Vec<String> = trial
            .settings
            .iter()
            .map(|(key, value)| format!("{key} {}", value.to_string().trim_matches('"')))
            .collect();
        let settings = match trial.number {
            0 => "untuned settings".to_owned(),
            _ => settings.join(", "),
        };
        let line = format!(
            "{:>6} {:>10} {:>7.1}  {}",
            trial.number,
            number(trial.validation),
            trial.seconds,
            fit(&settings, 53)
        );
        lines.push(line);
    }
    let metrics = &t.chosen.metrics;
    match metrics.errors.holdout.rmse() {
        Some(rmse) => lines.push(format!(
            "holdout    RMSE {rmse:.4} (bias-only {}); {} iterations on all training ratings",
            number(metrics.baselines.bias_only.rmse()),
            t.chosen.iterations
        )),
        None => {
            for (name, value) in metrics.ranking.iter().flat_map(|r| &r.values) {
                let popular = metrics.baselines.popularity.as_ref();
                let simple = popular.and_then(|p| p.values.get(name).copied().flatten());
                lines.push(format!(
                    "holdout    {name} {} (popularity {})",
                    number(*value),
                    number(simple)
                ));
            }
        }
    }
    lines.push(format!("wrote      {}", t.output.join("best.toml").display()));
    lines.join("\n") + "\n"
}
