//! Determines which ratings an update changes, and which users and items they touch.

use std::collections::{BTreeSet, HashMap};

use super::config::UpdateConfig;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::Job;
use crate::load::prepare::{Duplicates, merge};
use crate::model::Model;
use crate::pair::Pair;
use crate::ratings::Cell;
use crate::replay::{
    FileRatings, Place, Published, Source, filters, published_on, read_files, replace, replay,
    replay_folded, translate,
};
use crate::settings::Plan;
use crate::split::Split;
use crate::training::Dataset;

/// The ratings of the touched rows after the update, with positions in the ids of all ratings.
pub(super) struct Change {
    ids: Pair<Ids>,
    /// All ratings of the touched users.
    pub users: Vec<Cell>,
    /// All ratings of the touched items.
    pub items: Vec<Cell>,
    /// Number of ratings that are new, changed or removed.
    pub changed: usize,
    /// Number of new ratings left out because they are held out to measure the model.
    pub held_out: usize,
    /// How the new ratings were read.
    read: FileRatings,
}

impl Change {
    pub(super) fn read(
        config: &UpdateConfig,
        model: &Model,
        published: &Published,
        plan: &Plan,
        job: &Job<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let data = replay(plan, published, Place::of(&config.seen), job, warnings)?;
        let mut read = read_files(&config.input, &config.load, plan, job, warnings)?;
        if published.manifest.model.scores == "ratings" {
            warnings.extend(read.outside(&published.manifest.data));
        }
        if filters(&plan.record.load) {
            // The history of rows that the training left out is incomplete.
            let unknown = known_only(&mut read.source, model)?;
            if unknown > 0 {
                warnings.push(format!(
                    "{unknown} ratings of unknown users or items were left out: the model was \
                     trained without some ratings (--since, --until, minimum counts), so the \
                     history of these users and items is incomplete"
                ));
            }
        }
        let new = std::mem::take(&mut read.source);
        let (new, held_out) = match published.manifest.model.refit {
            true => (new, 0),
            false => left_out(&plan.reading.split, new, &data)?,
        };
        let base = published_on(plan, &published.manifest, &data);
        let mut folded = Vec::new();
        for axis in Axis::BOTH {
            let source = replay_folded(axis, published, plan, job)?;
            folded.extend(source.map(|source| (axis, source)));
        }
        let sources = folded.iter().map(|(_, source)| &source.ids).chain([&new.ids]);
        let ids = union([&*data.ids].into_iter().chain(sources))?;
        let place = |cells: &[Cell], own: &Pair<Ids>| {
            let positions =
                Pair::new(positions(&own.users, &ids.users), positions(&own.items, &ids.items));
            translate(cells, &positions)
        };
        let mut before = place(&base, &data.ids);
        drop(base);
        for (axis, source) in &folded {
            replace(&mut before, &place(&source.cells, &source.ids), *axis);
        }
        let new = place(&new.cells, &new.ids);
        let touched: BTreeSet<u32> = new.iter().map(|cell| cell.user).collect();
        let mut after = before.clone();
        match config.add {
            true => add(&mut after, &new, plan.reading.preparation.duplicates),
            false => replace(&mut after, &new, Axis::User),
        }
        let TouchedItems { items, changed } = touched_items(&before, &after, &touched);
        drop(before);
        let of = |keep: &dyn Fn(&Cell) -> bool| after.iter().filter(|c| keep(c)).copied().collect();
        Ok(Self {
            users: of(&|cell| touched.contains(&cell.user)),
            items: of(&|cell| items.contains(&cell.item)),
            changed,
            held_out,
            ids,
            read,
        })
    }

    /// Returns cells in the form that a fold-in takes.
    pub(super) fn ratings_of(&self, cells: &[Cell]) -> FileRatings {
        let source = Source { cells: cells.to_vec(), ids: self.ids.clone() };
        let (inputs, reading) = (self.read.inputs.clone(), self.read.reading.clone());
        FileRatings { source, inputs, reading }
    }
}

/// Removes the ratings of unknown users and items, and returns their number.
fn known_only(new: &mut Source, model: &Model) -> Result<usize> {
    let known = |ids: &Ids, among: &Ids| -> Vec<bool> {
        ids.rows_among(among).iter().map(Option::is_some).collect()
    };
    let users = known(&new.ids.users, &model.users.ids);
    let items = known(&new.ids.items, &model.items.ids);
    let before = new.cells.len();
    new.cells.retain(|cell| users[cell.user as usize] && items[cell.item as usize]);
    if new.cells.is_empty() {
        let after = "leaving out ratings of unknown users or items".to_owned();
        return Err(Error::NothingLeft { after });
    }
    Ok(before - new.cells.len())
}

/// Adds new cells to the known cells.
///
/// A cell in both sets is resolved like a duplicate. New cells without times count as later than
/// the known cells.
fn add(known: &mut Vec<Cell>, new: &[Cell], duplicates: Duplicates) {
    let timed = new.iter().any(|cell| cell.time != 0);
    let ordered = |cell: &Cell| if timed { *cell } else { Cell { time: 0, ..*cell } };
    let mut cells: HashMap<(u32, u32), Cell> = HashMap::with_capacity(new.len());
    cells.extend(new.iter().map(|cell| ((cell.user, cell.item), *cell)));
    for cell in known.iter_mut() {
        if let Some(new) = cells.remove(&(cell.user, cell.item)) {
            *cell = merge(&[ordered(cell), new], duplicates);
        }
    }
    known.extend(cells.into_values());
    known.sort_unstable_by_key(|cell| (cell.user, cell.item));
}

/// Removes the new ratings that are held out to measure the model, and returns their number as
/// well.
fn left_out(rule: &Split, mut new: Source, data: &Dataset) -> Result<(Source, usize)> {
    let before = new.cells.len();
    if matches!(rule, Split::Hash { .. } | Split::Time { .. } | Split::User { .. }) {
        // These rules decide about a rating without looking at other ratings.
        new.cells = rule.apply(new.cells, &new.ids.users, &new.ids.items).training;
    } else {
        let ids = &data.ids;
        let held: BTreeSet<(Id<'_>, Id<'_>)> = data
            .parts
            .holdout
            .iter()
            .map(|c| (ids.users.get(c.user as usize), ids.items.get(c.item as usize)))
            .collect();
        let Source { cells, ids } = &mut new;
        cells.retain(|c| {
            let cell = (ids.users.get(c.user as usize), ids.items.get(c.item as usize));
            !held.contains(&cell)
        });
    }
    if new.cells.is_empty() {
        let after = "leaving out the held-out ratings".to_owned();
        return Err(Error::NothingLeft { after });
    }
    let held_out = before - new.cells.len();
    Ok((new, held_out))
}

/// The changes in the ratings of the touched users.
#[derive(Debug, PartialEq, Eq)]
struct TouchedItems {
    /// Items with a rating that is new, changed or removed.
    items: BTreeSet<u32>,
    /// The number of such ratings.
    changed: usize,
}

fn touched_items(before: &[Cell], after: &[Cell], users: &BTreeSet<u32>) -> TouchedItems {
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
    TouchedItems { items, changed }
}

/// Merges the ids of several sources. The result has the id type of the first source.
fn union<'i>(sources: impl Iterator<Item = &'i Pair<Ids>>) -> Result<Pair<Ids>> {
    let (users, items): (Vec<&Ids>, Vec<&Ids>) =
        sources.map(|ids| (&ids.users, &ids.items)).unzip();
    Pair::new(union_of(&users), union_of(&items)).transpose()
}

fn union_of(sides: &[&Ids]) -> Result<Ids> {
    let all = || sides.iter().flat_map(|ids| (0..ids.len()).map(|at| ids.get(at)));
    if let Ids::Text(_) = sides[0] {
        let texts: BTreeSet<Box<str>> = all().map(|id| id.text().into()).collect();
        return Ok(Ids::Text(texts.into_iter().collect()));
    }
    let number = |id: Id<'_>| match id {
        Id::Int(id) => Ok(id),
        Id::Text(id) => id.parse::<i64>().map_err(|_| {
            Error::Usage(format!("\"{id}\" is not an integer, but all ids of the model are"))
        }),
    };
    let numbers = all().map(number).collect::<Result<BTreeSet<i64>>>()?;
    Ok(Ids::Int(numbers.into_iter().collect()))
}

/// Returns the positions of ids among all ids, which must contain each of them.
fn positions(ids: &Ids, among: &Ids) -> Vec<u32> {
    ids.rows_among(among).into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_touches_items() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let before = [cell(0, 0, 1.0), cell(0, 1, 2.0), cell(0, 2, 3.0), cell(1, 3, 4.0)];
        let after = [cell(0, 0, 1.0), cell(0, 1, 5.0), cell(0, 4, 3.0), cell(1, 3, 9.0)];
        let touched = touched_items(&before, &after, &BTreeSet::from([0]));
        let items = BTreeSet::from([1, 2, 4]);
        assert_eq!(touched, TouchedItems { items, changed: 3 });
    }

    #[test]
    fn ids_of_all_sides_are_in_order() {
        let (a, b) = (Ids::Int(vec![1, 10]), Ids::Text(vec!["10".into(), "2".into()]));
        let all = union_of(&[&a, &b]).expect("integers");
        assert_eq!(all, Ids::Int(vec![1, 2, 10]));
        assert_eq!(positions(&b, &all), [2, 1]);
        assert_eq!(union_of(&[&b, &a]).map(|ids| ids.len()).ok(), Some(3));
        assert!(union_of(&[&a, &Ids::Text(vec!["x".into()])]).is_err());
    }

    #[test]
    fn added_ratings_are_later_unless_they_have_times() {
        let cell = |item, value, time| Cell { user: 0, item, value, weight: 1.0, time };
        let known = [cell(1, 1.0, 50), cell(2, 2.0, 50)];
        let mut untimed = known.to_vec();
        add(&mut untimed, &[cell(2, 5.0, 0), cell(0, 3.0, 0)], Duplicates::Last);
        let values = |cells: &[Cell]| cells.iter().map(|c| (c.item, c.value)).collect::<Vec<_>>();
        assert_eq!(values(&untimed), [(0, 3.0), (1, 1.0), (2, 5.0)]);
        let mut earlier = known.to_vec();
        add(&mut earlier, &[cell(2, 5.0, 40)], Duplicates::Last);
        assert_eq!(values(&earlier), [(1, 1.0), (2, 2.0)]);
    }
}
