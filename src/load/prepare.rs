//! From rows in file order to unique cells sorted by user and item.
//!
//! Order: (bad rows, since and until: while loading) → duplicates → k-core. The split comes after.
//!
//! Rows are first sorted into virtual partitions of consecutive users, each small enough for a
//! second-level cache, then each partition by user and item; both passes run in parallel and are
//! stable, so that file order decides between equals.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::core::MinimumCounts;
use self::core::{k_core, key};
use super::columns::{Chunk, Interactions};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::check_stop;
use crate::ratings::Cell;

/// What becomes of several ratings of one item by one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// They are an error.
    Error,
    /// The latest counts: by time where there is one, else by file order.
    #[default]
    Last,
    /// The earliest counts.
    First,
    /// Their weighted mean; the weights add up.
    Mean,
    /// Their sum; there must be no weights.
    Sum,
    /// The largest.
    Max,
}

/// Cells ready to be split, and what became of the rest.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Unique cells, sorted by user, then item.
    pub cells: Vec<Cell>,
    /// Unique cells of the test inputs, sorted likewise.
    pub test: Vec<Cell>,
    /// Ids of the users that have cells.
    pub users: Ids,
    /// Ids of the items that have cells.
    pub items: Ids,
    /// Rows that were merged into or replaced by another.
    pub duplicates: u64,
    /// Cells left out because their count is 0.
    pub zero_counts: u64,
    /// Cells left out by the k-core.
    pub below_minimum: u64,
    /// Cells left out because the test inputs hold them too.
    pub in_test: u64,
}

/// How rows become cells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Preparation {
    /// What becomes of several rows of one cell.
    pub duplicates: Duplicates,
    /// The k-core.
    pub minimum: MinimumCounts,
    /// Rows from this time on are the holdout of a split by time: duplicates are resolved within
    /// each side, so a cell may then occur once on either.
    pub boundary: Option<i64>,
    /// Values are counts of implicit feedback: cells of value 0 are left out.
    pub counts: bool,
    /// Cells below this value are left out.
    pub least: Option<f64>,
}

/// Cells per partition aimed at: 768 KiB of them.
const PARTITION_CELLS: usize = 1 << 15;

/// Sorts the rows, resolves duplicates, and leaves out users and items with too few cells.
///
/// # Errors
/// [`Error::Duplicate`] under [`Duplicates::Error`], [`Error::Usage`] for sums of weighted rows,
/// [`Error::NothingLeft`] if the minimum counts leave nothing, [`Error::Stopped`].
pub fn prepare(
    interactions: Interactions,
    preparation: &Preparation,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let Interactions { users, items, mut chunks, inputs, n_test, .. } = interactions;
    if preparation.duplicates == Duplicates::Sum && chunks.iter().any(|c| c.weights.is_some()) {
        let message = "--duplicates sum adds values up, so there must be no --weight-col";
        return Err(Error::Usage(message.into()));
    }
    let first_test = inputs.len() - n_test;
    let test_chunks = chunks.split_off(chunks.partition_point(|c| c.input < first_test.max(1)));
    let (mut cells, duplicates) = unique(chunks, preparation, (&users, &items), stop)?;
    let (mut test, _) = unique(test_chunks, preparation, (&users, &items), stop)?;
    if cells.is_empty() {
        return Err(Error::NothingLeft { after: "--since and --until".into() });
    }
    if let Some(least) = preparation.least {
        cells.retain(|cell| f64::from(cell.value) >= least);
        test.retain(|cell| f64::from(cell.value) >= least);
        if cells.is_empty() {
            return Err(Error::NothingLeft { after: format!("--positive-from {least}") });
        }
    }
    let before = cells.len() + test.len();
    if preparation.counts {
        cells.retain(|cell| cell.value != 0.0);
        test.retain(|cell| cell.value != 0.0);
    }
    let zero_counts = (before - cells.len() - test.len()) as u64;
    if cells.is_empty() {
        return Err(Error::NothingLeft { after: "leaving out counts of 0".into() });
    }
    let before = cells.len();
    k_core(&mut cells, preparation.minimum, users.len(), items.len());
    let below_minimum = (before - cells.len()) as u64;
    if cells.is_empty() {
        return Err(Error::NothingLeft {
            after: "--min-user-ratings and --min-item-ratings".into(),
        });
    }
    let before = cells.len();
    if !test.is_empty() {
        cells.retain(|cell| test.binary_search_by_key(&key(cell), key).is_err());
    }
    let in_test = (before - cells.len()) as u64;
    let (users, items) = compact([&mut cells, &mut test], users, items);
    Ok(Prepared { cells, test, users, items, duplicates, zero_counts, below_minimum, in_test })
}

/// The unique cells of some chunks, sorted, and how many rows were merged into another.
fn unique(
    chunks: Vec<Chunk>,
    preparation: &Preparation,
    (users, items): (&Ids, &Ids),
    stop: &AtomicBool,
) -> Result<(Vec<Cell>, u64)> {
    let partitions = partitions(&chunks, users.len());
    check_stop(stop)?;
    let (mut cells, bounds) = sort(chunks, &partitions, preparation.boundary);
    check_stop(stop)?;
    let rows = cells.len();
    resolve(&mut cells, &bounds, preparation, (users, items))?;
    let merged = rows - cells.len();
    Ok((cells, merged as u64))
}

/// Ranges of users with about [`PARTITION_CELLS`] rows each.
fn partitions(chunks: &[Chunk], users: usize) -> Vec<Range<u32>> {
    let counts: Vec<AtomicU32> = (0..users).map(|_| AtomicU32::new(0)).collect();
    chunks.par_iter().for_each(|chunk| {
        for &user in &chunk.users {
            counts[user as usize].fetch_add(1, Ordering::Relaxed);
        }
    });
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, 0);
    for (user, count) in counts.iter().enumerate() {
        sum += count.load(Ordering::Relaxed) as usize;
        if sum >= PARTITION_CELLS {
            ranges.push(start..user as u32 + 1);
            (start, sum) = (user as u32 + 1, 0);
        }
    }
    if (start as usize) < users {
        ranges.push(start..users as u32);
    }
    ranges
}

/// A chunk and its rows in the order of the partitions.
struct Grouped {
    chunk: Chunk,
    order: Vec<u32>,
    /// Where each partition begins in `order`.
    starts: Vec<usize>,
}

/// All rows by user and item, equals in file order; and the bounds of the partitions.
fn sort(
    chunks: Vec<Chunk>,
    partitions: &[Range<u32>],
    boundary: Option<i64>,
) -> (Vec<Cell>, Vec<usize>) {
    let mut partition_of = vec![0_u32; partitions.last().map_or(0, |p| p.end as usize)];
    for (number, users) in partitions.iter().enumerate() {
        partition_of[users.start as usize..users.end as usize].fill(number as u32);
    }
    let grouped: Vec<Grouped> =
        chunks.into_par_iter().map(|c| group(c, &partition_of, partitions.len())).collect();
    let mut bounds = vec![0];
    for number in 0..partitions.len() {
        let size: usize = grouped.iter().map(|g| g.starts[number + 1] - g.starts[number]).sum();
        bounds.push(bounds[number] + size);
    }
    let total = bounds[partitions.len()];
    let mut cells: Vec<Cell> = (0..total).into_par_iter().map(|_| Cell::default()).collect();
    let slices = split_at(&mut cells, &bounds);
    slices.into_par_iter().enumerate().for_each(|(number, out)| {
        let mut out_cells = out.iter_mut();
        for Grouped { chunk, order, starts } in &grouped {
            let rows = &order[starts[number]..starts[number + 1]];
            for (&row, cell) in rows.iter().zip(&mut out_cells) {
                *cell = chunk.cell(row as usize);
            }
        }
        // Stable: of equals the one that comes first in the files stays first.
        out.sort_by_key(|cell| sided_key(cell, boundary));
    });
    (cells, bounds)
}

impl Chunk {
    fn cell(&self, row: usize) -> Cell {
        Cell {
            user: self.users[row],
            item: self.items[row],
            value: self.values[row],
            weight: self.weights.as_ref().map_or(1.0, |w| w[row]),
            time: self.times.as_ref().map_or(0, |t| t[row]),
        }
    }
}

/// The key, and the side of a boundary in time.
fn sided_key(cell: &Cell, boundary: Option<i64>) -> (u64, bool) {
    (key(cell), boundary.is_some_and(|at| cell.time >= at))
}

/// Sorts a chunk's rows by partition, by counting.
fn group(chunk: Chunk, partition_of: &[u32], partitions: usize) -> Grouped {
    let mut starts = vec![0; partitions + 1];
    for &user in &chunk.users {
        starts[partition_of[user as usize] as usize + 1] += 1;
    }
    for number in 0..partitions {
        starts[number + 1] += starts[number];
    }
    let mut next = starts.clone();
    let mut order = vec![0; chunk.users.len()];
    for (row, &user) in chunk.users.iter().enumerate() {
        let slot = &mut next[partition_of[user as usize] as usize];
        order[*slot] = row as u32;
        *slot += 1;
    }
    Grouped { chunk, order, starts }
}

/// Cuts a slice at the given bounds.
fn split_at<'c>(mut cells: &'c mut [Cell], bounds: &[usize]) -> Vec<&'c mut [Cell]> {
    let mut slices = Vec::with_capacity(bounds.len());
    for pair in bounds.windows(2) {
        let (slice, rest) = cells.split_at_mut(pair[1] - pair[0]);
        slices.push(slice);
        cells = rest;
    }
    slices
}

/// Makes one cell of each run of equal ones, partition by partition, then closes the gaps.
fn resolve(
    cells: &mut Vec<Cell>,
    bounds: &[usize],
    preparation: &Preparation,
    (users, items): (&Ids, &Ids),
) -> Result<()> {
    let slices = split_at(cells, bounds);
    // How many cells each partition keeps, and its first repeated cell.
    let kept: Vec<(usize, u64, Option<Cell>)> =
        slices.into_par_iter().map(|slice| resolve_partition(slice, preparation)).collect();
    if preparation.duplicates == Duplicates::Error {
        let count: u64 = kept.iter().map(|k| k.1).sum();
        if let Some(first) = kept.iter().find_map(|k| k.2) {
            return Err(Error::Duplicate {
                user: users.get(first.user as usize).to_string(),
                item: items.get(first.item as usize).to_string(),
                count,
            });
        }
    }
    let mut end = 0;
    for (number, (len, ..)) in kept.iter().enumerate() {
        let start = bounds[number];
        if start != end {
            cells.copy_within(start..start + len, end);
        }
        end += len;
    }
    cells.truncate(end);
    Ok(())
}

fn resolve_partition(cells: &mut [Cell], preparation: &Preparation) -> (usize, u64, Option<Cell>) {
    let sided = |cell: &Cell| sided_key(cell, preparation.boundary);
    let (mut kept, mut start, mut repeated, mut first) = (0, 0, 0, None);
    while start < cells.len() {
        let wanted = sided(&cells[start]);
        let len = cells[start..].iter().take_while(|c| sided(c) == wanted).count();
        if len > 1 {
            repeated += 1;
            first = first.or(Some(cells[start]));
        }
        cells[kept] = match len {
            1 => cells[start],
            _ => merge(&cells[start..start + len], preparation.duplicates),
        };
        kept += 1;
        start += len;
    }
    (kept, repeated, first)
}

/// One cell of several of the same user and item, in file order.
#[must_use]
pub fn merge(same: &[Cell], duplicates: Duplicates) -> Cell {
    // Of equal times the later row is the last one, the earlier row the first one.
    let last = same.iter().fold(same[0], |best, c| if c.time >= best.time { *c } else { best });
    let first = same.iter().fold(same[0], |best, c| if c.time < best.time { *c } else { best });
    match duplicates {
        Duplicates::Last | Duplicates::Error => last,
        Duplicates::First => first,
        Duplicates::Max => {
            same.iter().fold(same[0], |best, c| if c.value > best.value { *c } else { best })
        }
        Duplicates::Sum => {
            Cell { value: same.iter().map(|c| f64::from(c.value)).sum::<f64>() as f32, ..last }
        }
        Duplicates::Mean => {
            let weight: f64 = same.iter().map(|c| f64::from(c.weight)).sum();
            let sum: f64 = same.iter().map(|c| f64::from(c.weight) * f64::from(c.value)).sum();
            Cell { value: (sum / weight) as f32, weight: weight as f32, ..last }
        }
    }
}

/// Drops the ids that have no cells left.
fn compact(sets: [&mut Vec<Cell>; 2], users: Ids, items: Ids) -> (Ids, Ids) {
    let (mut user_used, mut item_used) = (vec![false; users.len()], vec![false; items.len()]);
    for cell in sets.iter().flat_map(|cells| cells.iter()) {
        user_used[cell.user as usize] = true;
        item_used[cell.item as usize] = true;
    }
    if user_used.iter().chain(&item_used).all(|&used| used) {
        return (users, items);
    }
    let positions = |used: &[bool]| {
        let mut next = 0;
        let number = |&used: &bool| {
            let position = next;
            next += u32::from(used);
            position
        };
        used.iter().map(number).collect::<Vec<u32>>()
    };
    let (user_at, item_at) = (positions(&user_used), positions(&item_used));
    for cells in sets {
        cells.par_iter_mut().for_each(|c| {
            c.user = user_at[c.user as usize];
            c.item = item_at[c.item as usize];
        });
    }
    (users.select(|i| user_used[i]), items.select(|i| item_used[i]))
}

mod core;
#[cfg(test)]
mod tests;
