//! The observed cells as two compressed sparse row matrices, by user and by item.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;
use sprs::CsMatI;

/// One observed cell: a user, an item, a value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cell {
    /// Position of the user.
    pub user: u32,
    /// Position of the item.
    pub item: u32,
    /// The rating.
    pub value: f32,
    /// The weight; 1 if the input has none.
    pub weight: f32,
    /// Seconds since 1970 in UTC; 0 if the input has none.
    pub time: i64,
}

/// One orientation of the ratings: rows of cells, with weights parallel to the values.
#[derive(Debug, Clone)]
pub struct Side {
    /// The values. Row and column positions are 32-bit integers, row offsets 64-bit.
    pub values: CsMatI<f32, u32, usize>,
    /// One weight per value, or `None` if all are 1.
    pub weights: Option<Vec<f32>>,
}

/// The cells of one row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Positions on the other side, ascending.
    pub indices: &'a [u32],
    /// The values.
    pub values: &'a [f32],
    /// The weights, or `None` if all are 1.
    pub weights: Option<&'a [f32]>,
}

impl Row<'_> {
    /// Number of cells.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether the row has no cells.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

impl Side {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.rows()
    }

    /// Offsets of the rows in the cell arrays, one more than there are rows.
    #[must_use]
    pub fn offsets(&self) -> &[usize] {
        self.values.indptr().into_raw_storage()
    }

    /// Number of cells of a row.
    #[must_use]
    pub fn count(&self, row: usize) -> usize {
        let offsets = self.offsets();
        offsets[row + 1] - offsets[row]
    }

    /// The cells of a row.
    #[must_use]
    pub fn row(&self, row: usize) -> Row<'_> {
        let offsets = self.offsets();
        let range = offsets[row]..offsets[row + 1];
        Row {
            indices: &self.values.indices()[range.clone()],
            values: &self.values.data()[range.clone()],
            weights: self.weights.as_ref().map(|w| &w[range]),
        }
    }

    /// Number of rows that have cells.
    #[must_use]
    pub fn rows_with_cells(&self) -> usize {
        self.offsets().windows(2).filter(|w| w[0] < w[1]).count()
    }

    /// Mean number of cells over the rows that have any; 0 without cells.
    #[must_use]
    pub fn mean_count(&self) -> f64 {
        let rows = self.rows_with_cells();
        if rows == 0 { 0.0 } else { self.values.nnz() as f64 / rows as f64 }
    }
}

/// The same cells, by user and by item.
#[derive(Debug, Clone)]
pub struct Ratings {
    /// One row per user (`users x items`).
    pub by_user: Side,
    /// One row per item (`items x users`).
    pub by_item: Side,
}

/// The users and items that have ratings to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    users: &'a [usize],
    items: &'a [usize],
}

impl<'a> Known<'a> {
    /// Takes the rows with cells on each side as known.
    #[must_use]
    pub fn new(users: &'a Side, items: &'a Side) -> Self {
        Self { users: users.offsets(), items: items.offsets() }
    }

    /// The user and the item of a cell; `None` for one that is unknown.
    #[must_use]
    pub fn rows(&self, cell: &Cell) -> (Option<usize>, Option<usize>) {
        let known = |offsets: &[usize], row: u32| {
            let row = row as usize;
            (offsets[row] < offsets[row + 1]).then_some(row)
        };
        (known(self.users, cell.user), known(self.items, cell.item))
    }
}

/// Cells per unit of work in a pass over all cells. The number is fixed so that sums do not depend
/// on the number of threads.
pub const CELLS_PER_CHUNK: usize = 1 << 16;

impl Ratings {
    /// Builds both orientations from cells that are sorted by user, then by item, without
    /// duplicates.
    ///
    /// `O(cells)` time, in parallel over ranges of rows.
    #[must_use]
    pub fn from_sorted(users: usize, items: usize, cells: &[Cell]) -> Self {
        debug_assert!(cells.windows(2).all(|w| (w[0].user, w[0].item) < (w[1].user, w[1].item)));
        let weighted = cells.par_iter().any(|c| c.weight != 1.0);
        let mut offsets = vec![0; users + 1];
        for cell in cells {
            offsets[cell.user as usize + 1] += 1;
        }
        prefix_sum(&mut offsets);
        let side = assemble(
            (users, items),
            offsets,
            cells.par_iter().map(|c| c.item).collect(),
            cells.par_iter().map(|c| c.value).collect(),
            weighted.then(|| cells.par_iter().map(|c| c.weight).collect()),
        );
        let by_item = transpose(&side);
        Self { by_user: side, by_item }
    }

    /// Number of users.
    #[must_use]
    pub fn users(&self) -> usize {
        self.by_user.rows()
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.by_item.rows()
    }

    /// The rows that have cells.
    #[must_use]
    pub fn known(&self) -> Known<'_> {
        Known::new(&self.by_user, &self.by_item)
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_user.values.nnz()
    }

    /// Whether there are no cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All cells, sorted by user, then by item. Times are not stored, so they are 0.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(self.len());
        for user in 0..self.users() {
            let row = self.by_user.row(user);
            cells.extend((0..row.len()).map(|p| Cell {
                user: user as u32,
                item: row.indices[p],
                value: row.values[p],
                weight: row.weights.map_or(1.0, |weights| weights[p]),
                time: 0,
            }));
        }
        cells
    }

    /// Weighted mean and standard deviation of the values, and their range.
    ///
    /// Sums are in double precision over chunks that the data alone determines. The deviation is 1
    /// where it would be 0.
    #[must_use]
    pub fn moments(&self) -> Moments {
        let values = self.by_user.values.data();
        let weights = self.by_user.weights.as_deref();
        let chunk_sums = |f: &(dyn Fn(f64, f64) -> f64 + Sync)| -> f64 {
            let sums: Vec<f64> = (0..values.len().div_ceil(CELLS_PER_CHUNK))
                .into_par_iter()
                .map(|chunk| {
                    let range = chunk_range(chunk, values.len());
                    range
                        .map(|i| f(f64::from(values[i]), weights.map_or(1.0, |w| f64::from(w[i]))))
                        .sum()
                })
                .collect();
            sums.iter().sum()
        };
        let total = chunk_sums(&|_, w| w);
        let mean = if total > 0.0 { chunk_sums(&|v, w| w * v) / total } else { 0.0 };
        let variance =
            if total > 0.0 { chunk_sums(&|v, w| w * (v - mean) * (v - mean)) / total } else { 0.0 };
        let deviation = variance.sqrt();
        // Values that differ only by rounding count as one value.
        let constant = deviation <= mean.abs() * 1e-7;
        let (min, max) = values
            .par_iter()
            .map(|&v| (v, v))
            .reduce(|| (f32::INFINITY, f32::NEG_INFINITY), |a, b| (a.0.min(b.0), a.1.max(b.1)));
        Moments { mean, deviation: if constant { 1.0 } else { deviation }, min, max }
    }
}

/// Location, spread and range of the values; see [`Ratings::moments`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Weighted mean.
    pub mean: f64,
    /// Weighted standard deviation, 1 if all values are equal.
    pub deviation: f64,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

/// The range of cells in one chunk, out of `len` cells.
#[must_use]
pub fn chunk_range(chunk: usize, len: usize) -> Range<usize> {
    chunk * CELLS_PER_CHUNK..len.min((chunk + 1) * CELLS_PER_CHUNK)
}

fn prefix_sum(offsets: &mut [usize]) {
    let mut total = 0;
    for offset in offsets {
        total += *offset;
        *offset = total;
    }
}

/// Builds a side from raw arrays with sorted rows.
fn assemble(
    shape: (usize, usize),
    offsets: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
    weights: Option<Vec<f32>>,
) -> Side {
    // The structure is right by construction; sprs checks it again in one pass.
    Side { values: CsMatI::new(shape, offsets, indices, values), weights }
}

/// Row ranges of a transposition: enough for many cores, few enough for a table of counts per
/// range.
const ROW_RANGES: usize = 32;

/// Builds the other orientation.
///
/// Ranges of rows with about equal numbers of cells are processed in parallel. Each range first
/// counts its cells per column. Sums over the ranges then give every range its own places in every
/// column. The second pass therefore writes without coordination, and each column lists its rows in
/// order.
fn transpose(side: &Side) -> Side {
    let (rows, cols) = (side.values.rows(), side.values.cols());
    let (indices, values) = (side.values.indices(), side.values.data());
    let cells = indices.len();
    let ranges = row_ranges(side.offsets());
    let mut places: Vec<Vec<usize>> = ranges
        .par_iter()
        .map(|range| {
            let mut counts = vec![0; cols];
            for &col in &indices[side.offsets()[range.start]..side.offsets()[range.end]] {
                counts[col as usize] += 1;
            }
            counts
        })
        .collect();
    let mut offsets = Vec::with_capacity(cols + 1);
    let mut total = 0;
    for col in 0..cols {
        offsets.push(total);
        for counts in &mut places {
            total += std::mem::replace(&mut counts[col], total);
        }
    }
    offsets.push(total);
    // Relaxed stores are plain stores, and they make scattered writes safe to share.
    let blank = || (0..cells).into_par_iter().map(|_| AtomicU32::new(0)).collect::<Vec<_>>();
    let (out_indices, out_values) = (blank(), blank());
    let out_weights = side.weights.as_ref().map(|_| blank());
    ranges.par_iter().zip(&mut places).for_each(|(range, places)| {
        for row in range.clone() {
            for at in side.offsets()[row]..side.offsets()[row + 1] {
                let place = &mut places[indices[at] as usize];
                out_indices[*place].store(row as u32, Ordering::Relaxed);
                out_values[*place].store(values[at].to_bits(), Ordering::Relaxed);
                if let (Some(out), Some(weights)) = (&out_weights, &side.weights) {
                    out[*place].store(weights[at].to_bits(), Ordering::Relaxed);
                }
                *place += 1;
            }
        }
    });
    let numbers = |bits: Vec<AtomicU32>| -> Vec<f32> {
        bits.into_iter().map(|v| f32::from_bits(v.into_inner())).collect()
    };
    let out_indices = out_indices.into_iter().map(AtomicU32::into_inner).collect();
    assemble((cols, rows), offsets, out_indices, numbers(out_values), out_weights.map(numbers))
}

/// Ranges of consecutive rows with about equal numbers of cells.
fn row_ranges(offsets: &[usize]) -> Vec<Range<usize>> {
    let rows = offsets.len() - 1;
    let target = offsets[rows] / ROW_RANGES + 1;
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < rows {
        let end = offsets.partition_point(|&o| o < offsets[start] + target).clamp(start + 1, rows);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

#[cfg(test)]
mod tests;
