//! The items that users have rated, as positions in a published model.
//!
//! Rated items are not recommended again, and they explain recommendations.

use std::collections::HashSet;

use rayon::prelude::*;

use super::files::read_files;
use super::numbers::{Numbers, translate};
use super::source::{Place, Published, Source, keeps_ratings, located, same_files};
use super::training::{published_on, recorded, replay, replay_folded};
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::job::Job;
use crate::model::Model;
use crate::pair::Pair;
use crate::ratings::Cell;
use crate::settings::{LoadConfig, Plan};
use crate::split::Parts;

/// The rated items of every user and, if requested, the ratings that the model was fitted on.
pub(crate) struct History<'m> {
    users: Numbers<'m>,
    offsets: Vec<usize>,
    items: Vec<u32>,
    /// The ratings of known users and items that the model was fitted on, sorted; empty unless
    /// requested.
    pub fitted: Vec<Cell>,
}

/// Where to read the ratings.
pub(crate) struct Seen<'a> {
    /// Files to read instead of those that the manifest records.
    pub files: &'a [String],
    /// Settings for reading these files.
    pub reading: &'a LoadConfig,
    /// Whether the ratings that the model was fitted on are requested.
    pub fitted: bool,
}

/// The ratings collected so far.
struct Collected<'m> {
    users: Numbers<'m>,
    items: Numbers<'m>,
    /// Ratings that a fit used. A row that was folded in later loses these.
    pairs: Pairs,
    /// Ratings that no fit used. They stay when a row was folded in from other ratings.
    lasting: Pairs,
    /// The ratings that the model was fitted on.
    fitted: Vec<Cell>,
}

impl Collected<'_> {
    /// The numbers of these users and items.
    fn numbers(&mut self, ids: &Pair<Ids>) -> Pair<Vec<u32>> {
        Pair::new(self.users.of(&ids.users), self.items.of(&ids.items))
    }
}

impl<'m> History<'m> {
    /// A history without any ratings.
    pub(crate) fn none(model: &'m Model) -> Self {
        let users = Numbers::new(&model.users.ids);
        Self { users, offsets: Vec::new(), items: Vec::new(), fitted: Vec::new() }
    }

    /// Reads the ratings of the training, including held-out ratings, or those of other files.
    pub(crate) fn read(
        model: &'m Model,
        published: &Published,
        seen: &Seen<'_>,
        job: &Job<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let plan = recorded(&published.manifest)?;
        let n_items = model.items.ids.len();
        let mut collected = Collected {
            users: Numbers::new(&model.users.ids),
            items: Numbers::new(&model.items.ids),
            pairs: Pairs::new(n_items),
            lasting: Pairs::new(n_items),
            fitted: Vec::new(),
        };
        let other = !seen.files.is_empty() && !same_files(seen.files, &published.manifest, job)?;
        if other {
            read_other(&mut collected, &plan, seen, job, warnings)?;
        } else {
            read_recorded(&mut collected, model, published, &plan, seen, job, warnings)?;
        }
        let Collected { users, mut pairs, mut lasting, mut fitted, .. } = collected;
        fitted.retain(|cell| is_known(model, cell));
        pairs.pairs.append(&mut lasting.pairs);
        let (offsets, items) = pairs.lists(users.len());
        Ok(Self { users, offsets, items, fitted })
    }

    /// The rated items of the user with this id, ascending; none without ratings.
    pub(crate) fn seen(&self, id: &str) -> &[u32] {
        self.users.find(id).map_or(&[], |number| self.seen_by(number))
    }

    /// The rated items of the user with this number, ascending.
    pub(crate) fn seen_by(&self, user: u32) -> &[u32] {
        let user = user as usize;
        match self.offsets.get(user..user + 2) {
            Some(&[from, to]) => &self.items[from..to],
            _ => &[],
        }
    }
}

/// Whether the model knows the user and the item of a cell.
fn is_known(model: &Model, cell: &Cell) -> bool {
    (cell.user as usize) < model.users.ids.len() && (cell.item as usize) < model.items.ids.len()
}

/// Collects the ratings of files other than those of the training.
fn read_other(
    collected: &mut Collected<'_>,
    plan: &Plan,
    seen: &Seen<'_>,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    if seen.fitted {
        let message = "--explain needs the ratings that the model was trained on, but --seen \
                       names other files; leave out --seen, or pass the training files";
        return Err(Error::Usage(message.into()));
    }
    let Source { cells, ids } = read_files(seen.files, seen.reading, plan, job, warnings)?.source;
    let numbers = collected.numbers(&ids);
    collected.pairs.add(&cells, &numbers);
    if collected.pairs.pairs.is_empty() {
        let after = "items of --seen that are unknown to the model were left out".to_owned();
        return Err(Error::NothingLeft { after });
    }
    Ok(())
}

/// Collects the ratings of the training and of all rows that were folded in later.
fn read_recorded(
    collected: &mut Collected<'_>,
    model: &Model,
    published: &Published,
    plan: &Plan,
    seen: &Seen<'_>,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let place = Place::of(seen.files);
    let mut data = replay(plan, published, place, job, warnings)?;
    let numbers = collected.numbers(&data.ids);
    if seen.fitted {
        let cells = published_on(plan, &published.manifest, &data);
        collected.fitted = translate(&cells, &numbers);
    }
    let Parts { training, fold_in, holdout } = std::mem::take(&mut data.parts);
    collected.pairs.reserve(training.len());
    collected.pairs.add(&training, &numbers);
    drop(training);
    collected.lasting.reserve(fold_in.len() + holdout.len());
    collected.lasting.add(&fold_in, &numbers);
    collected.lasting.add(&holdout, &numbers);
    drop((fold_in, holdout, data));
    if filters(&plan.record.load) {
        read_filtered(collected, published, plan, place, job, warnings)?;
    }
    for axis in Axis::BOTH {
        let source = replay_folded(axis, published, plan, job)?;
        let Some(Source { cells, ids }) = source else { continue };
        let numbers = collected.numbers(&ids);
        let mut cells = translate(&cells, &numbers);
        // Fold-in skips cells of unknown users or items, so they replace nothing here either.
        cells.retain(|cell| is_known(model, cell));
        collected.pairs.replace(&cells, axis);
        if seen.fitted {
            replace(&mut collected.fitted, &cells, axis);
        }
    }
    Ok(())
}

/// Collects the ratings that filters excluded from the training, as users have rated those too.
fn read_filtered(
    collected: &mut Collected<'_>,
    published: &Published,
    plan: &Plan,
    place: Place<'_>,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let manifest = &published.manifest;
    let files = located(&plan.reading.input, manifest, place);
    if keeps_ratings(manifest) && !same_files(&files, manifest, job)? {
        warnings.push(
            "the rating files have changed, so the ratings that --since, --until or minimum counts \
             left out of the training are unknown; items that a user rated there may be recommended"
                .into(),
        );
        return Ok(());
    }
    let found = read_files(&files, &LoadConfig::default(), plan, job, &mut Vec::new())?;
    let numbers = collected.numbers(&found.source.ids);
    collected.lasting.add(&found.source.cells, &numbers);
    Ok(())
}

/// Whether filters may have left ratings out of the training.
pub(crate) fn filters(load: &LoadConfig) -> bool {
    load.since.is_some()
        || load.until.is_some()
        || load.min_user_ratings > 0
        || load.min_item_ratings > 0
}

/// Replaces all cells of the rows in `by` by the cells in `by`, and sorts the result.
pub(crate) fn replace(cells: &mut Vec<Cell>, by: &[Cell], axis: Axis) {
    let row = |c: &Cell| if axis == Axis::User { c.user } else { c.item };
    let rows: HashSet<u32> = by.iter().map(row).collect();
    cells.retain(|c| !rows.contains(&row(c)));
    cells.extend(by);
    cells.sort_unstable_by_key(|c| (c.user, c.item));
}

/// Pairs of user and item, packed into one number each: 25 million pairs take 200 MB.
struct Pairs {
    pairs: Vec<u64>,
    /// Number of items of the model. Other items cannot be recommended and are not added.
    items: usize,
}

impl Pairs {
    fn new(items: usize) -> Self {
        Self { pairs: Vec::new(), items }
    }

    fn reserve(&mut self, n: usize) {
        self.pairs.reserve_exact(n);
    }

    /// Adds the cells under the numbers of their users and items.
    fn add(&mut self, cells: &[Cell], numbers: &Pair<Vec<u32>>) {
        let Pair { users, items } = numbers;
        for cell in cells {
            let (user, item) = (users[cell.user as usize], items[cell.item as usize]);
            if (item as usize) < self.items {
                self.pairs.push(u64::from(user) << 32 | u64::from(item));
            }
        }
    }

    /// Replaces all pairs of the rows in `cells`; the cells are in positions of the model.
    fn replace(&mut self, cells: &[Cell], axis: Axis) {
        let own = |c: &Cell| if axis == Axis::User { c.user } else { c.item };
        let rows: HashSet<u32> = cells.iter().map(own).collect();
        let row = |pair: &u64| if axis == Axis::User { pair >> 32 } else { pair & 0xffff_ffff };
        self.pairs.retain(|pair| !rows.contains(&(row(pair) as u32)));
        self.pairs.extend(cells.iter().map(|c| u64::from(c.user) << 32 | u64::from(c.item)));
    }

    /// The offsets of the users, and the items of each user, ascending and unique.
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
        let mut pairs = Pairs::new(3);
        let same = Pair::new(vec![0, 1, 2, 3], vec![0, 1, 2, 3]);
        pairs.add(&[cell(0, 0), cell(0, 2), cell(1, 1), cell(0, 0), cell(2, 3)], &same);
        pairs.replace(&[cell(1, 2)], Axis::User);
        assert_eq!(pairs.lists(3), (vec![0, 2, 3, 3], vec![0, 2, 2]));
        let mut cells = vec![cell(0, 0), cell(0, 1), cell(1, 1)];
        replace(&mut cells, &[cell(2, 1)], Axis::Item);
        assert_eq!(cells, [cell(0, 0), cell(2, 1)]);
    }
}
