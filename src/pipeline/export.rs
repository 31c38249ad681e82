//! A stored model's vectors in other formats: in its directory, or in one of their own.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::publish::tool;
use super::{now, pretty};
use crate::error::{Error, Result};
use crate::export::{Content, Dtype, Export, Files, Format};
use crate::ids::Axis;
use crate::load::{hex, time};
use crate::model::{Layout, MIPS_HEADROOM, Model, largest_norm};
use crate::store::{
    DirKind, ExportManifest, FORMAT_VERSION, Flavor, MANIFEST, Manifest, OutDir, OutputEntry,
    Stamp, read_model, verify,
};

/// What is exported, and where.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct ExportConfig {
    /// Model directory.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Format; the list is below.
    #[cfg_attr(feature = "cli", arg(short = 'f', long, value_name = "FORMAT"))]
    pub format: Format,
    /// What the vectors are.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'l', long, value_name = "LAYOUT", default_value = "raw")
    )]
    pub layout: Layout,
    /// Number type of the vectors.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TYPE", default_value = "f32"))]
    pub dtype: Dtype,
    /// Which vectors. [default: both; items for the layout cosine]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SIDE"))]
    pub side: Option<Sides>,
    /// Directory to write. [default: exports/FORMAT-LAYOUT in the model, listed in its manifest]
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: Option<PathBuf>,
    /// Replace an export that is there.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
}

/// Which sides are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Sides {
    /// Users and items.
    Both,
    /// Users alone.
    User,
    /// Items alone.
    Item,
}

/// What came of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// Where the files are.
    pub output: PathBuf,
    /// Identity of the model.
    pub model_version: String,
    /// What was exported.
    #[serde(flatten)]
    pub flavor: Flavor,
    /// The files with their checksums.
    pub outputs: Vec<OutputEntry>,
}

/// Exports a model.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for a layout or number type that does not go with
/// the format, [`Error::OutputExists`], [`Error::Write`].
pub fn export(config: &ExportConfig, stop: &AtomicBool) -> Result<Exported> {
    config.format.check(config.layout, config.dtype)?;
    // Through a link to a model, the model.
    let path = config.model.canonicalize().unwrap_or_else(|_| config.model.clone());
    let out = match &config.output {
        Some(output) => OutDir::create(output, config.force, DirKind::Export)?,
        // What is not there is said below.
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
            out?.hold()
        }
    };
    let (model, mut manifest) = read_model(&path)?;
    if config.layout.width(model.factors.rank()) == 0 {
        let message = "the model has no vectors (it was trained with --factors 0); --layout dot has its biases";
        return Err(Error::Usage(message.into()));
    }
    let norm = mips_norm(&model, &manifest);
    let sides: &[Axis] = match (config.side, config.layout) {
        (Some(Sides::User), _) => &[Axis::User],
        (Some(Sides::Item), _) | (None, Layout::Cosine) => &[Axis::Item],
        (Some(Sides::Both) | None, _) => &[Axis::User, Axis::Item],
    };
    let stamp = Stamp {
        model_version: manifest.model_version.clone(),
        trained_at: time::parse_iso(&manifest.finished_at).unwrap_or_default(),
        global_mean: model.scale.mean,
    };
    let export = Export::new(&model, sides, config.layout, norm, stamp);
    match &config.output {
        Some(_) => apart(config, &export, &manifest, norm, (out, stop)),
        None => {
            manifest.model.mips_norm = Some(norm);
            within(config, &export, manifest, norm, (&path, out, stop))
        }
    }
}

/// `M`: that of the manifest while it covers the items, so that indexes stay valid.
pub(super) fn mips_norm(model: &Model, manifest: &Manifest) -> f64 {
    let largest = largest_norm(&model.factors.items);
    let kept = manifest.model.mips_norm.filter(|norm| *norm >= largest);
    kept.unwrap_or(MIPS_HEADROOM * largest)
}

/// Into a directory of its own, with a manifest.
fn apart(
    config: &ExportConfig,
    export: &Export,
    manifest: &Manifest,
    norm: f64,
    (out, stop): (OutDir, &AtomicBool),
) -> Result<Exported> {
    let outputs = write(config, export, (&out, stop), "")?;
    let flavor = flavor(config, export, norm, &outputs);
    let own = ExportManifest {
        format_version: FORMAT_VERSION,
        tool: tool(),
        model_version: manifest.model_version.clone(),
        exported_at: time::iso(now()),
        flavor: flavor.clone(),
        outputs: outputs.clone(),
    };
    out.write(MANIFEST, &pretty(&own)?)?;
    let output = out.publish()?;
    Ok(Exported { output, model_version: own.model_version, flavor, outputs })
}

/// Into the model's directory, which is replaced as a whole: readers see it with the export or without.
fn within(
    config: &ExportConfig,
    export: &Export,
    mut manifest: Manifest,
    norm: f64,
    (path, out, stop): (&Path, OutDir, &AtomicBool),
) -> Result<Exported> {
    let mut name = format!("{}-{}", config.format, config.layout.name());
    if config.dtype != Dtype::F32 {
        name += &format!("-{}", config.dtype.name());
    }
    let directory = format!("exports/{name}");
    drop_broken(&mut manifest, path);
    if let Some(earlier) = manifest.flavors.remove(&name) {
        if !config.force {
            return Err(Error::OutputExists { path: path.join(directory) });
        }
        manifest.outputs.retain(|entry| !earlier.files.contains(&entry.path));
    }
    for entry in &manifest.outputs {
        out.carry(path, entry)?;
    }
    let outputs = write(config, export, (&out, stop), &format!("{directory}/"))?;
    let flavor = flavor(config, export, norm, &outputs);
    manifest.outputs.extend(outputs.iter().cloned());
    manifest.flavors.insert(name, flavor.clone());
    out.write(MANIFEST, &pretty(&manifest)?)?;
    let output = out.publish()?.join(directory);
    Ok(Exported { output, model_version: manifest.model_version, flavor, outputs })
}

/// Forgets exports of which files are gone or changed: others can be written all the same.
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

fn flavor(config: &ExportConfig, export: &Export, norm: f64, outputs: &[OutputEntry]) -> Flavor {
    Flavor {
        format: config.format.name().into(),
        layout: config.layout,
        dtype: config.dtype.name().into(),
        score: config.layout.score().into(),
        width: export.sides.first().map_or(0, |side| side.vectors.cols()),
        mips_norm: (config.layout == Layout::Mips).then_some(norm),
        global_mean: export.stamp.global_mean,
        left_out: export.sides.iter().map(|side| side.left_out).sum(),
        files: outputs.iter().map(|entry| entry.path.clone()).collect(),
    }
}

fn write(
    config: &ExportConfig,
    export: &Export,
    (out, stop): (&OutDir, &AtomicBool),
    prefix: &str,
) -> Result<Vec<OutputEntry>> {
    let mut files = Directory { out, prefix, stop, entries: Vec::new() };
    let written = config.format.write(export, config.dtype, &mut files);
    match stop.load(Ordering::Relaxed) {
        true => Err(Error::Stopped),
        false => written.map(|()| files.entries),
    }
}

/// Files in a directory that is about to be published, with their checksums.
struct Directory<'o> {
    out: &'o OutDir,
    prefix: &'o str,
    stop: &'o AtomicBool,
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
        let mut writer = Hashing { to, hash: Sha256::new(), bytes: 0, stop: self.stop };
        content(&mut writer).and_then(|()| writer.flush()).map_err(failed)?;
        writer.to.get_ref().sync_all().map_err(failed)?;
        let (sha256, bytes) = (hex(&writer.hash.finalize()), writer.bytes);
        self.entries.push(OutputEntry { path, bytes, sha256, rows, schema: schema.to_owned() });
        Ok(())
    }
}

/// Hashes what is written, and ends where a stop was asked for.
struct Hashing<'s, W> {
    to: W,
    hash: Sha256,
    bytes: u64,
    stop: &'s AtomicBool,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
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
