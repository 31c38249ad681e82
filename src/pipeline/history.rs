//! What users have rated, in positions of a stored model: so that it is not recommended, and to explain.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::TrainConfig;
use super::dataset::all_cells;
use super::given::read_given;
use super::reading::LoadConfig;
use super::record::{
    Numbers, Place, Source, fitted_on, keeps_ratings, located, recorded, replay, replay_folded,
    same_files, translate,
};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::Observer;
use crate::model::Model;
use crate::ratings::Cell;
use crate::split::Parts;
use crate::store::Manifest;

/// Rated items of every user, and the ratings that the model was fitted on where they are wanted.
pub(super) struct History<'m> {
    users: Numbers<'m>,
    offsets: Vec<usize>,
    items: Vec<u32>,
    /// Ratings of users and items of the model, sorted; empty unless they were asked for.
    pub fitted: Vec<Cell>,
}

/// Where the ratings are.
pub(super) struct Seen<'a> {
    /// The model's directory.
    pub model: &'a Path,
    /// Files instead of those of the run record.
    pub files: &'a [String],
    /// How these are read.
    pub reading: &'a LoadConfig,
    /// Keep the ratings that the model was fitted on.
    pub fitted: bool,
}

impl<'m> History<'m> {
    /// Nobody has rated anything.
    pub(super) fn none(model: &'m Model) -> Self {
        let users = Numbers::new(&model.users.ids);
        Self { users, offsets: Vec::new(), items: Vec::new(), fitted: Vec::new() }
    }

    /// Reads what the run record names (training ratings, holdout and all), or the files that are given.
    pub(super) fn read(
        model: &'m Model,
        manifest: &Manifest,
        seen: &Seen<'_>,
        stop: &AtomicBool,
        observer: &Observer<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let settings = recorded(manifest)?;
        let mut users = Numbers::new(&model.users.ids);
        let mut items = Numbers::new(&model.items.ids);
        let mut pairs = Pairs { pairs: Vec::new(), items: model.items.ids.len() };
        // Ratings that no fit has used: they stay known when a row is solved again from other ratings.
        let mut lasting = Pairs { pairs: Vec::new(), items: model.items.ids.len() };
        let mut fitted = Vec::new();
        let known = |c: &Cell| {
            (c.user as usize) < model.users.ids.len() && (c.item as usize) < model.items.ids.len()
        };
        let place = match seen.files.is_empty() {
            true => Place::Recorded,
            false => Place::Moved(seen.files),
        };
        if !seen.files.is_empty() && !same_files(seen.files, manifest, stop)? {
            if seen.fitted {
                let message = "--explain needs the ratings that the model was trained on, and --seen holds others";
                return Err(Error::Usage(message.into()));
            }
            let given = read_given(seen.files, seen.reading, &settings, stop, warnings)?;
            let Source { cells, users: u, items: i } = given.source;
            pairs.add(&cells, &users.of(&u), &items.of(&i));
            if pairs.pairs.is_empty() {
                let after = "what the model does not know was left out of --seen".to_owned();
                return Err(Error::NothingLeft { after });
            }
        } else {
            let mut data =
                replay(&settings, (seen.model, manifest), &place, stop, observer, warnings)?;
            let (u, i) = (users.of(&data.users), items.of(&data.items));
            let parts = std::mem::take(&mut data.parts);
            let Parts { training, fold_in, holdout } = &parts;
            pairs.reserve(training.len());
            pairs.add(training, &u, &i);
            lasting.reserve(fold_in.len() + holdout.len());
            lasting.add(fold_in, &u, &i);
            lasting.add(holdout, &u, &i);
            if seen.fitted {
                let cells = fitted_cells(&settings, manifest, &parts, &data);
                fitted = translate(&cells, &u, &i);
            }
            drop(parts);
            if filters(&settings.load) {
                // A rating that training left out is a rating all the same.
                let files = located(&settings.input, manifest, &place);
                let known = !keeps_ratings(manifest) || same_files(&files, manifest, stop)?;
                if !known {
                    warnings.push(
                        "ratings that --since, --until or minimum counts left out are not known any more (the \
                         files have changed): they may be recommended"
                            .into(),
                    );
                }
                let all = LoadConfig::default();
                if known {
                    let given = read_given(&files, &all, &settings, stop, &mut Vec::new())?;
                    let Source { cells, users: u, items: i } = given.source;
                    lasting.add(&cells, &users.of(&u), &items.of(&i));
                }
            }
            for axis in [Axis::User, Axis::Item] {
                let of_model = (seen.model, manifest);
                let source = replay_folded(axis, of_model, &settings, stop)?;
                let Some(Source { cells, users: u, items: i }) = source else { continue };
                let (u, i) = (users.of(&u), items.of(&i));
                let mut cells = translate(&cells, &u, &i);
                // Rows of which nothing is known were left out, and stayed what they were.
                cells.retain(known);
                pairs.replace(&cells, axis);
                if seen.fitted {
                    replace(&mut fitted, &cells, axis);
                }
            }
        }
        fitted.retain(known);
        pairs.pairs.append(&mut lasting.pairs);
        let (offsets, items) = pairs.lists(users.len());
        Ok(Self { users, offsets, items, fitted })
    }

    /// Rated items of the user of an id, ascending.
    pub(super) fn seen(&self, id: &str) -> &[u32] {
        self.users.find(id).map_or(&[], |number| self.seen_by(number))
    }

    /// Rated items of a user of the model, ascending.
    pub(super) fn seen_by(&self, user: u32) -> &[u32] {
        let user = user as usize;
        match self.offsets.get(user..user + 2) {
            Some(&[from, to]) => &self.items[from..to],
            _ => &[],
        }
    }
}

/// Whether ratings were left out before training.
pub(super) fn filters(load: &LoadConfig) -> bool {
    load.since.is_some()
        || load.until.is_some()
        || load.min_user_ratings > 0
        || load.min_item_ratings > 0
}

/// The cells that the published factors were fitted on.
fn fitted_cells(
    settings: &TrainConfig,
    manifest: &Manifest,
    parts: &Parts,
    data: &super::dataset::Dataset,
) -> Vec<Cell> {
    match manifest.model.refit {
        true => all_cells(parts, settings.load.duplicates()),
        false => fitted_on(settings, parts, data),
    }
}

/// Puts other cells in the place of all cells of their rows; sorted again.
pub(super) fn replace(cells: &mut Vec<Cell>, by: &[Cell], axis: Axis) {
    let row = |c: &Cell| if axis == Axis::User { c.user } else { c.item };
    let rows: HashSet<u32> = by.iter().map(row).collect();
    cells.retain(|c| !rows.contains(&row(c)));
    cells.extend(by);
    cells.sort_unstable_by_key(|c| (c.user, c.item));
}

/// Users and items in one number each, so that 25 million of them take 200 MB.
struct Pairs {
    pairs: Vec<u64>,
    /// Items of the model; others cannot be recommended.
    items: usize,
}

impl Pairs {
    fn reserve(&mut self, n: usize) {
        self.pairs.reserve_exact(n);
    }

    fn add(&mut self, cells: &[Cell], users: &[u32], items: &[u32]) {
        for cell in cells {
            let (user, item) = (users[cell.user as usize], items[cell.item as usize]);
            if (item as usize) < self.items {
                self.pairs.push(u64::from(user) << 32 | u64::from(item));
            }
        }
    }

    /// Puts cells in positions of the model in the place of all that their rows had.
    fn replace(&mut self, cells: &[Cell], axis: Axis) {
        let own = |c: &Cell| if axis == Axis::User { c.user } else { c.item };
        let rows: HashSet<u32> = cells.iter().map(own).collect();
        let row = |pair: &u64| if axis == Axis::User { pair >> 32 } else { pair & 0xffff_ffff };
        self.pairs.retain(|pair| !rows.contains(&(row(pair) as u32)));
        self.pairs.extend(cells.iter().map(|c| u64::from(c.user) << 32 | u64::from(c.item)));
    }

    /// Offsets of the users, and the items of each, ascending and unique.
    fn lists(mut self, users: usize) -> (Vec<usize>, Vec<u32>) {
        self.pairs.par_sort_unstable();
        self.pairs.dedup();
        let mut offsets = vec![0; users + 1];
        for pair in &self.pairs {
            offsets[(pair >> 32) as usize + 1] += 1;
        }
        let mut total = 0;
        for offset in &mut offsets {
            total += *offset;
            *offset = total;
        }
        (offsets, self.pairs.into_iter().map(|pair| pair as u32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_folded_in_replace_earlier_ones() {
        let cell = |user, item| Cell { user, item, value: 1.0, weight: 1.0, time: 0 };
        let mut pairs = Pairs { pairs: Vec::new(), items: 3 };
        let same = [0, 1, 2, 3];
        pairs.add(&[cell(0, 0), cell(0, 2), cell(1, 1), cell(0, 0), cell(2, 3)], &same, &same);
        pairs.replace(&[cell(1, 2)], Axis::User);
        assert_eq!(pairs.lists(3), (vec![0, 2, 3, 3], vec![0, 2, 2]));
        let mut cells = vec![cell(0, 0), cell(0, 1), cell(1, 1)];
        replace(&mut cells, &[cell(2, 1)], Axis::Item);
        assert_eq!(cells, [cell(0, 0), cell(2, 1)]);
    }
}
