//! What new ratings change: all ratings before and after, and the rows that they touch.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;

use super::super::TrainConfig;
use super::super::dataset::{Dataset, all_cells};
use super::super::given::{Given, read_given};
use super::super::history::{filters, replace};
use super::super::record::{Place, Source, fitted_on, replay, replay_folded, translate};
use super::UpdateConfig;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::Observer;
use crate::load::prepare::merge;
use crate::model::Model;
use crate::ratings::Cell;
use crate::split::Split;
use crate::store::Manifest;

/// All ratings after the update, in positions of all ids, and which rows they touch.
pub(super) struct Change {
    users_ids: Ids,
    items_ids: Ids,
    /// All ratings of the touched users, and of the touched items.
    pub users: Vec<Cell>,
    pub items: Vec<Cell>,
    pub changed: usize,
    pub held_out: usize,
    /// How the new ratings were read.
    read: Given,
}

impl Change {
    pub(super) fn read(
        config: &UpdateConfig,
        (model, manifest): (&Model, &Manifest),
        settings: &TrainConfig,
        (stop, observer): (&AtomicBool, &Observer<'_>),
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let place = match config.seen.is_empty() {
            true => Place::Recorded,
            false => Place::Moved(&config.seen),
        };
        let data = replay(settings, (&config.model, manifest), &place, stop, observer, warnings)?;
        let mut read = read_given(&config.input, &config.load, settings, stop, warnings)?;
        if filters(&settings.load) {
            // Of what the training left out no history is complete.
            let unknown = known_only(&mut read.source, model)?;
            if unknown > 0 {
                warnings.push(format!(
                    "{unknown} ratings are of users or items that the model does not have, and were left out: it was \
                     trained without some ratings (--since, --until, minimum counts), so their history is not complete"
                ));
            }
        }
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
            translate(cells, &u, &i)
        };
        let mut before = place(&base, &data.users, &data.items);
        drop(base);
        for (axis, source) in &folded {
            replace(&mut before, &place(&source.cells, &source.users, &source.items), *axis);
        }
        let given = place(&given.cells, &given.users, &given.items);
        let touched: BTreeSet<u32> = given.iter().map(|cell| cell.user).collect();
        let mut after = before.clone();
        // Without times in the new file, order says what is later.
        let timed = given.iter().any(|cell| cell.time != 0);
        let ordered = |cell: &Cell| if timed { *cell } else { Cell { time: 0, ..*cell } };
        match config.add {
            true => {
                let mut cells: HashMap<(u32, u32), Cell> = HashMap::with_capacity(given.len());
                cells.extend(given.iter().map(|cell| ((cell.user, cell.item), *cell)));
                for cell in &mut after {
                    if let Some(new) = cells.remove(&(cell.user, cell.item)) {
                        *cell = merge(&[ordered(cell), new], settings.load.duplicates());
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
    pub(super) fn given(&self, cells: &[Cell]) -> Given {
        let source = Source {
            cells: cells.to_vec(),
            users: self.users_ids.clone(),
            items: self.items_ids.clone(),
        };
        let (inputs, reading) = (self.read.inputs.clone(), self.read.reading.clone());
        Given { source, inputs, reading }
    }
}

/// Takes out the ratings of users and items that the model does not have; how many these are.
fn known_only(given: &mut Source, model: &Model) -> Result<usize> {
    let known = |ids: &Ids, among: &Ids| -> Vec<bool> {
        ids.rows_among(among).iter().map(Option::is_some).collect()
    };
    let users = known(&given.users, &model.users.ids);
    let items = known(&given.items, &model.items.ids);
    let before = given.cells.len();
    given.cells.retain(|cell| users[cell.user as usize] && items[cell.item as usize]);
    if given.cells.is_empty() {
        let after = "what the model does not know was left out".to_owned();
        return Err(Error::NothingLeft { after });
    }
    Ok(before - given.cells.len())
}

/// New ratings without those that are held out to measure the model, and how many these are.
fn left_out(settings: &TrainConfig, mut given: Source, data: &Dataset) -> Result<(Source, usize)> {
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

/// The positions of ids among all, where each of them is.
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
}
