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

use super::check_stop;
use super::columns::{Chunk, Interactions};
use crate::error::{Error, Result};
use crate::ids::Ids;
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
    /// How many of the inputs, the last ones, hold test ratings.
    pub test_inputs: usize,
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
    let Interactions { users, items, mut chunks, inputs, .. } = interactions;
    if preparation.duplicates == Duplicates::Sum && chunks.iter().any(|c| c.weights.is_some()) {
        let message = "--duplicates sum adds values up, so there must be no --weight-col";
        return Err(Error::Usage(message.into()));
    }
    let first_test = inputs.len() - preparation.test_inputs.min(inputs.len());
    let test_chunks = chunks.split_off(chunks.partition_point(|c| c.input < first_test.max(1)));
    let (mut cells, duplicates) = unique(chunks, preparation, (&users, &items), stop)?;
    let (mut test, _) = unique(test_chunks, preparation, (&users, &items), stop)?;
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
    Ok(Prepared { cells, test, users, items, duplicates, below_minimum, in_test })
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

/// Fewest cells that a user and an item must have to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinimumCounts {
    /// Of a user.
    pub user: u32,
    /// Of an item.
    pub item: u32,
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

const fn key(cell: &Cell) -> u64 {
    (cell.user as u64) << 32 | cell.item as u64
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
fn merge(same: &[Cell], duplicates: Duplicates) -> Cell {
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

/// Leaves out users and items with too few cells until none is left that has.
fn k_core(cells: &mut Vec<Cell>, minimum: MinimumCounts, users: usize, items: usize) {
    if minimum.user <= 1 && minimum.item <= 1 {
        return;
    }
    loop {
        let (mut by_user, mut by_item) = (vec![0_u32; users], vec![0_u32; items]);
        for cell in cells.iter() {
            by_user[cell.user as usize] += 1;
            by_item[cell.item as usize] += 1;
        }
        let before = cells.len();
        cells.retain(|c| {
            by_user[c.user as usize] >= minimum.user && by_item[c.item as usize] >= minimum.item
        });
        if cells.len() == before {
            return;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (u32, u32, f32, f32, i64);

    fn interactions(chunks: &[Vec<Row>]) -> Interactions {
        let chunk = |rows: &Vec<Row>| Chunk {
            users: rows.iter().map(|r| r.0).collect(),
            items: rows.iter().map(|r| r.1).collect(),
            values: rows.iter().map(|r| r.2).collect(),
            weights: Some(rows.iter().map(|r| r.3).collect()),
            times: Some(rows.iter().map(|r| r.4).collect()),
            input: 0,
        };
        Interactions {
            users: Ids::range(50),
            items: Ids::range(50),
            chunks: chunks.iter().map(chunk).collect(),
            inputs: Vec::new(),
            rejects: Vec::new(),
            zero_weight: 0,
            outside_time: 0,
        }
    }

    fn run(rows: &[Row], duplicates: Duplicates, minimum: MinimumCounts) -> Result<Prepared> {
        let preparation = Preparation { duplicates, minimum, ..Preparation::default() };
        prepare(interactions(&[rows.to_vec()]), &preparation, &AtomicBool::new(false))
    }

    const TWICE: [Row; 4] =
        [(0, 1, 2.0, 1.0, 30), (0, 1, 5.0, 3.0, 10), (0, 1, 3.0, 1.0, 30), (2, 0, 1.0, 1.0, 0)];

    #[test]
    fn each_policy_resolves_duplicates_as_documented() {
        for (policy, value, weight) in [
            (Duplicates::Last, 3.0, 1.0),
            (Duplicates::First, 5.0, 3.0),
            (Duplicates::Max, 5.0, 3.0),
            (Duplicates::Mean, 4.0, 5.0),
        ] {
            let prepared = run(&TWICE, policy, MinimumCounts::default()).expect("prepares");
            assert_eq!((prepared.cells.len(), prepared.duplicates), (2, 2));
            assert_eq!(
                (prepared.cells[0].value, prepared.cells[0].weight),
                (value, weight),
                "{policy:?}"
            );
            assert_eq!((prepared.users, prepared.items), (Ids::Int(vec![0, 2]), Ids::range(2)));
        }
        let error = run(&TWICE, Duplicates::Error, MinimumCounts::default()).map(|_| ());
        assert!(matches!(error, Err(Error::Duplicate { count: 1, .. })), "{error:?}");
        assert!(matches!(
            run(&TWICE, Duplicates::Sum, MinimumCounts::default()),
            Err(Error::Usage(_))
        ));
        let mut unweighted = interactions(&[TWICE.to_vec()]);
        unweighted.chunks[0].weights = None;
        let stop = AtomicBool::new(false);
        let sum = Preparation { duplicates: Duplicates::Sum, ..Preparation::default() };
        let sum = prepare(unweighted, &sum, &stop).expect("prepares");
        assert_eq!(sum.cells[0].value, 10.0);
    }

    #[test]
    fn the_k_core_is_stable_and_can_be_empty() {
        // User 0 has items 1 2 3, user 1 items 1 2, user 2 item 3: without user 2, item 3 goes too.
        let cell = |u, i| (u, i, 1.0, 1.0, 0);
        let rows = [cell(0, 1), cell(0, 2), cell(0, 3), cell(1, 1), cell(1, 2), cell(2, 3)];
        let core =
            run(&rows, Duplicates::Last, MinimumCounts { user: 2, item: 2 }).expect("prepares");
        assert_eq!(
            (core.cells.len(), core.below_minimum, core.items),
            (4, 2, Ids::Int(vec![1, 2]))
        );
        let empty = run(&rows, Duplicates::Last, MinimumCounts { user: 4, item: 2 });
        assert!(matches!(empty, Err(Error::NothingLeft { .. })));
    }

    #[test]
    fn a_boundary_in_time_keeps_duplicates_apart() {
        let preparation = Preparation { boundary: Some(20), ..Preparation::default() };
        let prepared =
            prepare(interactions(&[TWICE.to_vec()]), &preparation, &AtomicBool::new(false));
        let cells = prepared.expect("prepares").cells;
        let of: Vec<_> = cells.iter().map(|c| (c.user, c.item, c.value, c.time)).collect();
        assert_eq!(of, [(0, 1, 5.0, 10), (0, 1, 3.0, 30), (1, 0, 1.0, 0)]);
    }

    #[test]
    fn test_inputs_are_prepared_apart_and_taken_out_of_training() {
        let cell = |u, i, v| (u, i, v, 1.0, 0);
        let mut both = interactions(&[
            vec![cell(0, 0, 1.0), cell(0, 5, 2.0), cell(3, 0, 3.0)],
            vec![cell(0, 5, 9.0), cell(7, 9, 8.0)],
        ]);
        both.chunks[1].input = 1;
        both.inputs = vec![crate::load::InputReport::default(); 2];
        let preparation = Preparation { test_inputs: 1, ..Preparation::default() };
        let prepared = prepare(both, &preparation, &AtomicBool::new(false)).expect("prepares");
        let of =
            |cells: &[Cell]| cells.iter().map(|c| (c.user, c.item, c.value)).collect::<Vec<_>>();
        assert_eq!(of(&prepared.cells), [(0, 0, 1.0), (1, 0, 3.0)]);
        assert_eq!(of(&prepared.test), [(0, 1, 9.0), (2, 2, 8.0)]);
        assert_eq!((prepared.in_test, prepared.users), (1, Ids::Int(vec![0, 3, 7])));
    }

    proptest! {
        #[test]
        fn cells_do_not_depend_on_how_rows_are_cut_into_chunks(
            rows in proptest::collection::vec((0_u32..50, 0_u32..50, 0.0_f32..5.0, 0.5_f32..2.0, 0_i64..4), 1..400),
            cut in 0_usize..400,
        ) {
            let cut = cut.min(rows.len());
            let two = interactions(&[rows[..cut].to_vec(), rows[cut..].to_vec()]);
            let stop = AtomicBool::new(false);
            let two = prepare(two, &Preparation::default(), &stop).expect("prepares");
            let one = run(&rows, Duplicates::Last, MinimumCounts::default()).expect("prepares");
            prop_assert!(one.cells.is_sorted_by(|a, b| key(a) < key(b)));
            prop_assert_eq!(one.cells, two.cells);
            prop_assert_eq!(one.duplicates, two.duplicates);
        }
    }
}
