//! The prepared ratings of a run, stored alongside its model.
//!
//! Recommendations, measurements and updates then do not need the rating files, which are different
//! ones on the next night.

use crate::pair::Pair;
use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use super::factors::{into_io, parquet_writer};
use super::ranked::ids;
use crate::error::{Error, Result};
use crate::ids::{Id, Ids};
use crate::ratings::Cell;

/// File of the training ratings, including the validation ratings.
pub(crate) const TRAINING_RATINGS: &str = "training_ratings.parquet";
/// File of the holdout ratings.
pub(crate) const HOLDOUT_RATINGS: &str = "holdout_ratings.parquet";

/// Rows per row group.
const ROWS: usize = 1 << 20;

/// Writes cells with their external ids and returns a description of the columns.
///
/// The columns are `user_id`, `item_id`, `rating`, and `weight` if any weight is not 1.
///
/// # Errors
/// [`Error::Write`], naming `shown`.
pub(crate) fn write_ratings(
    path: &Path,
    shown: &Path,
    cells: &[Cell],
    ids_of: Pair<&Ids>,
) -> Result<String> {
    let weighted = cells.iter().any(|cell| cell.weight != 1.0);
    let column = |name, ids_of: &Ids, row: &dyn Fn(&Cell) -> u32, cells: &[Cell]| {
        let named: Vec<Id<'_>> = cells.iter().map(|cell| ids_of.get(row(cell) as usize)).collect();
        ids(name, matches!(ids_of, Ids::Int(_)), &named).into_column()
    };
    let frame = |cells: &[Cell]| {
        let values: Vec<f32> = cells.iter().map(|cell| cell.value).collect();
        let mut columns = vec![
            column("user_id", ids_of.users, &|cell| cell.user, cells),
            column("item_id", ids_of.items, &|cell| cell.item, cells),
            Series::new("rating".into(), values).into_column(),
        ];
        if weighted {
            let weights: Vec<f32> = cells.iter().map(|cell| cell.weight).collect();
            columns.push(Series::new("weight".into(), weights).into_column());
        }
        DataFrame::new(cells.len(), columns)
    };
    let write = || -> std::io::Result<()> {
        let file = File::create(path)?;
        let empty = frame(&[]).map_err(into_io)?;
        let mut writer = parquet_writer(&file, empty.schema())
            .with_compression(ParquetCompression::Zstd(None))
            .batched(empty.schema())
            .map_err(into_io)?;
        for cells in cells.chunks(ROWS) {
            frame(cells).and_then(|frame| writer.write_batch(&frame)).map_err(into_io)?;
        }
        writer.finish().map_err(into_io)?;
        file.sync_all()
    };
    write().map_err(|source| Error::Write { path: shown.to_owned(), source })?;
    let weight = if weighted { ", weight: f32" } else { "" };
    Ok(format!("user_id, item_id, rating: f32{weight}"))
}
