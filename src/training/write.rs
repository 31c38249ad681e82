//! Writes a model directory: factors, metrics, manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::files::{input_entries, output_entry, reject_entry, tool, write_model};
use super::finish::{Counts, Factorised, Outcome};
use super::notes::{Began, Notes};
use super::results::{Metrics, Report};
use crate::error::Result;
use crate::job::Job;
use crate::load::time;
use crate::model::{MIPS_HEADROOM, Model, largest_norm};
use crate::settings::TrainConfig;
use crate::split::{HASH_NAME, Split};
use crate::store::json::{self, digest, pretty};
use crate::store::{
    Data, FORMAT_VERSION, MANIFEST, METRICS, Manifest, MeasuredScale, ModelEntry, OutDir,
    OutputEntry, SplitEntry, Stamp, sample_prefix,
};
use crate::system::{now, resources};

/// The directory that a model is written to, and its rating files, which are already written.
pub(crate) struct Destination {
    pub out: OutDir,
    pub kept: Vec<OutputEntry>,
}

/// Writes all files, the manifest last, and moves the directory into place.
pub(crate) fn write(
    to: Destination,
    record: &TrainConfig,
    mut outcome: Outcome,
    metrics: Metrics,
    began: Began,
    job: &Job<'_>,
    notes: Notes,
) -> Result<Report> {
    job.phase("writing");
    let since = Instant::now();
    let Destination { out, kept } = to;
    let Notes { mut seconds, warnings } = notes;
    let mut manifest = write_files(record, &out, &mut outcome, &metrics, began, &[])?;
    manifest.outputs.extend(kept);
    seconds.export = since.elapsed().as_secs_f64();
    seconds.total = began.instant.elapsed().as_secs_f64();
    manifest.durations_s = json::value(&seconds);
    out.write(MANIFEST, &pretty(&manifest)?)?;
    let output: PathBuf = out.publish(job.stop)?;
    seconds.total = began.instant.elapsed().as_secs_f64();
    Ok(Report { output, manifest, metrics, durations: seconds, warnings })
}

/// Writes all files except the manifest, and returns the manifest without durations.
///
/// `depends_on` names the earlier models that the factors depend on.
pub(crate) fn write_files(
    record: &TrainConfig,
    out: &OutDir,
    outcome: &mut Outcome,
    metrics: &Metrics,
    began: Began,
    depends_on: &[String],
) -> Result<Manifest> {
    let inputs = input_entries(&mut outcome.inputs)?;
    let outcome = &*outcome;
    let input_fingerprint = digest(inputs.iter().map(|i| i.sha256.as_str()));
    let config_sha256 = digest([record.identity().to_string().as_str()]);
    let release = env!("CARGO_PKG_VERSION");
    let mut identity = vec![input_fingerprint.as_str(), &config_sha256, release];
    identity.extend(depends_on.iter().map(String::as_str));
    let model_version = digest(identity)[..16].to_owned();
    let finished_at = now();
    let stamp = |model: &Model| Stamp {
        model_version: model_version.clone(),
        trained_at: finished_at,
        global_mean: model.scale.mean,
    };
    let mut outputs = Vec::new();
    let published = &outcome.published;
    write_model(out, "", &published.model, &stamp(&published.model), &mut outputs)?;
    if let Some(measured) = &outcome.measured {
        write_model(out, "train_", measured, &stamp(measured), &mut outputs)?;
    }
    for (number, sample) in published.samples.iter().enumerate() {
        write_model(out, &sample_prefix(number), sample, &stamp(sample), &mut outputs)?;
    }
    outputs.extend(reject_entry(out, &outcome.inputs.rejects)?);
    out.write(METRICS, &pretty(metrics)?)?;
    outputs.push(output_entry(out, METRICS, 0, "JSON")?);
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        tool: tool(),
        model_version,
        run: None,
        started_at: time::iso(began.at),
        finished_at: time::iso(finished_at),
        config: json::value(record),
        config_sha256,
        seed: record.seed,
        threads: rayon::current_num_threads(),
        deterministic: true,
        instruction_set: outcome.kernels.level().name().into(),
        working_directory: std::env::current_dir()
            .ok()
            .and_then(|directory| directory.to_str().map(str::to_owned)),
        inputs,
        input_fingerprint,
        data: data(record, outcome),
        split: split(record, outcome, metrics),
        model: model_entry(outcome),
        metrics: json::value(metrics),
        durations_s: serde_json::Value::Null,
        resources: resources(),
        outputs,
        flavors: BTreeMap::new(),
        folded: Vec::new(),
    })
}

fn data(record: &TrainConfig, outcome: &Outcome) -> Data {
    let Outcome { published, inputs, counts, .. } = outcome;
    let Counts { rows, ratings, .. } = *counts;
    Data {
        n_users: rows.users,
        n_items: rows.items,
        n_ratings: ratings,
        density: ratings as f64 / (rows.users as f64 * rows.items as f64),
        rating_min: f64::from(published.moments.min),
        rating_max: f64::from(published.moments.max),
        mean: published.moments.mean,
        std: published.moments.deviation,
        histogram: outcome.histogram.clone(),
        duplicates_policy: serde_json::to_value(record.load.duplicates())
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default(),
        duplicates: inputs.duplicates,
        zero_counts: inputs.zero_counts,
        below_minimum: inputs.below_minimum,
        zero_weight: inputs.zero_weight,
        outside_time: inputs.outside_time,
        without_id: inputs.without_id,
        dropped_ratings: inputs.dropped_ratings,
        new_user_share: None,
        new_item_share: None,
        user_ids: published.model.users.ids.kind().into(),
        item_ids: published.model.items.ids.kind().into(),
    }
}

fn split(record: &TrainConfig, outcome: &Outcome, metrics: &Metrics) -> SplitEntry {
    let split = record.split();
    let by_hash = matches!(split, Split::Hash { .. } | Split::User { .. });
    let leaks = match record.test_file.is_empty() {
        true => split.leaks(),
        false => "what the test files leak: ratings in both are taken out of training",
    };
    SplitEntry {
        hash: by_hash.then(|| HASH_NAME.to_owned()),
        leaks: leaks.into(),
        split,
        test_files: record.test_file.clone(),
        n_train: outcome.counts.training,
        n_validation: outcome.counts.validation,
        n_holdout: metrics.n_holdout as usize,
        n_holdout_cold: metrics.n_holdout_cold,
        removed_from_training: outcome.inputs.removed_from_training as usize,
    }
}

fn model_entry(outcome: &Outcome) -> ModelEntry {
    let facts = outcome.plan.facts();
    let Factorised { model, samples, noise, deviation, mean_counts, .. } = &outcome.published;
    let measured = outcome.measured.as_ref().filter(|m| m.scale.rates());
    ModelEntry {
        algorithm: outcome.plan.algorithm.name().into(),
        objective: facts.objective,
        scores: if model.scale.rates() { "ratings" } else { "preferences" }.into(),
        k: facts.rank,
        lambda: facts.lambda,
        lambda_users: facts.regularization.users,
        lambda_items: facts.regularization.items,
        lambda_biases: facts.regularization.biases,
        bias_damping: facts.regularization.damping,
        unobserved_weight: facts.unobserved_weight,
        scale: *deviation,
        lambda_raw: facts.lambda * deviation,
        weighting: facts.weighting.into(),
        reg_exponent: facts.regularization.exponent,
        mean_user_ratings: mean_counts.users,
        mean_item_ratings: mean_counts.items,
        sweeps: outcome.iteration,
        stop_reason: outcome.stop_reason,
        global_mean: model.scale.mean,
        training_mean: model.scale.fallback,
        biases: model.scale.biases,
        layout: "raw".into(),
        dtype: "f32".into(),
        mips_norm: Some(MIPS_HEADROOM * largest_norm(&model.factors.items)),
        measured: measured.map(|measured| MeasuredScale {
            global_mean: measured.scale.mean,
            training_mean: measured.scale.fallback,
            rating_min: measured.scale.range.0,
            rating_max: measured.scale.range.1,
        }),
        refit: outcome.measured.is_some(),
        noise: *noise,
        kept_samples: samples.len(),
        untrained_users: outcome.counts.rows.users - model.users.ids.len(),
        untrained_items: outcome.counts.rows.items - model.items.ids.len(),
    }
}
