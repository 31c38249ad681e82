//! The files of a model directory and their entries in its manifest.

use crate::pair::Pair;
use std::io::BufWriter;

use super::dataset::{Dataset, Inputs};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::load::{Fingerprint, InputReport, Reject, fingerprint};
use crate::model::{Embedding, Model, Trained};
use crate::settings::Plan;
use crate::store::{
    HOLDOUT_RATINGS, ITEM_FACTORS, InputEntry, OutDir, OutputEntry, POSTERIOR, Stamp,
    TRAINING_RATINGS, Tool, USER_FACTORS, write_factors, write_posterior, write_ratings,
};

/// Cargo features, and whether this build has them.
const FEATURES: [(&str, bool); 3] =
    [("files", true), ("cli", cfg!(feature = "cli")), ("cloud", cfg!(feature = "cloud"))];

/// Describes this program.
pub(crate) fn tool() -> Tool {
    Tool {
        name: "lacuna".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        git_sha: option_env!("LACUNA_GIT_SHA").filter(|sha| !sha.is_empty()).map(str::to_owned),
        features: FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).into()).collect(),
    }
}

/// Writes both sides of a model in parallel, and then its posterior if it has one.
pub(crate) fn write_model(
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

/// Writes the prepared ratings, and returns their manifest entries.
///
/// With these files, the model stays usable when its inputs are gone or have changed.
pub(crate) fn keep_ratings(plan: &Plan, out: &OutDir, data: &Dataset) -> Result<Vec<OutputEntry>> {
    let parts = &data.parts;
    // With held-out users there are fold-in ratings as well, which no file keeps. Such a model
    // needs its inputs.
    if !plan.finish.keep_ratings || !parts.fold_in.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for (name, cells) in [(TRAINING_RATINGS, &parts.training), (HOLDOUT_RATINGS, &parts.holdout)] {
        if cells.is_empty() {
            continue;
        }
        let ids = Pair::new(&data.ids.users, &data.ids.items);
        let schema = write_ratings(&out.file(name), &out.final_path(name), cells, ids)?;
        entries.push(output_entry(out, name, cells.len(), &schema)?);
    }
    Ok(entries)
}

/// Returns the manifest entry of a written file, with its size and checksum.
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

/// Writes the rows that were set aside, if any, and returns their manifest entry.
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

/// Returns the manifest entries of the inputs, with their checksums.
pub(crate) fn input_entries(inputs: &mut Inputs) -> Result<Vec<InputEntry>> {
    let test_from = inputs.reports.len() - inputs.n_test;
    let mut entries = Vec::with_capacity(inputs.reports.len());
    let checksums = inputs.checksums()?.to_vec();
    for (number, (report, print)) in inputs.reports.iter().zip(checksums).enumerate() {
        let role = if number < test_from { "ratings" } else { "test" };
        entries.push(input_entry(report, print, role)?);
    }
    Ok(entries)
}

/// Returns the manifest entry of an input, with its checksum.
///
/// Fails if the file changed while it was read.
pub(crate) fn input_entry(
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
        min_timestamp: report.min_timestamp,
        max_timestamp: report.max_timestamp,
    })
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
