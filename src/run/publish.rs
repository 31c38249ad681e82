//! Writes a run and moves it to its place. A run is complete before it becomes visible there.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::RunConfig;
use super::directory::RunDirectory;
use super::inputs::{Inputs, identity};
use super::lock::Lock;
use super::log::Log;
use super::places::{Place, Pointer, relative};
use super::previous::Previous;
use super::run_id::timestamp;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::load::{hex, time};
use crate::metric::histogram;
use crate::pair::Pair;
use crate::replay::Published;
use crate::serving::{add_export, mips_norm};
use crate::store::json::{self, pretty};
use crate::store::{
    FORMAT_VERSION, MANIFEST, Manifest, OutDir, OutputEntry, REJECTED, RunEntry, SUCCESS, Status,
};
use crate::system::now;
use crate::training::{
    Began, Dataset, Durations, Metrics, Outcome, input_entries, output_entry, reject_entry, tool,
    values, write_files,
};

/// File with the settings of the run, in the form that `--config` reads.
const SETTINGS: &str = "config.resolved.toml";

/// File with the log up to the time when the manifest is written.
const LOG: &str = "log.jsonl";

/// The context in which a run is written.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub directory: &'a RunDirectory,
    pub lock: &'a Lock,
    pub config: &'a RunConfig,
    pub log: &'a Log<'a>,
    pub job: &'a Job<'a>,
    pub began: Began,
}

/// A trained model that will be published or rejected.
pub(super) struct Candidate<'a> {
    pub out: OutDir,
    /// The files with the prepared ratings. They are written before the training.
    pub kept: Vec<OutputEntry>,
    pub outcome: Outcome,
    pub metrics: &'a Metrics,
    pub previous: Option<&'a Previous>,
    pub inputs: &'a Inputs,
    pub entry: RunEntry,
    /// Shares of the users and items that the earlier run did not have.
    pub new_share: Option<Pair<f64>>,
    /// Seconds of the stages of the training.
    pub seconds: Durations,
    /// Seconds of finding and hashing the input files.
    pub scan: f64,
}

/// Writes the run and publishes or rejects it. Returns its path and its manifest.
pub(super) fn publish(desk: Desk<'_>, candidate: Candidate<'_>) -> Result<Published> {
    let Candidate { out, kept, mut outcome, metrics, previous, entry, .. } = candidate;
    let Desk { directory, config, log, job, began, .. } = desk;
    let since = Instant::now();
    let id = entry.run_id.clone();
    log.open(&out.file(LOG))?;
    let depends_on = depends_on(&entry, previous);
    let mut manifest = write_files(&config.train, &out, &mut outcome, metrics, began, &depends_on)?;
    same_inputs(&manifest, candidate.inputs)?;
    manifest.outputs.extend(kept);
    if let Some(previous) = previous {
        manifest.model.mips_norm = Some(mips_norm(&outcome.published.model, &previous.manifest));
    }
    if let Some(share) = candidate.new_share {
        manifest.data.new_user_share = Some(share.users);
        manifest.data.new_item_share = Some(share.items);
    }
    for spec in &config.export {
        let name = add_export(spec, &outcome.published.model, &mut manifest, &out, job)?;
        log.info("exported", &format!("exported {name}"), json!({ "export": name }));
    }
    let export = since.elapsed().as_secs_f64();
    manifest.outputs.push(write_settings(&out, config)?);
    let (status, reason) = (entry.status, entry.reason.clone());
    let mut seconds = json::value(&candidate.seconds);
    seconds["scan"] = candidate.scan.into();
    seconds["export"] = export.into();
    seconds["total"] = began.instant.elapsed().as_secs_f64().into();
    manifest.durations_s = seconds;
    manifest.run = Some(entry);
    job.check_stop()?;
    log.close(&out.file(LOG))?;
    manifest.outputs.push(output_entry(&out, LOG, 0, "JSON lines")?);
    let since = Instant::now();
    let path = finish(&out, &manifest, status).and_then(|manifest_sha256| {
        let path = directory.publish(out, Place::of(status), &id, desk.lock, job)?;
        if status == Status::Promoted {
            desk.lock.check()?;
            directory.point(&Pointer {
                run_id: id.clone(),
                path: relative(&id),
                manifest_sha256,
                promoted_at: time::iso(now()),
                rolled_back: Vec::new(),
            })?;
        }
        Ok(path)
    })?;
    manifest.durations_s["publish"] = since.elapsed().as_secs_f64().into();
    let message = match (&reason, status) {
        (Some(reason), Status::Rejected) => format!("rejected as {}: {reason}", path.display()),
        _ => format!("published as {}", path.display()),
    };
    let numbers = json!({
        "status": status,
        "path": path,
        "model_version": manifest.model_version,
        "reason": reason,
    });
    log.info("published", &message, numbers);
    Ok(Published { path, manifest })
}

/// Writes the manifest and then the mark. Returns the checksum of the manifest.
fn finish(out: &OutDir, manifest: &impl serde::Serialize, status: Status) -> Result<String> {
    let text = pretty(manifest)?;
    let sha256 = hex(&Sha256::digest(&text));
    out.write(MANIFEST, &text)?;
    let mark = match status {
        Status::Promoted => SUCCESS,
        Status::Rejected => REJECTED,
    };
    let content = json!({ "manifest_sha256": sha256, "finished_at": timestamp() });
    out.write(mark, content.to_string().as_bytes())?;
    Ok(sha256)
}

/// The earlier models that the vectors depend on: by a warm start, by alignment.
fn depends_on(entry: &RunEntry, previous: Option<&Previous>) -> Vec<String> {
    let Some(previous) = previous else { return Vec::new() };
    let version = &previous.manifest.model_version;
    let of = |what: &str, run: &Option<String>| run.as_ref().map(|_| format!("{what} {version}"));
    let lineage = &entry.lineage;
    let parts = [of("warm", &lineage.warm_start_from), of("aligned", &lineage.aligned_to)];
    parts.into_iter().flatten().collect()
}

/// Checks that the files that were read are those that were hashed at the start.
fn same_inputs(manifest: &Manifest, inputs: &Inputs) -> Result<()> {
    for (role, wanted) in
        [("ratings", &inputs.checksums.ratings), ("test", &inputs.checksums.tests)]
    {
        let found: Vec<_> = manifest.inputs.iter().filter(|input| input.role == role).collect();
        let other = found.iter().zip(wanted).find(|(input, wanted)| identity(input) != **wanted);
        let other = other.map(|(input, _)| input.uri.clone());
        let more = (found.len() != wanted.len()).then(|| "the rating files".to_owned());
        if let Some(uri) = other.or(more) {
            let message = "the input changed after it was hashed; run again".to_owned();
            return Err(Error::Format { path: uri.into(), message });
        }
    }
    Ok(())
}

/// Writes the settings as a configuration file.
fn write_settings(out: &OutDir, config: &RunConfig) -> Result<OutputEntry> {
    out.write(SETTINGS, settings(config)?.as_bytes())?;
    output_entry(out, SETTINGS, 0, "TOML")
}

/// Every setting with its value, in the form that `--config` reads.
pub(super) fn settings(config: &RunConfig) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::Internal(format!("settings: {e}"));
    let mut map = config.settings();
    // It applies to one run, not to every night.
    map.remove("force");
    let table = toml::Value::try_from(Value::Object(map)).map_err(|e| failed(&e))?;
    toml::to_string(&table).map_err(|e| failed(&e))
}

/// Writes the record of a run whose ratings failed a gate. Returns the path of the record.
pub(super) fn reject_data(
    desk: Desk<'_>,
    mut data: Dataset,
    entry: &RunEntry,
    config_sha256: &str,
) -> Result<PathBuf> {
    let Desk { directory, config, log, began, .. } = desk;
    let out = OutDir::staged(&directory.temporary(), &entry.run_id)?;
    log.open(&out.file(LOG))?;
    let inputs = input_entries(&mut data.inputs)?;
    let ratings: Vec<f32> = values(&data.parts).collect();
    let mean = ratings.iter().map(|&v| f64::from(v)).sum::<f64>() / ratings.len().max(1) as f64;
    let mut outputs = vec![write_settings(&out, config)?];
    outputs.extend(reject_entry(&out, &data.inputs.rejects)?);
    log.close(&out.file(LOG))?;
    outputs.push(output_entry(&out, LOG, 0, "JSON lines")?);
    let mut record = json!({
        "format_version": FORMAT_VERSION,
        "tool": tool(),
        "model_version": "",
        "started_at": time::iso(began.at),
        "finished_at": time::iso(now()),
        "config": config.train,
        "config_sha256": config_sha256,
        "inputs": inputs,
        "data": {
            "n_users": data.ids.users.len(),
            "n_items": data.ids.items.len(),
            "n_ratings": data.n_ratings,
            "mean": mean,
            "histogram": histogram(ratings.iter().copied()),
        },
        "outputs": outputs,
    });
    let described = json::value(entry);
    if let (Some(record), Value::Object(described)) = (record.as_object_mut(), described) {
        record.extend(described);
    }
    finish(&out, &record, Status::Rejected)?;
    directory.publish(out, Place::REJECTS, &entry.run_id, desk.lock, desk.job)
}
