//! New ratings for a stored model, without training it again: only the rows that they touch are solved,
//! each from its full history.
//!
//! ```text
//! touched users | items as they are → touched items | users so far → touched users | items so far
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::basis::Basis;
use super::dataset::all_cells;
use super::fold_in::{FoldInConfig, New, kept_ratings, merged, next_manifest, write};
use super::given::{Given, read_given};
use super::history::replace;
use super::reading::LoadConfig;
use super::record::{Place, Source, fitted_on, recorded, replay, replay_folded, solves_rows};
use super::{Observer, TrainConfig, with_threads};
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::model::Model;
use crate::param::Threads;
use crate::ratings::Cell;
use crate::split::Split;
use crate::store::{DirKind, Manifest, OutDir, read_model};
use crate::train::Algorithm;

/// What is added to a model, and where the new version goes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct UpdateConfig {
    /// Model directory.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Complete ratings of every user who has new ones; with --add the new ones alone.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model; with --force the model's own.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// NEW_RATINGS holds only what is new: what was known of its users stays.
    #[cfg_attr(feature = "cli", arg(long))]
    pub add: bool,
    /// The ratings that the model was trained on, where they have moved.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub seen: Vec<String>,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; as the training's where nothing is said.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Updated {
    /// The new version.
    pub output: PathBuf,
    /// Its identity.
    pub model_version: String,
    /// Users solved, and those of them that the model did not have.
    pub users: usize,
    /// See `users`.
    pub new_users: usize,
    /// Items solved, and those of them that the model did not have.
    pub items: usize,
    /// See `items`.
    pub new_items: usize,
    /// Ratings that are new or other than before.
    pub changed_ratings: usize,
    /// Ratings left out because they are held out to measure the model.
    pub held_out: usize,
    /// Share of the ratings that changed since the training, all updates together.
    pub changed_share: f64,
    /// Why the model should be trained again, where it should.
    pub retrain: Option<String>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
    /// Seconds: reading all ratings, solving, writing.
    pub durations_s: BTreeMap<&'static str, f64>,
}

/// Shares above which a model should be trained again: of ratings that changed, of items that are new.
const RETRAIN: (f64, f64) = (0.05, 0.1);

/// Solves the touched rows and writes the new version.
///
/// # Errors
/// [`Error::Usage`] for algorithms without exact solves, [`Error::Model`] where the training ratings are not
/// what they were, those of reading and writing.
pub fn update(
    config: &UpdateConfig,
    stop: &AtomicBool,
    observer: &Observer<'_>,
) -> Result<Updated> {
    let out = OutDir::create(&config.output, config.force, DirKind::Model)?.hold();
    let (model, manifest) = read_model(&config.model)?;
    solves_rows(&manifest, "update")?;
    with_threads(config.threads.map(|t| t.get() as usize), || {
        let settings = recorded(&manifest)?;
        let (since, mut warnings) = (Instant::now(), Vec::new());
        let change = Change::read(config, &manifest, &settings, (stop, observer), &mut warnings)?;
        let parse = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let solver = Solver { manifest: &manifest, algorithm: &*settings.algorithm(None), stop };
        let before = (model.users.ids.len(), model.items.ids.len());
        let users = |model: &Model| New::number(model, Axis::User, change.given(&change.users));
        let mut model = model;
        // Users who rated nothing that the model knows come after the items.
        match users(&model) {
            Ok(new) => model = solver.solve(model, &new, Axis::User)?,
            Err(Error::NothingLeft { .. }) => {}
            Err(error) => return Err(error),
        }
        let items = New::number(&model, Axis::Item, change.given(&change.items))?;
        let solved_items = items.len();
        model = solver.solve(model, &items, Axis::Item)?;
        let new = users(&model)?;
        let model = solver.solve(model, &new, Axis::User)?;
        let solve = since.elapsed().as_secs_f64();

        let since = Instant::now();
        let new_items = model.items.ids.len() - before.1;
        let new_users = model.users.ids.len() - before.0;
        let fold_in = config.fold_in();
        let (mut next, version) = next_manifest(&fold_in, &model, &manifest, &new, &mut warnings)?;
        if let Some(entry) = next.folded.last_mut() {
            (entry.added, entry.replaced) = (new_users, new.len() - new_users);
            (entry.items, entry.changed_ratings) = (solved_items, change.changed);
        }
        let changed: usize = next.folded.iter().map(|entry| entry.changed_ratings).sum();
        let earlier = replay_folded(Axis::User, (&config.model, &manifest), &settings, stop)?;
        let ratings = kept_ratings(Axis::User, &new, &model, earlier.as_ref());
        let changed_share = changed as f64 / manifest.data.n_ratings.max(1) as f64;
        let retrain = due(changed_share, (new_items, before.1));
        warnings.extend(retrain.clone());
        let output = write(&fold_in, out, (&model, &ratings), next, &version)?;
        let write = since.elapsed().as_secs_f64();
        Ok(Updated {
            output,
            model_version: version,
            users: new.len(),
            new_users,
            items: solved_items,
            new_items,
            changed_ratings: change.changed,
            held_out: change.held_out,
            changed_share,
            retrain,
            warnings,
            durations_s: BTreeMap::from([("parse", parse), ("solve", solve), ("write", write)]),
        })
    })
}

/// Why a model should be trained again, where it should.
fn due(changed: f64, (new_items, items): (usize, usize)) -> Option<String> {
    let share = new_items as f64 / items.max(1) as f64;
    if changed > RETRAIN.0 {
        return Some(format!(
            "a full training is due: {:.1} % of the ratings changed since the last one, and rows that no \
             new rating touches are as they were",
            changed * 100.0
        ));
    }
    (share > RETRAIN.1).then(|| {
        format!("a full training is due: {new_items} items are new beside {items} of the training")
    })
}

impl UpdateConfig {
    /// As far as it is a fold-in of users.
    fn fold_in(&self) -> FoldInConfig {
        FoldInConfig {
            model: self.model.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            force: self.force,
            side: Axis::User,
            threads: self.threads,
            load: self.load.clone(),
        }
    }
}

/// Solves rows against a model.
struct Solver<'a> {
    manifest: &'a Manifest,
    algorithm: &'a dyn Algorithm,
    stop: &'a AtomicBool,
}

impl Solver<'_> {
    fn solve(&self, model: Model, new: &New, axis: Axis) -> Result<Model> {
        let stored = Basis::recorded(self.manifest).stored(&model, self.stop);
        let solved = stored.fold_in(self.algorithm, (axis, &new.side));
        let solved = solved.map_err(|e| new.named(e))?;
        if !solved.is_finite() {
            return Err(Error::Diverged("a row that was updated is not finite".into()));
        }
        Ok(merged(model, new, &solved, axis))
    }
}

/// All ratings after the update, in positions of all ids, and which rows they touch.
struct Change {
    users_ids: Ids,
    items_ids: Ids,
    /// All ratings of the touched users, and of the touched items.
    users: Vec<Cell>,
    items: Vec<Cell>,
    changed: usize,
    held_out: usize,
    /// How the new ratings were read.
    read: Given,
}

impl Change {
    fn read(
        config: &UpdateConfig,
        manifest: &Manifest,
        settings: &TrainConfig,
        (stop, observer): (&AtomicBool, &Observer<'_>),
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let place = match config.seen.is_empty() {
            true => Place::Recorded,
            false => Place::Moved(&config.seen),
        };
        let data = replay(settings, manifest, &place, stop, observer, warnings)?;
        let mut read = read_given(&config.input, &config.load, settings, stop, warnings)?;
        let refit = manifest.model.refit;
        let (given, held_out) = match refit {
            true => (std::mem::take(&mut read.source), 0),
            false => left_out(settings, std::mem::take(&mut read.source), &data)?,
        };
        let base = match refit {
            true => all_cells(&data.parts, settings.load.duplicates()),
            false => fitted_on(settings, &data.parts, &data),
        };
        let mut folded = Vec::new();
        for axis in [Axis::User, Axis::Item] {
            let source = replay_folded(axis, (&config.model, manifest), settings, stop)?;
            folded.extend(source.map(|source| (axis, source)));
        }
        let sources = folded.iter().map(|(_, source)| (&source.users, &source.items));
        let (mut all_users, mut all_items) = (vec![&data.users], vec![&data.items]);
        for (users, items) in sources.chain([(&given.users, &given.items)]) {
            all_users.push(users);
            all_items.push(items);
        }
        let (users_ids, items_ids) = (union(&all_users)?, union(&all_items)?);
        let place = |cells: &[Cell], users: &Ids, items: &Ids| {
            let (u, i) = (positions(users, &users_ids), positions(items, &items_ids));
            super::record::translate(cells, &u, &i)
        };
        let mut before = place(&base, &data.users, &data.items);
        drop(base);
        for (axis, source) in &folded {
            replace(&mut before, &place(&source.cells, &source.users, &source.items), *axis);
        }
        let given = place(&given.cells, &given.users, &given.items);
        let touched: BTreeSet<u32> = given.iter().map(|cell| cell.user).collect();
        let mut after = before.clone();
        match config.add {
            true => {
                let mut cells: HashMap<(u32, u32), Cell> = HashMap::with_capacity(given.len());
                cells.extend(given.iter().map(|cell| ((cell.user, cell.item), *cell)));
                for cell in &mut after {
                    if let Some(new) = cells.remove(&(cell.user, cell.item)) {
                        *cell = new;
                    }
                }
                after.extend(cells.into_values());
                after.sort_unstable_by_key(|cell| (cell.user, cell.item));
            }
            false => replace(&mut after, &given, Axis::User),
        }
        let (items, changed) = touched_items(&before, &after, &touched);
        drop(before);
        let of = |keep: &dyn Fn(&Cell) -> bool| after.iter().filter(|c| keep(c)).copied().collect();
        Ok(Self {
            users: of(&|cell| touched.contains(&cell.user)),
            items: of(&|cell| items.contains(&cell.item)),
            changed,
            held_out,
            users_ids,
            items_ids,
            read,
        })
    }

    /// Cells as a fold-in is given them.
    fn given(&self, cells: &[Cell]) -> Given {
        let source = Source {
            cells: cells.to_vec(),
            users: self.users_ids.clone(),
            items: self.items_ids.clone(),
        };
        let (inputs, reading) = (self.read.inputs.clone(), self.read.reading.clone());
        Given { source, inputs, reading }
    }
}

/// New ratings without those that are held out to measure the model, and how many these are.
fn left_out(
    settings: &TrainConfig,
    mut given: Source,
    data: &super::dataset::Dataset,
) -> Result<(Source, usize)> {
    let before = given.cells.len();
    let rule = settings.split();
    if matches!(rule, Split::Hash { .. } | Split::Time { .. } | Split::User { .. }) {
        // What these hold out does not depend on other ratings.
        given.cells = rule.apply(given.cells, &given.users, &given.items).training;
    } else {
        let held: BTreeSet<(Id<'_>, Id<'_>)> = data
            .parts
            .holdout
            .iter()
            .map(|c| (data.users.get(c.user as usize), data.items.get(c.item as usize)))
            .collect();
        let Source { cells, users, items } = &mut given;
        cells.retain(|c| !held.contains(&(users.get(c.user as usize), items.get(c.item as usize))));
    }
    if given.cells.is_empty() {
        let after = "the ratings that are held out were left out".to_owned();
        return Err(Error::NothingLeft { after });
    }
    let held_out = before - given.cells.len();
    Ok((given, held_out))
}

/// Items of which a rating by the touched users is new, gone or another one; and how many these are.
fn touched_items(before: &[Cell], after: &[Cell], users: &BTreeSet<u32>) -> (BTreeSet<u32>, usize) {
    let of = |cells: &[Cell]| -> HashMap<(u32, u32), (f32, f32)> {
        let own = cells.iter().filter(|cell| users.contains(&cell.user));
        own.map(|cell| ((cell.user, cell.item), (cell.value, cell.weight))).collect()
    };
    let (then, now) = (of(before), of(after));
    let new =
        now.iter().filter(|(cell, value)| then.get(cell) != Some(value)).map(|(cell, _)| cell);
    let gone = then.keys().filter(|cell| !now.contains_key(cell));
    let (mut items, mut changed) = (BTreeSet::new(), 0);
    for (_, item) in new.chain(gone) {
        items.insert(*item);
        changed += 1;
    }
    (items, changed)
}

/// All ids of several sides, of the kind of the first.
fn union(sides: &[&Ids]) -> Result<Ids> {
    let all = || sides.iter().flat_map(|ids| (0..ids.len()).map(|at| ids.get(at)));
    if let Ids::Text(_) = sides[0] {
        let texts: BTreeSet<Box<str>> = all().map(|id| id.text().into()).collect();
        return Ok(Ids::Text(texts.into_iter().collect()));
    }
    let number = |id: Id<'_>| match id {
        Id::Int(id) => Ok(id),
        Id::Text(id) => id.parse::<i64>().map_err(|_| {
            Error::Usage(format!("\"{id}\" is no integer, as all ids of the model are"))
        }),
    };
    let numbers = all().map(number).collect::<Result<BTreeSet<i64>>>()?;
    Ok(Ids::Int(numbers.into_iter().collect()))
}

/// The positions of ids among all.
fn positions(ids: &Ids, among: &Ids) -> Vec<u32> {
    let find = |at: usize| match ids.get(at) {
        Id::Int(id) => among.find_int(id),
        Id::Text(id) => among.find(id),
    };
    // All of them are there.
    (0..ids.len()).map(|at| find(at).unwrap_or_default() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_touches_items() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let before = [cell(0, 0, 1.0), cell(0, 1, 2.0), cell(0, 2, 3.0), cell(1, 3, 4.0)];
        let after = [cell(0, 0, 1.0), cell(0, 1, 5.0), cell(0, 4, 3.0), cell(1, 3, 9.0)];
        let (items, changed) = touched_items(&before, &after, &BTreeSet::from([0]));
        assert_eq!((items, changed), (BTreeSet::from([1, 2, 4]), 3));
    }

    #[test]
    fn ids_of_all_sides_are_in_order() {
        let (a, b) = (Ids::Int(vec![1, 10]), Ids::Text(vec!["10".into(), "2".into()]));
        let all = union(&[&a, &b]).expect("integers");
        assert_eq!(all, Ids::Int(vec![1, 2, 10]));
        assert_eq!(positions(&b, &all), [2, 1]);
        assert_eq!(union(&[&b, &a]).map(|ids| ids.len()).ok(), Some(3));
        assert!(union(&[&a, &Ids::Text(vec!["x".into()])]).is_err());
    }

    #[test]
    fn a_training_is_due_when_much_has_changed() {
        assert!(due(0.01, (5, 100)).is_none());
        assert!(due(0.06, (0, 100)).is_some_and(|why| why.contains("6.0 % of the ratings")));
        assert!(due(0.0, (20, 100)).is_some_and(|why| why.contains("20 items are new")));
    }
}
