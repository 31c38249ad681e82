//! Exports a published model's vectors in other formats, to its directory or a separate one.

mod spec;

pub use spec::{ExportSpec, NoExport, Sides};

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::export::{Content, Dtype, Export, Files, Format};
use crate::job::Job;
use crate::load::{hex, time};
use crate::model::{Layout, MIPS_HEADROOM, Model, largest_norm};
use crate::replay::Published;
use crate::store::json::pretty;
use crate::store::{
    DirKind, ExportManifest, FORMAT_VERSION, Flavor, MANIFEST, Manifest, OutDir, OutputEntry,
    Stamp, read_model, verify,
};
use crate::system::now;
use crate::training::tool;

/// The settings of `lacuna export`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct ExportConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Format; the formats are listed below.
    #[cfg_attr(feature = "cli", arg(short = 'f', long, value_name = "FORMAT"))]
    pub format: Format,
    /// Layout of the vectors; the layouts are listed below.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'l', long, value_name = "LAYOUT", default_value = "raw")
    )]
    pub layout: Layout,
    /// Number type of the vectors.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TYPE", default_value = "f32"))]
    pub dtype: Dtype,
    /// Vectors to export. [default: both; items for the layout cosine]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SIDE"))]
    pub side: Option<Sides>,
    /// Directory to write. [default: exports/FORMAT-LAYOUT in the model, listed in its manifest]
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: Option<PathBuf>,
    /// Replace an existing export.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
}

impl ExportConfig {
    const fn spec(&self) -> ExportSpec {
        ExportSpec { format: self.format, layout: self.layout, dtype: self.dtype }
    }
}

/// Writes an export into a model that is not published yet, and lists it in the model's manifest.
///
/// Returns the name of the export.
///
/// # Errors
/// [`Error::Usage`] for a model without vectors, [`Error::Write`], [`Error::Stopped`].
pub(crate) fn add_export(
    spec: &ExportSpec,
    model: &Model,
    manifest: &mut Manifest,
    out: &OutDir,
    job: &Job<'_>,
) -> Result<String> {
    check_vectors(spec, model)?;
    let norm = mips_norm(model, manifest);
    manifest.model.mips_norm = Some(norm);
    let stamp = stamp(model, manifest);
    let export = Export::new(model, spec.sides(None), spec.layout, norm, stamp);
    let name = spec.name();
    let outputs = write(spec, &export, out, job, &format!("exports/{name}/"))?;
    manifest.flavors.insert(name.clone(), flavor(spec, &export, norm, &outputs));
    manifest.outputs.extend(outputs);
    Ok(name)
}

fn check_vectors(spec: &ExportSpec, model: &Model) -> Result<()> {
    if spec.layout.width(model.factors.rank()) == 0 {
        let message = "the model has no vectors (it was trained with --factors 0); \
                       --layout dot exports its biases";
        return Err(Error::Usage(message.into()));
    }
    Ok(())
}

fn stamp(model: &Model, manifest: &Manifest) -> Stamp {
    Stamp {
        model_version: manifest.model_version.clone(),
        trained_at: time::parse_iso(&manifest.finished_at).unwrap_or_default(),
        global_mean: model.scale.mean,
    }
}

/// The outcome of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// Directory of the files.
    pub output: PathBuf,
    /// Identity of the model.
    pub model_version: String,
    /// Description of the export.
    #[serde(flatten)]
    pub flavor: Flavor,
    /// The files, with their checksums.
    pub outputs: Vec<OutputEntry>,
}

/// Exports a model.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for a layout or number type that the
/// format does not support, [`Error::OutputExists`], [`Error::Write`].
pub fn export(config: &ExportConfig, job: &Job<'_>) -> Result<Exported> {
    config.format.check(config.layout, config.dtype)?;
    // A link to a model is resolved to the model.
    let path = config.model.canonicalize().unwrap_or_else(|_| config.model.clone());
    let out = match &config.output {
        Some(output) => OutDir::create(output, config.force, DirKind::Export)?,
        // Reading a model without a manifest fails with the reason.
        None if !path.join(MANIFEST).is_file() => {
            return read_model(&path).and(Err(Error::Internal("a model without manifest".into())));
        }
        None => {
            let out = OutDir::create(&path, true, DirKind::Model).map_err(|error| match error {
                Error::NotOurs { path, reason } => {
                    Error::NotOurs { path, reason: format!("{reason} (give --output DIR)") }
                }
                other => other,
            });
            out?.hold(job.stop)?
        }
    };
    let (model, mut manifest) = read_model(&path)?;
    let spec = config.spec();
    check_vectors(&spec, &model)?;
    let norm = mips_norm(&model, &manifest);
    let sides = spec.sides(config.side);
    let export = Export::new(&model, sides, config.layout, norm, stamp(&model, &manifest));
    match &config.output {
        Some(_) => apart(config, &export, &manifest, norm, out, job),
        None => {
            manifest.model.mips_norm = Some(norm);
            let published = Published { path, manifest };
            within(config, &export, published, norm, out, job)
        }
    }
}

/// Returns the norm `M` of the layout mips.
///
/// The `M` of the manifest stays while it covers the items, so that existing indexes stay valid.
pub(crate) fn mips_norm(model: &Model, manifest: &Manifest) -> f64 {
    let largest = largest_norm(&model.factors.items);
    let kept = manifest.model.mips_norm.filter(|norm| *norm >= largest);
    kept.unwrap_or(MIPS_HEADROOM * largest)
}

/// Exports to a separate directory, with its own manifest.
fn apart(
    config: &ExportConfig,
    export: &Export,
    manifest: &Manifest,
    norm: f64,
    out: OutDir,
    job: &Job<'_>,
) -> Result<Exported> {
    let outputs = write(&config.spec(), export, &out, job, "")?;
    let flavor = flavor(&config.spec(), export, norm, &outputs);
    let own = ExportManifest {
        format_version: FORMAT_VERSION,
        tool: tool(),
        model_version: manifest.model_version.clone(),
        exported_at: time::iso(now()),
        flavor: flavor.clone(),
        outputs: outputs.clone(),
    };
    out.write(MANIFEST, &pretty(&own)?)?;
    let output = out.publish(job.stop)?;
    Ok(Exported { output, model_version: own.model_version, flavor, outputs })
}

/// Exports to the model's directory.
///
/// The directory is replaced as a whole, so readers see it either with the export or without.
fn within(
    config: &ExportConfig,
    export: &Export,
    published: Published,
    norm: f64,
    out: OutDir,
    job: &Job<'_>,
) -> Result<Exported> {
    let Published { path, mut manifest } = published;
    let name = config.spec().name();
    let directory = format!("exports/{name}");
    drop_broken(&mut manifest, &path);
    if let Some(earlier) = manifest.flavors.remove(&name) {
        if !config.force {
            return Err(Error::OutputExists { path: path.join(directory) });
        }
        manifest.outputs.retain(|entry| !earlier.files.contains(&entry.path));
    }
    for entry in &manifest.outputs {
        out.carry(&path, entry)?;
    }
    let outputs = write(&config.spec(), export, &out, job, &format!("{directory}/"))?;
    let flavor = flavor(&config.spec(), export, norm, &outputs);
    manifest.outputs.extend(outputs.iter().cloned());
    manifest.flavors.insert(name, flavor.clone());
    out.write(MANIFEST, &pretty(&manifest)?)?;
    let output = out.publish(job.stop)?.join(directory);
    Ok(Exported { output, model_version: manifest.model_version, flavor, outputs })
}

/// Removes exports with missing or changed files from the manifest, so that other exports can be
/// written.
fn drop_broken(manifest: &mut Manifest, path: &Path) {
    let Manifest { flavors, outputs, .. } = manifest;
    flavors.retain(|_, flavor| {
        let of_it = |entry: &&OutputEntry| flavor.files.contains(&entry.path);
        let whole = outputs.iter().filter(of_it).all(|entry| verify(path, entry).is_ok());
        if !whole {
            outputs.retain(|entry| !flavor.files.contains(&entry.path));
        }
        whole
    });
}

fn flavor(spec: &ExportSpec, export: &Export, norm: f64, outputs: &[OutputEntry]) -> Flavor {
    Flavor {
        format: spec.format.name().into(),
        layout: spec.layout,
        dtype: spec.dtype.name().into(),
        score: spec.layout.score().into(),
        width: export.sides.first().map_or(0, |side| side.vectors.cols()),
        mips_norm: (spec.layout == Layout::Mips).then_some(norm),
        global_mean: export.stamp.global_mean,
        left_out: export.sides.iter().map(|side| side.left_out).sum(),
        files: outputs.iter().map(|entry| entry.path.clone()).collect(),
    }
}

fn write(
    spec: &ExportSpec,
    export: &Export,
    out: &OutDir,
    job: &Job<'_>,
    prefix: &str,
) -> Result<Vec<OutputEntry>> {
    let mut files = Directory { out, prefix, job, entries: Vec::new() };
    let written = spec.format.write(export, spec.dtype, &mut files);
    match job.is_stopped() {
        true => Err(Error::Stopped),
        false => written.map(|()| files.entries),
    }
}

/// Writes files to a directory that is about to be published, and records their checksums.
struct Directory<'o> {
    out: &'o OutDir,
    prefix: &'o str,
    job: &'o Job<'o>,
    entries: Vec<OutputEntry>,
}

impl Files for Directory<'_> {
    fn file(
        &mut self,
        name: &str,
        rows: usize,
        schema: &str,
        content: &mut Content<'_>,
    ) -> Result<()> {
        let path = format!("{}{name}", self.prefix);
        let file = self.out.create_file(&path)?;
        let failed = |source| Error::Write { path: self.out.final_path(&path), source };
        let to = BufWriter::with_capacity(1 << 20, file);
        let mut writer = Hashing { to, hash: Sha256::new(), bytes: 0, job: self.job };
        content(&mut writer).and_then(|()| writer.flush()).map_err(failed)?;
        writer.to.get_ref().sync_all().map_err(failed)?;
        let (sha256, bytes) = (hex(&writer.hash.finalize()), writer.bytes);
        self.entries.push(OutputEntry { path, bytes, sha256, rows, schema: schema.to_owned() });
        Ok(())
    }
}

/// A writer that hashes its bytes, and fails when a stop is requested.
struct Hashing<'s, W> {
    to: W,
    hash: Sha256,
    bytes: u64,
    job: &'s Job<'s>,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.job.is_stopped() {
            return Err(std::io::Error::other("stopped"));
        }
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
