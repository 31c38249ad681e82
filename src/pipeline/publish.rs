//! Writing the model directory.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::TrainConfig;
use super::dataset::{Dataset, Inputs};
use super::report::{Durations, Metrics, Report};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::load::{Fingerprint, InputReport, Reject, fingerprint, time};
use crate::metric::Bin;
use crate::model::{Embedding, MIPS_HEADROOM, Model, Trained, largest_norm};
use crate::param::{Automatic, NonNegative};
use crate::ratings::Moments;
use crate::split::{HASH_NAME, Split};
use crate::store::json::{self, digest, pretty};
use crate::store::{
    Data, FORMAT_VERSION, HOLDOUT_RATINGS, ITEM_FACTORS, InputEntry, MANIFEST, METRICS, Manifest,
    MeasuredScale, ModelEntry, OutDir, OutputEntry, POSTERIOR, SplitEntry, Stamp, TRAINING_RATINGS,
    Tool, USER_FACTORS, sample_prefix, write_factors, write_posterior, write_ratings,
};
use crate::system::{now, resources};
use crate::train::StopReason;

/// Everything that is published besides the metrics.
pub(crate) struct Outcome {
    /// The settings, what was chosen from the data in place.
    pub config: TrainConfig,
    pub model: Model,
    /// Samples of the posterior that were kept, and the deviation of a rating around its prediction.
    pub samples: Vec<Model>,
    pub noise: Option<f64>,
    /// The model that was measured, where the published one was refitted on all ratings.
    pub measured: Option<Model>,
    pub inputs: Inputs,
    /// `s` of the published factors, and the moments of their training ratings.
    pub deviation: f64,
    pub moments: Moments,
    pub mean_counts: (f64, f64),
    pub iteration: u32,
    pub stop_reason: StopReason,
    pub kernels: Kernels,
    /// Of all ratings, held-out ones too.
    pub histogram: Vec<Bin>,
    pub n_users: usize,
    pub n_items: usize,
    pub n_ratings: usize,
    pub n_train: usize,
    pub n_validation: usize,
}

/// Writes the files, the manifest last, and moves them into place.
pub(super) fn publish(
    config: &TrainConfig,
    (out, kept, stop): (OutDir, Vec<OutputEntry>, &AtomicBool),
    mut outcome: Outcome,
    metrics: Metrics,
    warnings: Vec<String>,
    mut durations: Durations,
    (started, started_at): (Instant, i64),
) -> Result<Report> {
    let since = Instant::now();
    let mut manifest = write_files(config, &out, &mut outcome, &metrics, (started_at, &[]))?;
    manifest.outputs.extend(kept);
    durations.export = since.elapsed().as_secs_f64();
    durations.total = started.elapsed().as_secs_f64();
    manifest.durations_s = json::value(&durations);
    out.write(MANIFEST, &pretty(&manifest)?)?;
    let output = out.publish(stop)?;
    durations.total = started.elapsed().as_secs_f64();
    Ok(Report { output, manifest, metrics, durations, warnings })
}

/// Writes all files but the manifest, which is returned; the durations are not in it. `depends_on` names
/// earlier models that the factors depend on.
pub(crate) fn write_files(
    config: &TrainConfig,
    out: &OutDir,
    outcome: &mut Outcome,
    metrics: &Metrics,
    (started_at, depends_on): (i64, &[String]),
) -> Result<Manifest> {
    let inputs = input_entries(&mut outcome.inputs)?;
    let outcome = &*outcome;
    let input_fingerprint = digest(inputs.iter().map(|i| i.sha256.as_str()));
    let config_sha256 = digest([config.identity().to_string().as_str()]);
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
    write_model(out, "", &outcome.model, &stamp(&outcome.model), &mut outputs)?;
    if let Some(measured) = &outcome.measured {
        write_model(out, "train_", measured, &stamp(measured), &mut outputs)?;
    }
    for (number, sample) in outcome.samples.iter().enumerate() {
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
        started_at: time::iso(started_at),
        finished_at: time::iso(finished_at),
        config: json::value(config),
        config_sha256,
        seed: config.seed,
        threads: rayon::current_num_threads(),
        deterministic: true,
        instruction_set: outcome.kernels.level().name().into(),
        working_directory: std::env::current_dir()
            .ok()
            .and_then(|directory| directory.to_str().map(str::to_owned)),
        inputs,
        input_fingerprint,
        data: data(config, outcome),
        split: split(config, outcome, metrics),
        model: model_entry(&outcome.config, outcome),
        metrics: json::value(metrics),
        durations_s: serde_json::Value::Null,
        resources: resources(),
        outputs,
        flavors: BTreeMap::new(),
        folded: Vec::new(),
    })
}

/// Writes the prepared ratings, so that the model can be used when its files are gone or other ones; what was written.
pub(crate) fn keep_ratings(
    config: &TrainConfig,
    out: &OutDir,
    data: &Dataset,
) -> Result<Vec<OutputEntry>> {
    let parts = &data.parts;
    // Held-out users have ratings in three parts; the files are needed for them.
    if config.drop_ratings || !parts.fold_in.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for (name, cells) in [(TRAINING_RATINGS, &parts.training), (HOLDOUT_RATINGS, &parts.holdout)] {
        if cells.is_empty() {
            continue;
        }
        let ids = (&data.users, &data.items);
        let schema = write_ratings(&out.file(name), &out.final_path(name), cells, ids)?;
        entries.push(output_entry(out, name, cells.len(), &schema)?);
    }
    Ok(entries)
}

/// Cargo features, and whether this build has them.
const FEATURES: [(&str, bool); 3] =
    [("files", true), ("cli", cfg!(feature = "cli")), ("cloud", cfg!(feature = "cloud"))];

/// This program.
pub(crate) fn tool() -> Tool {
    Tool {
        name: "lacuna".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        git_sha: option_env!("LACUNA_GIT_SHA").filter(|sha| !sha.is_empty()).map(str::to_owned),
        features: FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).into()).collect(),
    }
}

/// Writes both sides of a model, at the same time.
pub(super) fn write_model(
    out: &OutDir,
    prefix: &str,
    model: &Model,
    stamp: &Stamp,
    outputs: &mut Vec<OutputEntry>,
) -> Result<()> {
    let write = |axis, name: &str, trained: &Trained, embedding: &Embedding| {
        let name = format!("{prefix}{name}");
        let shown = out.final_path(&name);
        let schema = write_factors(&out.file(&name), &shown, axis, trained, embedding, stamp)?;
        output_entry(out, &name, trained.ids.len(), &schema)
    };
    let (users, items) = rayon::join(
        || write(Axis::User, USER_FACTORS, &model.users, &model.factors.users),
        || write(Axis::Item, ITEM_FACTORS, &model.items, &model.factors.items),
    );
    outputs.extend([users?, items?]);
    if let Some(uncertainty) = &model.uncertainty {
        let name = format!("{prefix}{POSTERIOR}");
        let shown = out.final_path(&name);
        let schema = write_posterior(&out.file(&name), &shown, uncertainty)?;
        outputs.push(output_entry(out, &name, 0, &schema)?);
    }
    Ok(())
}

/// A written file's size and checksum.
pub(crate) fn output_entry(
    out: &OutDir,
    name: &str,
    rows: usize,
    schema: &str,
) -> Result<OutputEntry> {
    let path = out.file(name);
    let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    let sha256 = fingerprint(&path)?.sha256;
    Ok(OutputEntry { path: name.into(), bytes, sha256, rows, schema: schema.into() })
}

/// The rows that were set aside, if any were.
pub(crate) fn reject_entry(out: &OutDir, rejects: &[Reject]) -> Result<Option<OutputEntry>> {
    if rejects.is_empty() {
        return Ok(None);
    }
    write_rejects(out, rejects)?;
    output_entry(out, "rejected_rows.csv", rejects.len(), "file, line, reason, text").map(Some)
}

fn write_rejects(out: &OutDir, rejects: &[Reject]) -> Result<()> {
    let shown = out.final_path("rejected_rows.csv");
    let failed = |e: std::io::Error| Error::Write { path: shown.clone(), source: e };
    let file = std::fs::File::create(out.file("rejected_rows.csv")).map_err(failed)?;
    let mut writer = csv::Writer::from_writer(BufWriter::new(file));
    let mut write = || -> csv::Result<()> {
        writer.write_record(["file", "line", "reason", "text"])?;
        for r in rejects {
            let file = r.file.display().to_string();
            writer.write_record([file.as_str(), &r.line.to_string(), &r.reason, &r.text])?;
        }
        Ok(writer.flush()?)
    };
    write().map_err(|e| failed(e.into()))
}

/// The inputs with their checksums.
pub(crate) fn input_entries(inputs: &mut Inputs) -> Result<Vec<InputEntry>> {
    let test_from = inputs.reports.len() - inputs.n_test;
    let mut entries = Vec::with_capacity(inputs.reports.len());
    let checksums = inputs.checksums()?;
    for (number, (report, print)) in inputs.reports.iter().zip(checksums).enumerate() {
        let role = if number < test_from { "ratings" } else { "test" };
        entries.push(input_entry(report, print, role)?);
    }
    Ok(entries)
}

/// An input with its checksum, which must be of the file as it was read.
pub(super) fn input_entry(
    report: &InputReport,
    print: Option<Fingerprint>,
    role: &str,
) -> Result<InputEntry> {
    if let (Some(print), Some(path)) = (&print, &report.file)
        && (print.bytes != report.bytes || print.mtime != report.mtime)
    {
        let message = "the file changed while it was read; run again".to_owned();
        return Err(Error::Format { path: path.clone(), message });
    }
    let sha256 = print.as_ref().map(|p| p.sha256.clone()).or_else(|| report.sha256.clone());
    Ok(InputEntry {
        uri: report.uri.clone(),
        role: role.into(),
        bytes: report.bytes,
        mtime: print.and_then(|p| p.mtime).or_else(|| report.etag.as_ref().and(report.mtime)),
        etag: report.etag.clone(),
        sha256: sha256.unwrap_or_else(|| "skipped".into()),
        layout: report.layout.clone(),
        rows: report.rows,
        rows_rejected: report.rows_rejected.clone(),
        max_timestamp: report.max_timestamp,
    })
}

fn data(config: &TrainConfig, outcome: &Outcome) -> Data {
    let Outcome { model, inputs, n_users, n_items, n_ratings, .. } = outcome;
    Data {
        n_users: *n_users,
        n_items: *n_items,
        n_ratings: *n_ratings,
        density: *n_ratings as f64 / (*n_users as f64 * *n_items as f64),
        rating_min: f64::from(outcome.moments.min),
        rating_max: f64::from(outcome.moments.max),
        mean: outcome.moments.mean,
        std: outcome.moments.deviation,
        histogram: outcome.histogram.clone(),
        duplicates_policy: serde_json::to_value(config.load.duplicates())
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default(),
        duplicates: inputs.duplicates,
        zero_counts: inputs.zero_counts,
        below_minimum: inputs.below_minimum,
        zero_weight: inputs.zero_weight,
        outside_time: inputs.outside_time,
        new_user_share: None,
        new_item_share: None,
        user_ids: model.users.ids.kind().into(),
        item_ids: model.items.ids.kind().into(),
    }
}

fn split(config: &TrainConfig, outcome: &Outcome, metrics: &Metrics) -> SplitEntry {
    let split = config.split();
    let by_hash = matches!(split, Split::Hash { .. } | Split::User { .. });
    let leaks = match config.test_file.is_empty() {
        true => split.leaks(),
        false => "what the test files leak: ratings in both are taken out of training",
    };
    SplitEntry {
        hash: by_hash.then(|| HASH_NAME.to_owned()),
        leaks: leaks.into(),
        split,
        test_files: config.test_file.clone(),
        n_train: outcome.n_train,
        n_validation: outcome.n_validation,
        n_holdout: metrics.n_holdout as usize,
        n_holdout_cold: metrics.n_holdout_cold,
        removed_from_training: outcome.inputs.removed_from_training as usize,
    }
}

fn model_entry(config: &TrainConfig, outcome: &Outcome) -> ModelEntry {
    let regularization = config.regularization();
    let model = &outcome.model;
    let lambda = config.regularization.and_then(Automatic::value).map_or(0.0, NonNegative::get);
    ModelEntry {
        algorithm: config.algorithm_name().name().into(),
        objective: config.objective_text(),
        scores: if model.scale.rates() { "ratings" } else { "preferences" }.into(),
        k: config.rank() as u32,
        lambda,
        lambda_users: regularization.users,
        lambda_items: regularization.items,
        lambda_biases: regularization.biases,
        bias_damping: regularization.damping,
        unobserved_weight: config.unobserved_weight.map(NonNegative::get),
        scale: outcome.deviation,
        lambda_raw: lambda * outcome.deviation,
        weighting: config.weighting_text().into(),
        reg_exponent: regularization.exponent,
        mean_user_ratings: outcome.mean_counts.0,
        mean_item_ratings: outcome.mean_counts.1,
        sweeps: outcome.iteration,
        stop_reason: outcome.stop_reason,
        global_mean: model.scale.mean,
        training_mean: model.scale.fallback,
        biases: model.scale.biases,
        layout: "raw".into(),
        dtype: "f32".into(),
        mips_norm: Some(MIPS_HEADROOM * largest_norm(&model.factors.items)),
        measured: outcome.measured.as_ref().filter(|m| m.scale.rates()).map(|measured| {
            MeasuredScale {
                global_mean: measured.scale.mean,
                training_mean: measured.scale.fallback,
                rating_min: measured.scale.range.0,
                rating_max: measured.scale.range.1,
            }
        }),
        refit: outcome.measured.is_some(),
        noise: outcome.noise,
        kept_samples: outcome.samples.len(),
        untrained_users: outcome.n_users - model.users.ids.len(),
        untrained_items: outcome.n_items - model.items.ids.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_the_features() {
        for (name, on) in [("cli", cfg!(feature = "cli")), ("cloud", cfg!(feature = "cloud"))] {
            assert_eq!(tool().features.iter().any(|feature| feature == name), on, "{name}");
        }
    }
}
