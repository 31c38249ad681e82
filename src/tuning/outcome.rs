//! The outcome of a search.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::job::{Event, Job};
use crate::ratings::Ratings;
use crate::settings::{Criterion, LOCAL_KEYS, Plan, TrainConfig};
use crate::store::{Trial, TrialsDir};
use crate::train::Start;
use crate::training::{Dataset, Metrics, Notes, Sets, fold_in_side, keys, measure, run};

/// The outcome of a search.
#[derive(Debug, Clone, Serialize)]
pub struct Tuning {
    /// The directory of the search.
    pub output: PathBuf,
    /// The measure that trials were compared by.
    pub criterion: Criterion,
    /// Whether all trials finished; `--max-seconds` may prevent some.
    pub complete: bool,
    /// Number of finished trials of all rounds.
    pub trials: usize,
    /// Number of those trials whose fit failed.
    pub failed: usize,
    /// The best trial of the last complete round.
    pub best: Trial,
    /// Warnings about settings of the best trial that lie at the edge of their values.
    pub edges: Vec<String>,
    /// Warnings that do not stop the search.
    pub warnings: Vec<String>,
    /// The best settings, fitted once on all training ratings.
    pub chosen: Chosen,
    /// The trials of the last complete round, best first.
    pub ranked: Vec<Trial>,
}

/// The result of the chosen settings on the holdout, which no trial used.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// Number of iterations of the fit.
    pub iterations: u32,
    /// Errors, rankings and baselines.
    pub metrics: Metrics,
}

/// The settings that are not tuned, with laws settled where best.toml needs their values.
///
/// If λ follows another setting by a law, the values of the laws replace open settings, so that
/// best.toml holds all of them.
pub(super) fn settled(base: &TrainConfig, plan: &Plan, data: &Dataset) -> TrainConfig {
    if !plan.facts().settles_before_search {
        return base.clone();
    }
    let (users, items) = (data.ids.users.len(), data.ids.items.len());
    let mut fit = plan.fit.clone();
    fit.settle(&Ratings::from_sorted(users, items, &data.parts.training));
    let decided = plan.with_fit(fit).record;
    TrainConfig {
        regularization: decided.regularization,
        unobserved_weight: decided.unobserved_weight,
        ..base.clone()
    }
}

/// The decided settings of trial 0, which tunes nothing.
pub(super) fn base_settings(plan: &Plan) -> BTreeMap<String, Value> {
    match serde_json::to_value(&plan.record) {
        Ok(Value::Object(map)) => map.into_iter().filter(|(_, v)| !v.is_null()).collect(),
        _ => BTreeMap::new(),
    }
}

/// Fits the chosen settings on all training ratings and measures them on the holdout.
pub(super) fn score(data: &Dataset, config: &TrainConfig, job: &Job<'_>) -> Result<Chosen> {
    let mut plan = config.plan()?;
    if plan.watch.sampled {
        // The metrics are defaults that the user did not ask for.
        plan.watch.metrics.clear();
    }
    let parts = &data.parts;
    let cells = parts.training.clone();
    let sets = Sets::cut(&plan.watch, &data.ids, &keys(&data.ids), cells)?;
    let fold_in = fold_in_side(&parts.fold_in, &sets.ratings);
    let sets = Sets { holdout: parts.holdout.clone(), fold_in, ..sets };
    let mut fit = plan.fit.clone();
    fit.settle(&sets.ratings);
    let plan = plan.with_fit(fit);
    job.report(&Event::Fitting(plan.facts().iterations, sets.ratings.len()));
    let mut notes = Notes::default();
    let fitted = run(plan, &sets, Start::Random, None, job, &mut notes)?;
    let metrics = measure(&fitted, &sets, None, job, &mut notes)?;
    Ok(Chosen { iterations: fitted.iteration, metrics })
}

/// Writes the settings that differ from the defaults, for `train --config`.
pub(super) fn write_best(
    directory: &TrialsDir,
    config: &TrainConfig,
    best: &Trial,
    criterion: Criterion,
) -> Result<()> {
    let of = |config: &TrainConfig| match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (own, defaults) = (of(config), of(&TrainConfig::default()));
    let mut table = toml::Table::new();
    for (key, value) in own {
        let here = LOCAL_KEYS.contains(&key.as_str());
        // Without --patience, only tune uses --criterion.
        let foreign = key == "criterion" && config.patience.is_none();
        if here || foreign || defaults.get(&key) == Some(&value) {
            continue;
        }
        let value = match (key.as_str(), value.as_i64()) {
            ("since" | "until" | "split_time", Some(seconds)) => {
                toml::Value::String(format!("@{seconds}"))
            }
            _ => toml::Value::try_from(&value).map_err(|e| Error::Internal(e.to_string()))?,
        };
        table.insert(key, value);
    }
    let value = best.validation.map_or_else(String::new, |v| format!(", {criterion} {v:.5}"));
    let head = format!("# The best settings of lacuna tune (trial {}{value}).\n", best.number);
    let text = toml::to_string(&table).map_err(|e| Error::Internal(e.to_string()))?;
    directory.write("best.toml", format!("{head}{text}").as_bytes())
}
