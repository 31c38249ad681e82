//! New or changed users (or items) of a stored model, without retraining.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::basis::Basis;
use super::export::mips_norm;
use super::given::{Given, read_given};
use super::publish::{input_entry, output_entry, tool, write_model};
use super::reading::LoadConfig;
use super::record::{Numbers, Source, recorded, replay_folded, solves_rows, translate};
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::with_threads;
use crate::load::{fingerprint, time};
use crate::model::{Embedding, Model, Trained};
use crate::param::Threads;
use crate::ratings::{Cell, Ratings, Side};
use crate::store::json::{self, digest, pretty};
use crate::store::{
    DirKind, FoldedEntry, FoldedRatings, MANIFEST, Manifest, OutDir, OutputEntry, Stamp,
    folded_file, read_model,
};
use crate::system::now;
use crate::train::Algorithm;

/// What is folded in, and where the new version goes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct FoldInConfig {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Complete ratings of every user (or item) to fold in.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model; with --force the model's own.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// Fold in users, or items.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SIDE", default_value = "user"))]
    pub side: Axis,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; as the training's where nothing is said.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldedIn {
    /// The new version.
    pub output: PathBuf,
    /// Its identity.
    pub model_version: String,
    /// Which side.
    pub side: Axis,
    /// Rows that the model did not have.
    pub added: usize,
    /// Rows that replaced earlier ones.
    pub replaced: usize,
    /// Rows left out because no rating is of an item (or user) that the model knows.
    pub left_out: usize,
    /// Ratings used.
    pub ratings: usize,
    /// Ratings left out because the model does not know their item (or user).
    pub unknown_ratings: usize,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
    /// What took how long.
    pub durations_s: FoldInSeconds,
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct FoldInSeconds {
    /// Reading the model.
    pub load: f64,
    /// Reading the new ratings.
    pub parse: f64,
    /// Solving the rows.
    pub solve: f64,
    /// Writing the new version.
    pub write: f64,
}

/// Folds in the rows of one side, each by one exact solve against the other side.
///
/// # Errors
/// [`Error::Usage`] for algorithms without such a solve, [`Error::Model`], [`Error::Numeric`], those of
/// reading and writing.
pub fn fold_in(config: &FoldInConfig, stop: &AtomicBool) -> Result<FoldedIn> {
    let since = Instant::now();
    let out = OutDir::create(&config.output, config.force, DirKind::Model)?.hold(stop)?;
    let (model, manifest) = read_model(&config.model)?;
    solves_rows((&model, &manifest), "fold-in")?;
    let mut durations =
        FoldInSeconds { load: since.elapsed().as_secs_f64(), ..FoldInSeconds::default() };
    with_threads(config.threads.map(|t| t.get() as usize), || {
        let settings = recorded(&manifest)?;
        let since = Instant::now();
        let mut warnings = Vec::new();
        let given = read_given(&config.input, &config.load, &settings, stop, &mut warnings)?;
        let new = New::number(&model, config.side, given)?;
        durations.parse = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let algorithm = settings.algorithm(None);
        let solved = new.solved((&model, &manifest), &*algorithm, config.side, stop)?;
        durations.solve = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let (replaced, added) = new.known();
        let folded = merged(model, &new, &solved, config.side);
        let next =
            next_manifest(config.side, &folded, &manifest, &new, ("fold-in", &mut warnings))?;
        let earlier = replay_folded(config.side, (&config.model, &manifest), &settings, stop)?;
        let ratings = kept_ratings(config.side, &new, &folded, earlier.as_ref());
        let of = (config.side, config.model.as_path());
        let output = write(of, out, (&folded, &ratings), next.0, &next.1, stop)?;
        durations.write = since.elapsed().as_secs_f64();
        if new.unknown > 0 {
            let other = if config.side == Axis::User { "items" } else { "users" };
            warnings.push(format!(
                "{} ratings are of {other} that the model does not know and were left out",
                new.unknown
            ));
        }
        Ok(FoldedIn {
            output,
            model_version: next.1,
            side: config.side,
            added,
            replaced,
            left_out: new.left_out,
            ratings: new.side.values.nnz(),
            unknown_ratings: new.unknown,
            warnings,
            durations_s: durations,
        })
    })
}

/// Rows to fold in, under their ids.
pub(super) struct New {
    /// Ids of the rows that have ratings of known items (or users), sorted.
    ids: Ids,
    /// Their position in the model, where they have one.
    rows: Vec<Option<usize>>,
    pub side: Side,
    given: Given,
    unknown: usize,
    left_out: usize,
}

impl New {
    pub(super) fn number(model: &Model, axis: Axis, mut given: Given) -> Result<Self> {
        let Source { cells, users, items } = &mut given.source;
        let (own, other, known_own, known_other) = match axis {
            Axis::User => (users, items, &model.users.ids, &model.items.ids),
            Axis::Item => (items, users, &model.items.ids, &model.users.ids),
        };
        if let (Ids::Int(_), Ids::Text(texts)) = (known_own, &*own) {
            let strange = texts.iter().find(|text| text.parse::<i64>().is_err());
            let path =
                given.inputs.first().map_or("the new ratings".into(), |i| i.uri.clone().into());
            return Err(Error::Format {
                path,
                message: format!(
                    "the {} ids are text (\"{}\") where those of the model are integers",
                    axis.name(),
                    strange.or(texts.first()).map_or("", |text| &**text)
                ),
            });
        }
        let mut others = Numbers::new(known_other);
        let columns = others.of(other);
        let identity: Vec<u32> = (0..own.len() as u32).collect();
        let before = cells.len();
        let mut cells = match axis {
            Axis::User => translate(cells, &identity, &columns),
            Axis::Item => {
                let swap = |c: Cell| Cell { user: c.item, item: c.user, ..c };
                let cells = translate(cells, &columns, &identity).into_iter().map(swap);
                let mut cells: Vec<Cell> = cells.collect();
                cells.sort_unstable_by_key(|c| (c.user, c.item));
                cells
            }
        };
        cells.retain(|c| (c.item as usize) < known_other.len());
        let unknown = before - cells.len();
        if cells.is_empty() {
            let after = "what the model does not know was left out".to_owned();
            return Err(Error::NothingLeft { after });
        }
        // Rows without cells are none.
        let mut counts = vec![0_usize; own.len()];
        for cell in &cells {
            counts[cell.user as usize] += 1;
        }
        let ids = own.select(|row| counts[row] > 0);
        let mut number = vec![0_u32; own.len()];
        let mut next = 0;
        for (row, &count) in counts.iter().enumerate() {
            number[row] = next;
            next += u32::from(count > 0);
        }
        for cell in &mut cells {
            cell.user = number[cell.user as usize];
        }
        let side = Ratings::from_sorted(ids.len(), known_other.len(), &cells).by_user;
        let ids = match (known_own, ids) {
            // As the model has them; the order of integers as text is another one.
            (Ids::Text(_), Ids::Int(numbers)) => {
                Ids::Text(numbers.iter().map(|id| id.to_string().into()).collect())
            }
            (_, ids) => ids,
        };
        let rows = (0..ids.len()).map(|at| known_own.find(&ids.get(at).text())).collect();
        Ok(Self { left_out: own.len() - ids.len(), ids, rows, side, given, unknown })
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows that the model has and does not have.
    fn known(&self) -> (usize, usize) {
        let replaced = self.rows.iter().flatten().count();
        (replaced, self.rows.len() - replaced)
    }

    /// The vectors of the rows against the model's other side.
    pub(super) fn solved(
        &self,
        (model, manifest): (&Model, &Manifest),
        algorithm: &dyn Algorithm,
        axis: Axis,
        stop: &AtomicBool,
    ) -> Result<Embedding> {
        let stored = Basis::recorded(manifest).stored(model, stop);
        let solved = stored.fold_in(algorithm, (axis, &self.side)).map_err(|e| self.named(e))?;
        match solved.is_finite() {
            true => Ok(solved),
            false => Err(Error::Diverged(format!("the vector of a {} is not finite", axis.name()))),
        }
    }

    /// The id in the place of a row's number.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Numeric { side, row, message } => {
                let id = row.parse().ok().filter(|&row: &usize| row < self.ids.len());
                let row = id.map_or(row, |row| self.ids.get(row).to_string());
                Error::Numeric { side, row, message }
            }
            other => other,
        }
    }
}

/// The model with the solved rows in place of earlier ones or among them, sorted by id.
pub(super) fn merged(mut model: Model, new: &New, solved: &Embedding, axis: Axis) -> Model {
    let (trained, embedding) = match axis {
        Axis::User => (&mut model.users, &mut model.factors.users),
        Axis::Item => (&mut model.items, &mut model.factors.items),
    };
    // Where each row of the result comes from: the model, or the solved ones.
    let mut from: Vec<(bool, usize)> = (0..trained.ids.len()).map(|row| (false, row)).collect();
    for (at, row) in new.rows.iter().enumerate() {
        match row {
            Some(row) => from[*row] = (true, at),
            None => from.push((true, at)),
        }
    }
    let id = |&(is_new, at): &(bool, usize)| match is_new {
        true => new.ids.get(at),
        false => trained.ids.get(at),
    };
    from.sort_by(|a, b| id(a).cmp(&id(b)));
    let ids = match &trained.ids {
        Ids::Int(_) => Ids::Int(
            from.iter()
                .filter_map(|f| match id(f) {
                    crate::ids::Id::Int(id) => Some(id),
                    crate::ids::Id::Text(_) => None,
                })
                .collect(),
        ),
        Ids::Text(_) => Ids::Text(from.iter().map(|f| id(f).text().into()).collect()),
    };
    let mut result = Embedding::zeros(from.len(), embedding.vectors.cols());
    let mut counts = Vec::with_capacity(from.len());
    for (to, &(is_new, at)) in from.iter().enumerate() {
        let source = if is_new { solved } else { &*embedding };
        result.vectors.row_mut(to).copy_from_slice(source.vectors.row(at));
        result.biases[to] = source.biases[at];
        counts.push(if is_new { new.side.count(at) as u32 } else { trained.counts[at] });
    }
    (*trained, *embedding) = (Trained { ids, counts }, result);
    model
}

/// The manifest of the new version without its outputs, and its identity.
pub(super) fn next_manifest(
    axis: Axis,
    model: &Model,
    manifest: &Manifest,
    new: &New,
    (operation, warnings): (&str, &mut Vec<String>),
) -> Result<(Manifest, String)> {
    let mut next = manifest.clone();
    let mut inputs = Vec::new();
    for report in &new.given.inputs {
        let print = report.file.as_deref().map(fingerprint).transpose()?;
        inputs.push(input_entry(report, print, "folded-in")?);
    }
    let reading = json::value(&new.given.reading);
    let (replaced, added) = new.known();
    let side = axis.name().to_owned();
    let mut parts = vec![manifest.model_version.clone(), side, operation.to_owned()];
    parts.extend(inputs.iter().map(|input| input.sha256.clone()));
    parts.push(reading.to_string());
    let version = digest(parts.iter().map(String::as_str))[..16].to_owned();
    next.folded.push(FoldedEntry {
        side: axis,
        model_version: manifest.model_version.clone(),
        folded_at: time::iso(now()),
        inputs,
        added,
        replaced,
        items: 0,
        changed_ratings: new.side.values.nnz(),
        n_ratings: new.side.values.nnz(),
    });
    let norm = mips_norm(model, manifest);
    if manifest.model.mips_norm.is_some_and(|earlier| earlier != norm) {
        warnings.push(
            "an item's norm is above that of all before: indexes of the layout mips must be built again"
                .into(),
        );
    }
    next.model.mips_norm = Some(norm);
    next.model_version.clone_from(&version);
    // It is no longer what a run published.
    next.run = None;
    next.tool = tool();
    next.finished_at = time::iso(now());
    if !next.flavors.is_empty() {
        warnings.push("exports of the model are not taken over: export the new version".into());
    }
    next.flavors.clear();
    Ok((next, version))
}

/// The ratings of all rows that were folded in, now or earlier.
pub(super) fn kept_ratings<'r>(
    axis: Axis,
    new: &'r New,
    model: &'r Model,
    earlier: Option<&'r Source>,
) -> FoldedRatings<'r> {
    let mut ratings = FoldedRatings::default();
    let mut push = |own: Id<'r>, other: Id<'r>, value: f32, weight: f32| {
        let (user, item) = if axis == Axis::User { (own, other) } else { (other, own) };
        ratings.users.push(user);
        ratings.items.push(item);
        ratings.values.push(value);
        ratings.weights.push(weight);
    };
    let others = if axis == Axis::User { &model.items.ids } else { &model.users.ids };
    for at in 0..new.ids.len() {
        let row = new.side.row(at);
        for (nth, &other) in row.indices.iter().enumerate() {
            let weight = row.weights.map_or(1.0, |weights| weights[nth]);
            push(new.ids.get(at), others.get(other as usize), row.values[nth], weight);
        }
    }
    if let Some(Source { cells, users, items }) = earlier {
        let again: HashSet<Id<'_>> = (0..new.ids.len()).map(|at| new.ids.get(at)).collect();
        for cell in cells {
            let (user, item) = (users.get(cell.user as usize), items.get(cell.item as usize));
            let (own, other) = if axis == Axis::User { (user, item) } else { (item, user) };
            if !again.contains(&own) {
                push(own, other, cell.value, cell.weight);
            }
        }
    }
    ratings
}

/// Writes the new version.
pub(super) fn write(
    (axis, from): (Axis, &Path),
    out: OutDir,
    (model, ratings): (&Model, &FoldedRatings<'_>),
    mut manifest: Manifest,
    version: &str,
    stop: &AtomicBool,
) -> Result<PathBuf> {
    let stamp = Stamp {
        model_version: version.to_owned(),
        trained_at: now(),
        global_mean: model.scale.mean,
    };
    let mut outputs: Vec<OutputEntry> = Vec::new();
    write_model(&out, "", model, &stamp, &mut outputs)?;
    let name = folded_file(axis);
    let integer = |ids: &Ids| matches!(ids, Ids::Int(_));
    let integer = (integer(&model.users.ids), integer(&model.items.ids));
    ratings.write(&out.file(name), &out.final_path(name), integer)?;
    outputs.push(output_entry(
        &out,
        name,
        ratings.values.len(),
        "user_id, item_id, rating, weight",
    )?);
    let rewritten: Vec<String> = outputs.iter().map(|entry| entry.path.clone()).collect();
    for entry in &manifest.outputs {
        if !rewritten.contains(&entry.path) && !entry.path.starts_with("exports/") {
            out.carry(from, entry)?;
            outputs.push(entry.clone());
        }
    }
    manifest.outputs = outputs;
    out.write(MANIFEST, &pretty(&manifest)?)?;
    out.publish(stop)
}
