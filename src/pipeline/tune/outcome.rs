//! What comes of a search.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::dataset::{Dataset, fold_in_side};
use super::super::train::{Sets, Training};
use super::super::{AlgorithmName, Criterion, Metrics, TrainConfig};
use crate::error::{Error, Result};
use crate::job::Event;
use crate::ratings::Ratings;
use crate::store::json::digest;
use crate::store::{Trial, TrialsDir};
use crate::train::Start;

/// The outcome of a search.
#[derive(Debug, Clone, Serialize)]
pub struct Tuning {
    /// The directory.
    pub output: PathBuf,
    /// What trials were compared by.
    pub criterion: Criterion,
    /// Whether all trials were done: `--max-seconds` leaves some out.
    pub complete: bool,
    /// Trials finished, of all rounds.
    pub trials: usize,
    /// Of them, trials whose fit failed.
    pub failed: usize,
    /// The best trial (of the last round).
    pub best: Trial,
    /// Settings of the best trial that lie on the edge of their values.
    pub edges: Vec<String>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
    /// The best settings, fitted once on all training ratings.
    pub chosen: Chosen,
    /// The trials of the last round, best first.
    pub ranked: Vec<Trial>,
}

/// The chosen settings on the holdout, which no trial has seen.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// Iterations of the fit.
    pub iterations: u32,
    /// Errors, rankings and baselines.
    pub metrics: Metrics,
}

/// What the inputs are.
pub(super) fn fingerprint(data: &mut Dataset) -> Result<String> {
    let checksums = data.inputs.checksums()?;
    let mut sums = Vec::new();
    for (report, print) in data.inputs.reports.iter().zip(checksums) {
        let sum = print.map(|p| p.sha256).or_else(|| report.sha256.clone());
        sums.push(sum.unwrap_or_default());
    }
    Ok(digest(sums.iter().map(String::as_str)))
}

/// The settings that are not tuned, of `ials` with the laws' numbers in place of what was not set, so that
/// best.toml says them all.
pub(super) fn settled(base: &TrainConfig, data: &Dataset) -> TrainConfig {
    match base.algorithm_name() {
        AlgorithmName::Ials => {
            let (users, items) = (data.users.len(), data.items.len());
            base.settled(&Ratings::from_sorted(users, items, &data.parts.training))
        }
        _ => base.clone(),
    }
}

/// The settings that trial 0 runs with.
pub(super) fn given(base: &TrainConfig) -> BTreeMap<String, Value> {
    match serde_json::to_value(base.resolved()) {
        Ok(Value::Object(map)) => map.into_iter().filter(|(_, v)| !v.is_null()).collect(),
        _ => BTreeMap::new(),
    }
}

/// Fits the chosen settings on all training ratings and measures them on the holdout.
pub(super) fn score(
    data: &Dataset,
    (user_keys, item_keys): &(Vec<u64>, Vec<u64>),
    config: &TrainConfig,
    mut run: Training<'_>,
) -> Result<Chosen> {
    let parts = &data.parts;
    let (training, validation) =
        super::super::train::set_aside(config, parts.training.clone(), &data.users, &data.items);
    let ratings = Ratings::from_sorted(data.users.len(), data.items.len(), &training);
    let ids = (&data.users, &data.items);
    let resolved = config.resolved();
    let looked_at = super::super::train::looked_at(&resolved, &training, &validation, ids);
    drop(training);
    let fold_in = fold_in_side(&parts.fold_in, &ratings);
    let moments = ratings.moments();
    run.config = resolved.settled(&ratings);
    let sets = Sets {
        start: Start::Random,
        ratings: &ratings,
        moments: &moments,
        holdout: &parts.holdout,
        fold_in: fold_in.as_ref(),
        validation: &validation,
        looked_at: looked_at.as_ref(),
        user_keys,
        item_keys,
    };
    let algorithm = run.config.algorithm(None);
    (run.observer)(&Event::Fitting(run.config.iterations(), ratings.len()));
    let fitted = run.fit(&sets, &*algorithm)?;
    let metrics = run.measure(&sets, &*algorithm, &fitted.fit)?;
    let metrics = Metrics {
        posterior: fitted.posterior,
        iteration: fitted.iteration,
        curve: fitted.curve,
        ..metrics
    };
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
        let here = ["input", "output", "force", "threads", "folds", "drop_ratings"]
            .contains(&key.as_str());
        // Without patience the criterion is tune's own.
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
