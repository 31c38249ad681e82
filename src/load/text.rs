//! Text files, block by block through Polars.

use std::io::Cursor;
use std::sync::Arc;

use polars::prelude::*;
use rayon::prelude::*;

use super::block::{Block, BlockIds, canonical};
use super::columns::Gather;
use super::layout::TextLayout;
use super::source::Input;
use super::strict::{self, TextBlock};
use super::{IdType, TimeUnit};
use crate::error::{Error, Result};

/// Bytes per block, and the most that a single record may take.
const BLOCK: usize = 16 << 20;

/// Reads a whole text input.
pub(super) fn read(
    input: &mut Input,
    layout: &TextLayout,
    gather: &mut Gather<'_>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let fast = FastReader::new(layout, gather.options().id_type, gather.options().time_unit);
    let mut buffer = vec![0; BLOCK];
    let head = std::mem::take(&mut input.head);
    let mut len = head.len() - layout.skip;
    buffer[..len].copy_from_slice(&head[layout.skip..]);
    let (mut line, mut header) = (1, layout.header);
    loop {
        let got = input.read_full(&mut buffer[len..])?;
        len += got;
        let last = len < buffer.len();
        let end = if last { len } else { records_end(&buffer[..len], layout.quote()) };
        if end == 0 {
            if last {
                return Ok(());
            }
            let message = format!("line {line}: a record of more than {} MiB", BLOCK >> 20);
            return Err(Error::Format { path: input.path.clone(), message });
        }
        let mut start = 0;
        if std::mem::take(&mut header) {
            // A header may follow blank lines.
            start = buffer.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
            start += memchr::memchr(b'\n', &buffer[start..end]).map_or(end - start, |at| at + 1);
            line += newlines(&buffer[..start]);
        }
        let block = TextBlock { bytes: &buffer[start..end], line };
        match fast.read(block.bytes) {
            Some(rows) => gather.push(rows)?,
            None => strict::read(block, layout, gather)?,
        }
        progress(input.consumed());
        line += newlines(&buffer[start..end]);
        buffer.copy_within(end..len, 0);
        len -= end;
        if last {
            return Ok(());
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The end of the last whole record: the last line break outside quotes.
fn records_end(bytes: &[u8], quote: Option<u8>) -> usize {
    let last = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    let Some(quote) = quote else { return last };
    if memchr::memchr(quote, bytes).is_none() {
        return last;
    }
    let (mut end, mut inside) = (0, false);
    for at in memchr::memchr2_iter(quote, b'\n', bytes) {
        if bytes[at] == quote {
            inside = !inside;
        } else if !inside {
            end = at + 1;
        }
    }
    end
}

/// Polars on blocks in which nothing is odd.
struct FastReader<'l> {
    layout: &'l TextLayout,
    options: CsvReadOptions,
    kind: IdType,
    unit: TimeUnit,
}

impl<'l> FastReader<'l> {
    fn new(layout: &'l TextLayout, kind: IdType, unit: TimeUnit) -> Self {
        let roles = &layout.roles;
        let columns = layout.names.len();
        let physical = if layout.doubled { 2 * columns - 1 } else { columns };
        // Every column is text unless it is read as a number; only the needed ones are parsed.
        let mut types = vec![DataType::String; physical];
        types[layout.physical(roles.rating)] = DataType::Float32;
        if let Some(column) = roles.weight {
            types[layout.physical(column)] = DataType::Float32;
        }
        if let (Some(column), true) = (roles.time, layout.numeric_time) {
            types[layout.physical(column)] = DataType::Int64;
        }
        let name = |at: usize| PlSmallStr::from_string(format!("c{at}"));
        let fields = types.into_iter().enumerate().map(|(at, dtype)| Field::new(name(at), dtype));
        let schema: Schema = fields.collect();
        let mut projection: Vec<usize> = [Some(roles.user), Some(roles.item), Some(roles.rating)]
            .into_iter()
            .chain([roles.time, roles.weight])
            .flatten()
            .map(|column| layout.physical(column))
            .collect();
        projection.sort_unstable();
        projection.dedup();
        let options = CsvReadOptions::default()
            .with_has_header(false)
            .with_schema(Some(Arc::new(schema)))
            .with_projection(Some(Arc::new(projection)))
            .with_parse_options(
                CsvParseOptions::default()
                    .with_separator(layout.separator)
                    .with_quote_char(layout.quote())
                    .with_missing_is_null(true),
            );
        Self { layout, options, kind, unit }
    }

    /// The rows of a block, or none if anything in it needs the strict reader.
    fn read(&self, bytes: &[u8]) -> Option<Block> {
        let roles = &self.layout.roles;
        // The same column in two roles, quoted cells and blocks without a row are rare: no haste.
        if bytes.iter().all(u8::is_ascii_whitespace) || self.repeated() {
            return None;
        }
        let frame = CsvReader::new(Cursor::new(bytes)).with_options(self.options.clone()).finish().ok()?;
        let column = |at: usize| {
            let column = frame.column(&format!("c{}", self.layout.physical(at))).ok()?;
            (column.null_count() == 0).then_some(column)
        };
        let finite = |at: usize| {
            let values = floats(column(at)?.f32().ok()?);
            values.par_iter().all(|v| v.is_finite()).then_some(values)
        };
        let weights = match roles.weight {
            Some(at) => Some(finite(at).filter(|w| w.iter().all(|&w| w >= 0.0))?),
            None => None,
        };
        let times = match roles.time {
            Some(at) if self.layout.numeric_time => Some(self.numeric_times(column(at)?.i64().ok()?)),
            Some(at) => Some(self.text_times(column(at)?.str().ok()?)?),
            None => None,
        };
        Some(Block {
            users: self.ids(column(roles.user)?.str().ok()?)?,
            items: self.ids(column(roles.item)?.str().ok()?)?,
            values: finite(roles.rating)?,
            weights,
            times,
        })
    }

    fn repeated(&self) -> bool {
        let roles = &self.layout.roles;
        let mut all: Vec<usize> = [Some(roles.user), Some(roles.item), Some(roles.rating), roles.time, roles.weight]
            .into_iter()
            .flatten()
            .collect();
        all.sort_unstable();
        all.windows(2).any(|w| w[0] == w[1])
    }

    fn ids(&self, column: &StringChunked) -> Option<BlockIds> {
        if self.kind != IdType::Text {
            let parse = |text: &str| match self.kind {
                IdType::Int => text.trim().parse().ok(),
                _ => canonical(text.as_bytes()),
            };
            if let Some(ints) = map_cells(column, parse) {
                return Some(BlockIds::Int(ints));
            }
            if self.kind == IdType::Int {
                return None;
            }
        }
        let cells = column.downcast_iter().flat_map(|array| array.values_iter());
        let ids: Vec<Box<str>> = cells.map(Into::into).collect();
        // An empty quoted cell is empty all the same.
        (!ids.iter().any(|id| id.is_empty())).then_some(BlockIds::Text(ids))
    }

    fn numeric_times(&self, column: &Int64Chunked) -> Vec<i64> {
        let mut times = Vec::with_capacity(column.len());
        for array in column.downcast_iter() {
            times.extend(array.values().iter().map(|&t| self.unit.seconds(t)));
        }
        times
    }

    fn text_times(&self, column: &StringChunked) -> Option<Vec<i64>> {
        map_cells(column, |text| self.unit.parse(text))
    }
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

/// Maps every cell in parallel; none if any cell maps to none.
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
