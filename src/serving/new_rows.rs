//! Solves rows against a published model, and writes the new version of the model.

use std::collections::HashSet;
use std::path::PathBuf;

use super::export::mips_norm;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::Job;
use crate::load::{fingerprint, time};
use crate::model::{Embedding, Model, Trained};
use crate::pair::Pair;
use crate::ratings::{Cell, Ratings, Side};
use crate::replay::{Encoding, FileRatings, Numbers, Published, Source};
use crate::store::json::{self, digest, pretty};
use crate::store::{
    FoldedEntry, FoldedRatings, MANIFEST, Manifest, OutDir, OutputEntry, Stamp, folded_file,
};
use crate::system::now;
use crate::train::Algorithm;
use crate::training::{input_entry, output_entry, tool, write_model};

/// Rows to solve, with their ids.
pub(super) struct NewRows {
    axis: Axis,
    /// Ids of the rows that have ratings of known items (or users), in the order of the rows.
    ids: Ids,
    /// Positions of the rows in the model; `None` for rows that the model does not have.
    rows: Vec<Option<usize>>,
    pub side: Side,
    ratings: FileRatings,
    /// Number of ratings left out because their item (or user) is unknown.
    pub unknown: usize,
    /// Number of rows left out because all of their ratings are of unknown items (or users).
    pub left_out: usize,
}

impl NewRows {
    pub(super) fn number(model: &Model, axis: Axis, ratings: FileRatings) -> Result<Self> {
        let Source { cells, ids } = &ratings.source;
        let known = Pair::new(&model.users.ids, &model.items.ids);
        let (own, other) = (ids.of(axis), ids.of(axis.other()));
        let (known_own, known_other) = (*known.of(axis), *known.of(axis.other()));
        if let (Ids::Int(_), Ids::Text(texts)) = (known_own, own) {
            let strange = texts.iter().find(|text| text.parse::<i64>().is_err());
            let path =
                ratings.inputs.first().map_or("the new ratings".into(), |i| i.uri.clone().into());
            return Err(Error::Format {
                path,
                message: format!(
                    "the {} ids are text (\"{}\"), but those of the model are integers",
                    axis.name(),
                    strange.or(texts.first()).map_or("", |text| &**text)
                ),
            });
        }
        let columns = Numbers::new(known_other).of(other);
        let before = cells.len();
        // The rows to solve become the users of these cells, whether they are users or items.
        let mut cells = rows_of(axis, cells, &columns);
        cells.retain(|c| (c.item as usize) < known_other.len());
        let unknown = before - cells.len();
        if cells.is_empty() {
            let after = "leaving out ratings of unknown users or items".to_owned();
            return Err(Error::NothingLeft { after });
        }
        let ids = number_rows(own, &mut cells);
        let side = Ratings::from_sorted(ids.len(), known_other.len(), &cells).by_user;
        let ids = match (known_own, ids) {
            // The ids take the type of the model's ids. They stay in numeric order, which is not
            // the order of text.
            (Ids::Text(_), Ids::Int(numbers)) => {
                Ids::Text(numbers.iter().map(|id| id.to_string().into()).collect())
            }
            (_, ids) => ids,
        };
        let rows = (0..ids.len()).map(|at| known_own.find(&ids.get(at).text())).collect();
        let left_out = own.len() - ids.len();
        Ok(Self { axis, ids, rows, side, ratings, unknown, left_out })
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number of rows that the model has.
    pub(super) fn replaced(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    /// Number of rows that the model does not have.
    pub(super) fn added(&self) -> usize {
        self.rows.len() - self.replaced()
    }

    /// Solves the vectors of the rows against the model's other side.
    pub(super) fn solved(
        &self,
        model: &Model,
        manifest: &Manifest,
        algorithm: &dyn Algorithm,
        job: &Job<'_>,
    ) -> Result<Embedding> {
        let stored = Encoding::recorded(manifest).stored(model, job);
        let solved = stored.fold_in(algorithm, self.axis, &self.side);
        let solved = solved.map_err(|error| self.named(error))?;
        match solved.is_finite() {
            true => Ok(solved),
            false => {
                let message = format!("the vector of a {} is not finite", self.axis.name());
                Err(Error::Diverged(message))
            }
        }
    }

    /// Adds the id of the row to an error about a row.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Numeric { axis, position, id: None, message } => {
                let known = position < self.ids.len();
                let id = known.then(|| self.ids.get(position).to_string());
                Error::Numeric { axis, position, id, message }
            }
            other => other,
        }
    }
}

/// Returns the cells of a side, sorted: its rows become users, its columns become items.
///
/// `columns` renumbers the columns.
fn rows_of(axis: Axis, cells: &[Cell], columns: &[u32]) -> Vec<Cell> {
    let row = |cell: &Cell| {
        let (own, other) = match axis {
            Axis::User => (cell.user, cell.item),
            Axis::Item => (cell.item, cell.user),
        };
        Cell { user: own, item: columns[other as usize], ..*cell }
    };
    let mut cells: Vec<Cell> = cells.iter().map(row).collect();
    cells.sort_unstable_by_key(|c| (c.user, c.item));
    cells
}

/// Numbers the rows that have cells from 0, and returns their ids.
fn number_rows(ids: &Ids, cells: &mut [Cell]) -> Ids {
    let mut used = vec![false; ids.len()];
    for cell in cells.iter() {
        used[cell.user as usize] = true;
    }
    let mut next = 0;
    let number = |used: &bool| {
        next += u32::from(*used);
        next.saturating_sub(1)
    };
    let numbers: Vec<u32> = used.iter().map(number).collect();
    for cell in cells {
        cell.user = numbers[cell.user as usize];
    }
    ids.select(|row| used[row])
}

/// Returns the model with the solved rows.
///
/// They replace earlier rows or are added to them. The rows are sorted by id.
pub(super) fn merged(mut model: Model, new: &NewRows, solved: &Embedding) -> Model {
    let (trained, embedding) = match new.axis {
        Axis::User => (&mut model.users, &mut model.factors.users),
        Axis::Item => (&mut model.items, &mut model.factors.items),
    };
    // The source of each row of the result: whether it is a solved row, and its position there or
    // in the model.
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
                    Id::Int(id) => Some(id),
                    Id::Text(_) => None,
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

/// Returns the manifest of the new version. It still lists the outputs of the earlier version.
pub(super) fn next_version(
    model: &Model,
    manifest: &Manifest,
    new: &NewRows,
    operation: &str,
    warnings: &mut Vec<String>,
) -> Result<Manifest> {
    let mut next = manifest.clone();
    let mut inputs = Vec::new();
    for report in &new.ratings.inputs {
        let print = report.file.as_deref().map(fingerprint).transpose()?;
        inputs.push(input_entry(report, print, "folded-in")?);
    }
    let reading = json::value(&new.ratings.reading);
    let side = new.axis.name().to_owned();
    let mut parts = vec![manifest.model_version.clone(), side, operation.to_owned()];
    parts.extend(inputs.iter().map(|input| input.sha256.clone()));
    parts.push(reading.to_string());
    let version = digest(parts.iter().map(String::as_str))[..16].to_owned();
    next.folded.push(FoldedEntry {
        side: new.axis,
        model_version: manifest.model_version.clone(),
        folded_at: time::iso(now()),
        inputs,
        added: new.added(),
        replaced: new.replaced(),
        items: 0,
        changed_ratings: new.side.values.nnz(),
        n_ratings: new.side.values.nnz(),
    });
    let norm = mips_norm(model, manifest);
    if manifest.model.mips_norm.is_some_and(|earlier| earlier != norm) {
        warnings.push(
            "the norm of an item is above all earlier norms: indexes of the layout mips must be \
             built again"
                .into(),
        );
    }
    next.model.mips_norm = Some(norm);
    next.model_version = version;
    // The new version is not a run's published model.
    next.run = None;
    next.tool = tool();
    next.finished_at = time::iso(now());
    if !next.flavors.is_empty() {
        warnings.push("exports of the model are not carried over: export the new version".into());
    }
    next.flavors.clear();
    Ok(next)
}

/// Returns the ratings of all rows that were folded in, now or earlier.
pub(super) fn kept_ratings<'r>(
    new: &'r NewRows,
    model: &'r Model,
    earlier: Option<&'r Source>,
) -> FoldedRatings<'r> {
    let (axis, mut ratings) = (new.axis, FoldedRatings::default());
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
    if let Some(Source { cells, ids }) = earlier {
        let again: HashSet<Id<'_>> = (0..new.ids.len()).map(|at| new.ids.get(at)).collect();
        for cell in cells {
            let (user, item) =
                (ids.users.get(cell.user as usize), ids.items.get(cell.item as usize));
            let (own, other) = if axis == Axis::User { (user, item) } else { (item, user) };
            if !again.contains(&own) {
                push(own, other, cell.value, cell.weight);
            }
        }
    }
    ratings
}

/// Writes the new version. Unchanged files of the earlier version are carried over.
pub(super) fn write(
    from: &Published,
    out: OutDir,
    model: &Model,
    axis: Axis,
    ratings: &FoldedRatings<'_>,
    mut manifest: Manifest,
    job: &Job<'_>,
) -> Result<PathBuf> {
    let stamp = Stamp {
        model_version: manifest.model_version.clone(),
        trained_at: now(),
        global_mean: model.scale.mean,
    };
    let mut outputs: Vec<OutputEntry> = Vec::new();
    write_model(&out, "", model, &stamp, &mut outputs)?;
    let name = folded_file(axis);
    let integer = |ids: &Ids| matches!(ids, Ids::Int(_));
    let integer = Pair::new(integer(&model.users.ids), integer(&model.items.ids));
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
            out.carry(&from.path, entry)?;
            outputs.push(entry.clone());
        }
    }
    manifest.outputs = outputs;
    out.write(MANIFEST, &pretty(&manifest)?)?;
    out.publish(job.stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(user: u32, item: u32, value: f32) -> Cell {
        Cell { user, item, value, weight: 1.0, time: 0 }
    }

    #[test]
    fn rows_of_either_side_become_users_of_the_cells() {
        let cells = [cell(0, 1, 5.0), cell(1, 0, 4.0)];
        let columns = [7, 3];
        assert_eq!(rows_of(Axis::User, &cells, &columns), [cell(0, 3, 5.0), cell(1, 7, 4.0)]);
        assert_eq!(rows_of(Axis::Item, &cells, &columns), [cell(0, 3, 4.0), cell(1, 7, 5.0)]);
    }

    #[test]
    fn rows_without_cells_lose_their_number() {
        let ids = Ids::Int(vec![10, 20, 30, 40]);
        let mut cells = [cell(1, 0, 1.0), cell(1, 2, 1.0), cell(3, 0, 1.0)];
        assert_eq!(number_rows(&ids, &mut cells), Ids::Int(vec![20, 40]));
        assert_eq!(cells.map(|c| c.user), [0, 0, 1]);
        let mut first = [cell(0, 0, 1.0)];
        assert_eq!(number_rows(&ids, &mut first), Ids::Int(vec![10]));
        assert_eq!(first[0].user, 0);
    }
}
