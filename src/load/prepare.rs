//! Turns rows in file order into unique cells sorted by user and item.
//!
//! Loading has already filtered bad rows, since and until. The steps here are, in this order:
//! duplicates, the least value, counts of 0, the k-core, cells of test inputs. The split into
//! training and holdout comes later.
//!
//! Rows are first grouped into partitions of consecutive users, each small enough for a
//! second-level cache. Then each partition is sorted by user and item. Both passes run in parallel
//! and are stable, so file order decides between equal rows.

use crate::pair::Pair;
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

/// How several ratings of one item by one user are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Duplicates are an error.
    Error,
    /// Keep the latest: by time if there are times, otherwise by file order.
    #[default]
    Last,
    /// Keep the earliest.
    First,
    /// Take the weighted mean and the sum of the weights.
    Mean,
    /// Take the sum. There must be no weights.
    Sum,
    /// Keep the largest.
    Max,
}

/// The cells, ready to be split, and the numbers of left-out rows and cells.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Unique cells, sorted by user, then item.
    pub cells: Vec<Cell>,
    /// Unique cells of the test inputs, sorted in the same way.
    pub test: Vec<Cell>,
    /// Ids of the users that have cells.
    pub users: Ids,
    /// Ids of the items that have cells.
    pub items: Ids,
    /// Number of training rows that were merged into another row or replaced by it.
    pub duplicates: u64,
    /// Number of cells left out because their count is 0.
    pub zero_counts: u64,
    /// Number of cells left out by the k-core.
    pub below_minimum: u64,
    /// Number of training cells left out because the test inputs contain them too.
    pub in_test: u64,
}

/// The settings of the preparation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Preparation {
    /// How several rows of one cell are combined.
    pub duplicates: Duplicates,
    /// The minimum counts of the k-core.
    pub minimum: MinimumCounts,
    /// Time from which rows belong to the holdout of a split by time. Duplicates are resolved
    /// separately before and after it, so a cell may occur once on each side.
    pub boundary: Option<i64>,
    /// Whether values are counts of implicit feedback. Cells of count 0 are then left out.
    pub counts: bool,
    /// Cells below this value are left out.
    pub least: Option<f64>,
}

/// Intended number of cells per partition: 768 KiB.
const PARTITION_CELLS: usize = 1 << 15;

/// Sorts the rows, resolves duplicates and leaves out users and items with too few cells.
///
/// # Errors
/// [`Error::Duplicate`] under [`Duplicates::Error`], [`Error::Usage`] for sums of weighted rows,
/// [`Error::NothingLeft`] if a step leaves no cells, [`Error::Stopped`].
pub fn prepare(
    interactions: Interactions,
    preparation: &Preparation,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let Interactions { users, items, mut chunks, inputs, n_test, .. } = interactions;
    if preparation.duplicates == Duplicates::Sum && chunks.iter().any(|c| c.weights.is_some()) {
        let message = "--duplicates sum cannot be combined with --weight-col";
        return Err(Error::Usage(message.into()));
    }
    let first_test = inputs.len() - n_test;
    let test_chunks = chunks.split_off(chunks.partition_point(|c| c.input < first_test.max(1)));
    let ids = Pair::new(&users, &items);
    let (mut cells, duplicates) = unique(chunks, preparation, ids, stop)?;
    let (mut test, _) = unique(test_chunks, preparation, ids, stop)?;
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

/// The sorted unique cells of some chunks, and the number of rows merged into another row.
fn unique(
    chunks: Vec<Chunk>,
    preparation: &Preparation,
    ids: Pair<&Ids>,
    stop: &AtomicBool,
) -> Result<(Vec<Cell>, u64)> {
    let partitions = partitions(&chunks, ids.users.len());
    check_stop(stop)?;
    let (mut cells, bounds) = sort(chunks, &partitions, preparation.boundary);
    check_stop(stop)?;
    let rows = cells.len();
    resolve(&mut cells, &bounds, preparation, ids)?;
    let merged = rows - cells.len();
    Ok((cells, merged as u64))
}

/// Ranges of consecutive users with about [`PARTITION_CELLS`] rows each.
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

/// A chunk, and its row numbers ordered by partition.
struct Grouped {
    chunk: Chunk,
    order: Vec<u32>,
    /// The start of each partition in `order`.
    starts: Vec<usize>,
}

/// All rows sorted by user and item, equal ones in file order, and the bounds of the partitions.
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
        // The sort is stable, so equal cells stay in file order.
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

/// The key of a cell, and whether the cell lies on or after a boundary in time.
fn sided_key(cell: &Cell, boundary: Option<i64>) -> (u64, bool) {
    (key(cell), boundary.is_some_and(|at| cell.time >= at))
}

/// Sorts the rows of a chunk by partition, with a counting sort.
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

/// Cuts a slice at bounds.
fn split_at<'c>(mut cells: &'c mut [Cell], bounds: &[usize]) -> Vec<&'c mut [Cell]> {
    let mut slices = Vec::with_capacity(bounds.len());
    for pair in bounds.windows(2) {
        let (slice, rest) = cells.split_at_mut(pair[1] - pair[0]);
        slices.push(slice);
        cells = rest;
    }
    slices
}

/// Merges each run of equal cells into one cell, partition by partition, and then closes the gaps.
fn resolve(
    cells: &mut Vec<Cell>,
    bounds: &[usize],
    preparation: &Preparation,
    ids: Pair<&Ids>,
) -> Result<()> {
    let slices = split_at(cells, bounds);
    // For each partition: the numbers of remaining and of repeated cells, the first repeated cell.
    let kept: Vec<(usize, u64, Option<Cell>)> =
        slices.into_par_iter().map(|slice| resolve_partition(slice, preparation)).collect();
    if preparation.duplicates == Duplicates::Error {
        let count: u64 = kept.iter().map(|k| k.1).sum();
        if let Some(first) = kept.iter().find_map(|k| k.2) {
            return Err(Error::Duplicate {
                user: ids.users.get(first.user as usize).to_string(),
                item: ids.items.get(first.item as usize).to_string(),
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

/// Merges several cells of the same user and item, which are in file order, into one.
#[must_use]
pub fn merge(same: &[Cell], duplicates: Duplicates) -> Cell {
    // Among rows of equal time, the last row in file order is the latest, the first the earliest.
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

/// Removes the ids without cells and renumbers the cells.
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
