//! Reads Parquet files slice by slice.

use std::path::Path;

use polars::prelude::{Column, DataFrame, DataType, PolarsResult, SerReader, TimeUnit as Unit};

use super::block::{Block, BlockIds};
use super::columns::Collector;
use super::format::{FileLayout, Format};
use super::guard::decode;
use super::id_column::block_ids;
use super::input::Input;
use super::options::IdType;
use super::options::LoadOptions;
use super::parquet_layout::{ParquetLayout, reader, unreadable};
use super::reports::NEGATIVE_COUNT;
use super::roles::{InputColumns, Roles, id_names};
use super::time::TimeUnit;
use crate::error::{Error, Result};

/// Rows per slice.
const SLICE: usize = 1 << 21;

/// Apache Parquet.
pub(super) struct Parquet;

impl Format for Parquet {
    fn extensions(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn seeks(&self) -> bool {
        true
    }

    fn fits(&self, head: &[u8]) -> bool {
        head.starts_with(b"PAR1")
    }

    fn recognise(&self, input: &mut Input, options: &LoadOptions) -> Result<Box<dyn FileLayout>> {
        Ok(Box::new(ParquetLayout::recognise(input, options)?))
    }
}

impl FileLayout for ParquetLayout {
    fn columns(&self) -> InputColumns {
        let names = id_names(&self.names, &self.roles);
        InputColumns { described: self.describe(), names, integers: Some(self.integers) }
    }

    fn read(
        &self,
        input: &mut Input,
        gather: &mut Collector<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        read(input, self, gather, progress)
    }
}

/// Reads a whole Parquet input.
fn read(
    input: &mut Input,
    layout: &ParquetLayout,
    gather: &mut Collector<'_>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let Roles { user, item, rating, time, weight } = layout.roles;
    let mut columns: Vec<usize> =
        [Some(user), Some(item), rating, time, weight].into_iter().flatten().collect();
    columns.sort_unstable();
    columns.dedup();
    let size = input.size.unwrap_or(0);
    for offset in (0..layout.rows).step_by(SLICE) {
        let reader = reader(input, layout.bytes.as_ref())?
            .with_projection(Some(columns.clone()))
            .with_slice(Some((offset, SLICE)));
        let frame = decode(|| reader.finish()).map_err(|e| unreadable(&input.path, &e))?;
        let slice =
            Slice { path: &input.path, frame: &frame, names: &layout.names, bad: Vec::new() };
        slice.read(&layout.roles, offset, gather)?;
        let done = (offset + SLICE).min(layout.rows) as f64 / layout.rows as f64;
        progress((size as f64 * done) as u64);
    }
    Ok(())
}

/// A slice of the file, and its bad cells.
struct Slice<'a> {
    path: &'a Path,
    frame: &'a DataFrame,
    names: &'a [String],
    bad: Vec<BadCell>,
}

/// A bad cell.
struct BadCell {
    row: usize,
    column: usize,
    text: String,
    reason: &'static str,
}

impl Slice<'_> {
    fn read(mut self, roles: &Roles, offset: usize, gather: &mut Collector<'_>) -> Result<()> {
        let (kind, unit) = (gather.options().id_type, gather.options().time_unit);
        let counts = gather.options().counts;
        let mut block = Block {
            users: self.ids(roles.user, kind)?,
            items: self.ids(roles.item, kind)?,
            values: match roles.rating {
                Some(at) => self.numbers(at)?,
                None => vec![1.0; self.frame.height()],
            },
            weights: roles.weight.map(|at| self.numbers(at)).transpose()?,
            times: roles.time.map(|at| self.times(at, unit)).transpose()?,
        };
        if let (true, Some(column)) = (counts, roles.rating) {
            self.mark(column, &block.values, |v| v.is_finite() && *v < 0.0, NEGATIVE_COUNT);
        }
        if let (Some(weights), Some(column)) = (&block.weights, roles.weight) {
            self.mark(column, weights, |w| w.is_finite() && *w < 0.0, "negative weight");
        }
        if self.bad.is_empty() {
            return gather.push(block);
        }
        // Each row gets one message.
        self.bad.sort_by_key(|b| b.row);
        self.bad.dedup_by_key(|b| b.row);
        let mut keep = vec![true; block.rows()];
        for BadCell { row, column, text, reason } in &self.bad {
            keep[*row] = false;
            gather.reject((offset + row + 1) as u64, &self.names[*column], text, reason)?;
        }
        block.retain(&keep);
        if kind == IdType::Int {
            block.users = as_ints(block.users);
            block.items = as_ints(block.items);
        }
        gather.push(block)
    }

    /// Returns a column and marks its nulls as bad.
    fn column(&mut self, at: usize) -> Result<Column> {
        let column = self.frame.column(&self.names[at]).cloned();
        let column = column.map_err(|e| unreadable(self.path, &e))?;
        if column.null_count() > 0 {
            for (row, null) in column.is_null().iter().enumerate() {
                if null == Some(true) {
                    self.bad.push(BadCell { row, column: at, text: String::new(), reason: "null" });
                }
            }
        }
        Ok(column)
    }

    /// Marks the cells that `wrong` finds as bad.
    fn mark<T: ToString>(
        &mut self,
        column: usize,
        cells: &[T],
        wrong: impl Fn(&T) -> bool,
        reason: &'static str,
    ) {
        for (row, cell) in cells.iter().enumerate().filter(|(_, cell)| wrong(cell)) {
            self.bad.push(BadCell { row, column, text: cell.to_string(), reason });
        }
    }

    fn wrong_type(&self, at: usize, dtype: &DataType, needed: &str) -> Error {
        let message = format!("column \"{}\" holds {dtype:?}, not {needed}", self.names[at]);
        Error::Format { path: self.path.to_owned(), message }
    }

    /// Takes the cells of a cast column, with a default for nulls, which are marked already.
    fn cells<T: Default>(
        &self,
        cast: PolarsResult<Column>,
        take: impl FnOnce(&Column) -> PolarsResult<Vec<Option<T>>>,
    ) -> Result<Vec<T>> {
        let cells = cast.and_then(|column| take(&column)).map_err(|e| unreadable(self.path, &e))?;
        Ok(cells.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn ids(&mut self, at: usize, kind: IdType) -> Result<BlockIds> {
        let column = self.column(at)?;
        let dtype = column.dtype().clone();
        if dtype.is_integer() {
            let cast = column.strict_cast(&DataType::Int64);
            let cast = cast.map_err(|_| {
                self.wrong_type(at, &dtype, "ids within the range of 64-bit signed integers")
            })?;
            return Ok(BlockIds::Int(self.cells(Ok(cast), |c| Ok(c.i64()?.iter().collect()))?));
        }
        if dtype != DataType::String {
            return Err(self.wrong_type(at, &dtype, "integers or text"));
        }
        let text = |c: &Column| Ok(c.str()?.iter().map(|t| t.map(Box::<str>::from)).collect());
        let cells: Vec<Box<str>> = self.cells(Ok(column.clone()), text)?;
        // Nulls were marked first, so they keep that reason.
        self.mark(at, &cells, |c| c.is_empty(), "empty");
        if kind == IdType::Int {
            let wrong = |c: &str| !c.is_empty() && c.trim().parse::<i64>().is_err();
            self.mark(at, &cells, |c| wrong(c), "not an integer (--id-type int)");
        }
        let ids = BlockIds::Text(cells.iter().map(|c| &**c).collect());
        Ok(if kind == IdType::Int && self.bad.is_empty() { as_ints(ids) } else { ids })
    }

    fn numbers(&mut self, at: usize) -> Result<Vec<f32>> {
        let column = self.column(at)?;
        if !column.dtype().is_primitive_numeric() {
            return Err(self.wrong_type(at, column.dtype(), "numbers"));
        }
        let cast = column.cast(&DataType::Float32);
        let values: Vec<f32> = self.cells(cast, |c| Ok(c.f32()?.iter().collect()))?;
        self.mark(at, &values, |v| !v.is_finite(), "not a finite number");
        Ok(values)
    }

    fn times(&mut self, at: usize, unit: TimeUnit) -> Result<Vec<i64>> {
        let column = self.column(at)?;
        let dtype = column.dtype().clone();
        let to_seconds: Box<dyn Fn(i64) -> i64> = match dtype {
            DataType::Datetime(Unit::Nanoseconds, _) => Box::new(|t| t.div_euclid(1_000_000_000)),
            DataType::Datetime(Unit::Microseconds, _) => Box::new(|t| t.div_euclid(1_000_000)),
            DataType::Datetime(Unit::Milliseconds, _) => Box::new(|t| t.div_euclid(1_000)),
            DataType::Date => Box::new(|t| t.saturating_mul(86_400)),
            ref number if number.is_primitive_numeric() => Box::new(move |t| unit.seconds(t)),
            _ => return Err(self.wrong_type(at, &dtype, "timestamps, dates or numbers")),
        };
        if dtype.is_float() {
            let floats: Vec<f64> =
                self.cells(column.cast(&DataType::Float64), |c| Ok(c.f64()?.iter().collect()))?;
            // Above this bound, doubles no longer represent every whole number.
            self.mark(at, &floats, |t| t.is_nan() || t.abs() >= 9e15, "not a time");
            return Ok(floats.into_iter().map(|t| to_seconds(t.floor() as i64)).collect());
        }
        let cast = column.to_physical_repr().strict_cast(&DataType::Int64);
        let cast = cast.map_err(|_| self.wrong_type(at, &dtype, "times within 64-bit integers"))?;
        let times: Vec<i64> = self.cells(Ok(cast), |c| Ok(c.i64()?.iter().collect()))?;
        Ok(times.into_iter().map(to_seconds).collect())
    }
}

/// Converts text ids to integers, once no bad cell is left.
fn as_ints(ids: BlockIds) -> BlockIds {
    match ids {
        BlockIds::Text(ids) => block_ids(IdType::Int, ids.cells()),
        BlockIds::Int(_) => ids,
    }
}
