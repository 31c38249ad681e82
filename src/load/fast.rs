//! The fast reader: Polars parses blocks that have no bad or unusual cells.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polars::prelude::*;
use rayon::prelude::*;

use super::block::{Block, BlockIds, RowNumbers, TextIds, canonical, integer};
use super::options::{IdType, LoadOptions};
use super::text_layout::TextLayout;
use super::time::TimeForm;

/// Has Polars parse blocks that have no bad or unusual cells.
pub(super) struct FastReader<'l> {
    layout: &'l TextLayout,
    options: &'l LoadOptions,
    /// The columns that are read, with the times.
    all: CsvReadOptions,
    /// The columns that are read, without the times.
    timeless: CsvReadOptions,
    /// Whether the times are no longer read, because one of them was bad.
    pub without_times: AtomicBool,
}

/// The place of a block in its file.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Number of its first line.
    pub line: u64,
    /// Number of its lines.
    pub lines: u64,
    /// Whether times are read.
    pub times: bool,
}

impl<'l> FastReader<'l> {
    pub(super) fn new(layout: &'l TextLayout, options: &'l LoadOptions) -> Self {
        let roles = &layout.roles;
        let physical = layout.physical_columns();
        // Columns are text unless they are read as numbers. Only the needed columns are parsed.
        let mut types = vec![DataType::String; physical];
        for column in [roles.rating, roles.weight].into_iter().flatten() {
            types[layout.physical(column)] = DataType::Float32;
        }
        if let (Some(column), true) = (roles.time, layout.numeric_time) {
            types[layout.physical(column)] = DataType::Int64;
        }
        let name = |at: usize| PlSmallStr::from_string(format!("c{at}"));
        let fields = types.into_iter().enumerate().map(|(at, dtype)| Field::new(name(at), dtype));
        let schema: Arc<Schema> = Arc::new(fields.collect());
        let read = |time: Option<usize>| {
            let columns = [Some(roles.user), Some(roles.item), roles.rating, time, roles.weight];
            let mut projection: Vec<usize> =
                columns.into_iter().flatten().map(|column| layout.physical(column)).collect();
            projection.sort_unstable();
            CsvReadOptions::default()
                .with_has_header(false)
                .with_n_threads(Some(rayon::current_num_threads()))
                .with_schema(Some(schema.clone()))
                .with_projection(Some(Arc::new(projection)))
                .with_parse_options(
                    CsvParseOptions::default()
                        .with_separator(layout.separator)
                        .with_quote_char(layout.quote())
                        .with_decimal_comma(layout.decimal_comma)
                        .with_missing_is_null(true),
                )
        };
        Self {
            layout,
            options,
            all: read(roles.time),
            timeless: read(None),
            without_times: AtomicBool::new(false),
        }
    }

    /// The columns of a block; `None` if the block needs the strict reader.
    pub(super) fn parse(&self, bytes: &[u8]) -> Option<DataFrame> {
        // The strict reader handles rare cases: quotes, NUL bytes, a block without rows, and a last
        // line that ends with a separator.
        let quoted =
            self.layout.quote().is_some_and(|quote| memchr::memchr(quote, bytes).is_some());
        let empty = bytes.iter().all(u8::is_ascii_whitespace);
        if quoted || empty || bytes.last() == Some(&self.layout.separator) {
            return None;
        }
        let options = match self.without_times.load(Ordering::Relaxed) {
            true => &self.timeless,
            false => &self.all,
        };
        let partial = options
            .projection
            .as_ref()
            .is_some_and(|columns| columns.len() < self.layout.physical_columns());
        if partial && !self.layout.is_regular(bytes) || memchr::memchr(0, bytes).is_some() {
            return None;
        }
        CsvReader::new(Cursor::new(bytes)).with_options(options.clone()).finish().ok()
    }

    /// The rows of a parsed block; `None` if a cell is bad or odd.
    pub(super) fn convert(&self, frame: &DataFrame, place: Place) -> Option<Block> {
        // Every line must be a row. Only the strict reader knows blank lines.
        if frame.height() as u64 != place.lines {
            return None;
        }
        let roles = &self.layout.roles;
        let column = |at: usize| {
            let column = frame.column(&format!("c{}", self.layout.physical(at))).ok()?;
            (column.null_count() == 0).then_some(column)
        };
        let finite = |at: usize| {
            let values = floats(column(at)?.f32().ok()?);
            values.par_iter().all(|v| v.is_finite()).then_some(values)
        };
        let times = |at: usize| {
            let form = self.layout.time.as_ref()?;
            match self.layout.numeric_time {
                true => Some(numeric_times(form, column(at)?.i64().ok()?)),
                false => map_cells(column(at)?.str().ok()?, |text| form.parse(text)),
            }
        };
        let time = roles.time.filter(|_| place.times);
        let ids = |at: usize| self.ids(column(at)?.str().ok()?, &self.layout.names[at]);
        let ((users, items), ((values, weights), times)) = rayon::join(
            || rayon::join(|| ids(roles.user), || ids(roles.item)),
            || {
                let numbers = || (roles.rating.map(finite), roles.weight.map(finite));
                rayon::join(numbers, || time.map(times))
            },
        );
        let (users, items) = (users?, items?);
        let counts = self.options.counts;
        let values = match values {
            Some(values) => values.filter(|v| !counts || v.par_iter().all(|&v| v >= 0.0))?,
            None => vec![1.0; frame.height()],
        };
        let weights = match weights {
            Some(weights) => Some(weights.filter(|w| w.iter().all(|&w| w >= 0.0))?),
            None => None,
        };
        let times = match times {
            Some(times) => Some(times?),
            None => None,
        };
        let numbers = RowNumbers::From(place.line);
        Some(Block { numbers, users, items, values, weights, times })
    }

    /// The ids of a column; `None` for one that the strict reader must look at.
    fn ids(&self, column: &StringChunked, name: &str) -> Option<BlockIds> {
        let LoadOptions { id_type, trim, null_ids, .. } = self.options;
        let trim = *trim;
        if *id_type != IdType::Text {
            let parse = |text: &str| match id_type {
                IdType::Int => integer(text),
                _ => canonical(cut(text, trim).as_bytes()),
            };
            if let Some(ints) = map_cells(column, parse) {
                return Some(BlockIds::Int(ints));
            }
            if *id_type == IdType::Int {
                return None;
            }
        }
        let cells = column.downcast_iter().flat_map(|array| array.values_iter());
        let ids: TextIds = cells.map(|text| cut(text, trim)).collect();
        let header = self.layout.header;
        let special = |id: &str| id.is_empty() || header && id == name;
        let unusual = |id: &str| special(id) || null_ids.iter().any(|null| null == id.trim());
        (!ids.unique.iter().any(|id| unusual(id))).then_some(BlockIds::Text(ids))
    }
}

/// The text of an id, without blanks around it if `trim`.
fn cut(text: &str, trim: bool) -> &str {
    if trim { text.trim() } else { text }
}

fn numeric_times(form: &TimeForm, column: &Int64Chunked) -> Vec<i64> {
    let mut times = Vec::with_capacity(column.len());
    for array in column.downcast_iter() {
        times.extend(array.values().iter().map(|&t| form.unit.seconds(t)));
    }
    times
}

fn floats(column: &Float32Chunked) -> Vec<f32> {
    let mut values = Vec::with_capacity(column.len());
    for array in column.downcast_iter() {
        values.extend_from_slice(array.values());
    }
    values
}

/// Cells per task.
const CELLS: usize = 1 << 15;

/// Maps every cell in parallel; `None` if any cell maps to `None`.
fn map_cells<T: Send + Default + Clone>(
    column: &StringChunked,
    map: impl Fn(&str) -> Option<T> + Sync,
) -> Option<Vec<T>> {
    let mut out = vec![T::default(); column.len()];
    let mut rest = &mut out[..];
    for array in column.downcast_iter() {
        let (own, others) = rest.split_at_mut(array.len());
        rest = others;
        let complete = own.par_chunks_mut(CELLS).enumerate().all(|(chunk, out)| {
            let cells = (chunk * CELLS..).take(out.len());
            out.iter_mut().zip(cells).all(|(out, at)| match map(array.value(at)) {
                Some(value) => {
                    *out = value;
                    true
                }
                None => false,
            })
        });
        if !complete {
            return None;
        }
    }
    Some(out)
}
