//! Reads Parquet files slice by slice.

use std::collections::HashSet;
use std::path::Path;

use polars::prelude::{Column, DataFrame, DataType, PolarsResult, TimeUnit as Unit};

use super::block::{Block, BlockIds, RowNumbers, integer};
use super::collector::Collector;
use super::format::{FileLayout, Format};
use super::id_column::block_ids;
use super::input::Input;
use super::options::{IdType, LoadOptions};
use super::parquet_layout::{ParquetLayout, Rows, read_rows, unreadable};
use super::reports::NEGATIVE_COUNT;
use super::roles::{InputColumns, Roles};
use super::sample::wrong;
use crate::error::{Error, Result};

/// Rows per slice.
const SLICE: usize = 1 << 21;

/// Apache Parquet.
pub(super) struct Parquet;

impl Format for Parquet {
    fn extensions(&self) -> &'static [&'static str] {
        &["parquet", "pq"]
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
        self.input_columns()
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
    let size = input.size.unwrap_or(0);
    for from in (0..layout.rows).step_by(SLICE) {
        let rows = Rows { from, count: SLICE };
        let ParquetLayout { roles, contents, bytes, .. } = layout;
        let frame = read_rows(input, bytes.as_ref(), roles, contents, rows)?;
        Slice { path: &input.path, frame: &frame, layout, bad: Vec::new() }.read(from, gather)?;
        let done = (from + SLICE).min(layout.rows) as f64 / layout.rows as f64;
        progress((size as f64 * done) as u64);
    }
    Ok(())
}

/// A slice of the file, and its bad cells.
struct Slice<'a> {
    path: &'a Path,
    frame: &'a DataFrame,
    layout: &'a ParquetLayout,
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
    fn read(mut self, offset: usize, gather: &mut Collector<'_>) -> Result<()> {
        let options = gather.options();
        let LoadOptions { id_type: kind, counts, .. } = *options;
        let Roles { user, item, rating, time, weight } = self.layout.roles;
        let time = time.filter(|_| !gather.times_are_off());
        let number = |row: usize| (offset + row + 1) as u64;
        let times = time.map(|at| self.times(at)).transpose()?;
        if !gather.needs_times() {
            self.bad.sort_by_key(|bad| bad.row);
            if let Some(BadCell { row, column, text, .. }) = self.bad.first() {
                gather.bad_time(number(*row), &self.layout.names[*column], text);
            }
            self.bad.clear();
        }
        let mut block = Block {
            numbers: RowNumbers::From(number(0)),
            users: self.ids(user, options)?,
            items: self.ids(item, options)?,
            values: match rating {
                Some(at) => self.numbers(at)?,
                None => vec![1.0; self.frame.height()],
            },
            weights: weight.map(|at| self.numbers(at)).transpose()?,
            times,
        };
        let left_out = self.left_out(&block, options, gather)?;
        if let (true, Some(column)) = (counts, rating) {
            self.mark(column, &block.values, |v| v.is_finite() && *v < 0.0, NEGATIVE_COUNT);
        }
        if let (Some(weights), Some(column)) = (&block.weights, weight) {
            self.mark(column, weights, |w| w.is_finite() && *w < 0.0, "negative weight");
        }
        self.bad.retain(|bad| left_out.is_empty() || !left_out[bad.row]);
        if self.bad.is_empty() && left_out.is_empty() {
            block.users = typed(block.users, kind);
            block.items = typed(block.items, kind);
            return gather.push(block);
        }
        // Each row gets one message.
        self.bad.sort_by_key(|b| b.row);
        self.bad.dedup_by_key(|b| b.row);
        let mut keep: Vec<bool> = match left_out.is_empty() {
            true => vec![true; block.rows()],
            false => left_out.iter().map(|left_out| !left_out).collect(),
        };
        for BadCell { row, column, text, reason } in &self.bad {
            keep[*row] = false;
            gather.reject(number(*row), &self.layout.names[*column], text, reason)?;
        }
        block.retain(&keep);
        block.users = typed(block.users, kind);
        block.items = typed(block.items, kind);
        gather.push(block)
    }

    /// Which rows are left out because they have no id, or a rating that means that there is none.
    /// Empty if none are.
    fn left_out(
        &self,
        block: &Block,
        options: &LoadOptions,
        gather: &mut Collector<'_>,
    ) -> Result<Vec<bool>> {
        let LoadOptions { null_ids, drop_ratings, .. } = options;
        if null_ids.is_empty() && drop_ratings.is_empty() {
            return Ok(Vec::new());
        }
        let mut left_out = vec![false; block.rows()];
        if !null_ids.is_empty() {
            for (ids, at) in
                [(&block.users, self.layout.roles.user), (&block.items, self.layout.roles.item)]
            {
                let none = |id: &str| id.is_empty() || null_ids.iter().any(|null| null == id);
                let column = self.frame.column(&self.layout.names[at]);
                let nulls = column.map_err(|e| unreadable(self.path, &e))?.is_null();
                for (row, null) in nulls.iter().enumerate() {
                    left_out[row] |= null == Some(true);
                }
                if let BlockIds::Text(ids) = ids {
                    for (row, id) in ids.cells().enumerate() {
                        left_out[row] |= none(id.trim());
                    }
                }
            }
            left_out
                .iter()
                .filter(|left_out| **left_out)
                .for_each(|_| gather.leave_out_without_id());
        }
        // A bad rating has no value.
        let rating = self.layout.roles.rating;
        let bad = self.bad.iter().filter(|bad| Some(bad.column) == rating).map(|bad| bad.row);
        let bad: HashSet<usize> = bad.collect();
        for (row, value) in block.values.iter().enumerate() {
            if !left_out[row] && drop_ratings.contains(value) && !bad.contains(&row) {
                left_out[row] = true;
                gather.leave_out_rating();
            }
        }
        Ok(left_out)
    }

    /// Returns a column and marks its nulls as bad.
    fn column(&mut self, at: usize) -> Result<Column> {
        let column = self.frame.column(&self.layout.names[at]).cloned();
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
        let name = &self.layout.names[at];
        wrong(self.path, format!("column \"{name}\" holds {dtype:?}, not {needed}"))
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

    fn ids(&mut self, at: usize, options: &LoadOptions) -> Result<BlockIds> {
        let column = self.column(at)?;
        let dtype = column.dtype().clone();
        if dtype.is_float() {
            let floats: Vec<f64> =
                self.cells(column.cast(&DataType::Float64), |c| Ok(c.f64()?.iter().collect()))?;
            self.mark(at, &floats, |id| whole(*id).is_none(), "not an integer");
            return Ok(BlockIds::Int(
                floats.into_iter().map(|id| whole(id).unwrap_or(0)).collect(),
            ));
        }
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
        let cut = |text: &str| Box::<str>::from(if options.trim { text.trim() } else { text });
        let text = |c: &Column| Ok(c.str()?.iter().map(|t| t.map(cut)).collect());
        let cells: Vec<Box<str>> = self.cells(Ok(column.clone()), text)?;
        // Nulls were marked first, so they keep that reason.
        self.mark(at, &cells, |c| c.is_empty(), "empty");
        if options.id_type == IdType::Int {
            let wrong = |c: &str| !c.is_empty() && integer(c).is_none();
            self.mark(at, &cells, |c| wrong(c), "not an integer (--id-type int)");
        }
        Ok(BlockIds::Text(cells.iter().map(|c| &**c).collect()))
    }

    fn numbers(&mut self, at: usize) -> Result<Vec<f32>> {
        let column = self.column(at)?;
        if *column.dtype() == DataType::String {
            let text = |c: &Column| Ok(c.str()?.iter().map(|t| t.map(str::to_owned)).collect());
            let cells: Vec<String> = self.cells(Ok(column), text)?;
            let parse = |cell: &String| cell.trim().parse::<f32>().ok().filter(|v| v.is_finite());
            self.mark(at, &cells, |cell| parse(cell).is_none(), "not a number");
            return Ok(cells.iter().map(|cell| parse(cell).unwrap_or(0.0)).collect());
        }
        if !column.dtype().is_primitive_numeric() {
            return Err(self.wrong_type(at, column.dtype(), "numbers"));
        }
        let cast = column.cast(&DataType::Float32);
        let values: Vec<f32> = self.cells(cast, |c| Ok(c.f32()?.iter().collect()))?;
        self.mark(at, &values, |v| !v.is_finite(), "not a finite number");
        Ok(values)
    }

    fn times(&mut self, at: usize) -> Result<Vec<i64>> {
        let mut column = self.column(at)?;
        let form = &self.layout.time;
        // Dates of eight digits are numbers that have a format.
        if form.format.is_some() && column.dtype().is_primitive_numeric() {
            let text = column.cast(&DataType::String);
            column = text.map_err(|e| unreadable(self.path, &e))?;
        }
        let dtype = column.dtype().clone();
        let to_seconds: Box<dyn Fn(i64) -> i64> = match dtype {
            DataType::Datetime(Unit::Nanoseconds, _) => Box::new(|t| t.div_euclid(1_000_000_000)),
            DataType::Datetime(Unit::Microseconds, _) => Box::new(|t| t.div_euclid(1_000_000)),
            DataType::Datetime(Unit::Milliseconds, _) => Box::new(|t| t.div_euclid(1_000)),
            DataType::Date => Box::new(|t| t.saturating_mul(86_400)),
            DataType::String => {
                let text = |c: &Column| Ok(c.str()?.iter().map(|t| t.map(str::to_owned)).collect());
                let cells: Vec<String> = self.cells(Ok(column), text)?;
                self.mark(at, &cells, |cell| form.parse(cell).is_none(), "not a time");
                return Ok(cells.iter().map(|cell| form.parse(cell).unwrap_or(0)).collect());
            }
            ref number if number.is_primitive_numeric() => Box::new(|t| form.unit.seconds(t)),
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

/// A whole number as an integer; `None` if it has a fraction, or if doubles do not represent all
/// whole numbers of its size.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// Converts text ids to the type that the options specify, once no bad cell is left.
fn typed(ids: BlockIds, kind: IdType) -> BlockIds {
    match ids {
        BlockIds::Text(ids) if kind == IdType::Int => block_ids(kind, ids.cells()),
        ids => ids,
    }
}
