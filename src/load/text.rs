//! Reads text files block by block with Polars.

use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use polars::prelude::*;
use rayon::prelude::*;

use super::block::{Block, BlockIds, canonical};
use super::columns::Collector;
use super::format::{FileLayout, Format};
use super::input::Input;
use super::options::{IdType, LoadOptions};
use super::quotes::scan_quotes;
use super::roles::{InputColumns, id_names};
use super::strict::{self, TextBlock};
use super::text_layout::{TextLayout, recognise_text};
use super::time::TimeUnit;
use crate::error::{Error, Result};

/// Bytes per block, which is also the maximum length of a record.
const BLOCK: usize = 32 << 20;

/// A block of whole records and its place in the file.
struct Piece {
    buffer: Vec<u8>,
    range: Range<usize>,
    line: u64,
    /// Bytes of the file read up to the end of the block.
    consumed: u64,
}

/// Text with one row per line: the format of every file that has no other.
pub(super) struct Text;

impl Format for Text {
    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "tsv", "dat", "data", "txt"]
    }

    fn fits(&self, _: &[u8]) -> bool {
        true
    }

    fn recognise(&self, input: &mut Input, options: &LoadOptions) -> Result<Box<dyn FileLayout>> {
        Ok(Box::new(recognise_text(&input.path, &input.head, options)?))
    }
}

impl FileLayout for TextLayout {
    fn columns(&self) -> InputColumns {
        let names = id_names(&self.names, &self.roles);
        InputColumns { described: self.describe(), names, integers: None }
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

/// Reads a whole text input.
///
/// One thread cuts blocks, a second parses them with Polars, and this one converts them.
fn read(
    input: &mut Input,
    layout: &TextLayout,
    gather: &mut Collector<'_>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let fast = FastReader::new(layout, gather.options());
    let (full, pieces) = sync_channel(1);
    let (parsed, frames) = sync_channel(1);
    let (give_back, empty) = sync_channel(2);
    std::thread::scope(|scope| {
        // This closure owns the channel ends, so the other threads end when it returns early.
        let (frames, give_back, fast) = (frames, give_back, &fast);
        scope.spawn(move || {
            let mut cutter = Cutter::new(input, layout);
            while let Some(piece) = cutter.next(empty.try_recv().ok()).transpose() {
                if full.send(piece).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            for piece in pieces {
                let parse = |piece: Piece| {
                    let frame = fast.parse(&piece.buffer[piece.range.clone()]);
                    (piece, frame)
                };
                if parsed.send(piece.map(parse)).is_err() {
                    return;
                }
            }
        });
        for piece in frames {
            let (Piece { buffer, range, line, consumed }, frame) = piece?;
            match frame.and_then(|frame| fast.convert(&frame)) {
                Some(rows) => gather.push(rows)?,
                None => strict::read(TextBlock { bytes: &buffer[range], line }, layout, gather)?,
            }
            progress(consumed);
            // If the channel is full, there are enough buffers.
            let _ = give_back.try_send(buffer);
        }
        Ok(())
    })
}

/// Cuts a stream into blocks of whole records.
struct Cutter<'i> {
    input: &'i mut Input,
    layout: &'i TextLayout,
    /// The bytes after the last whole record.
    rest: Vec<u8>,
    line: u64,
    header: bool,
    done: bool,
    /// The file is larger than when it was opened.
    grown: bool,
}

impl<'i> Cutter<'i> {
    fn new(input: &'i mut Input, layout: &'i TextLayout) -> Self {
        let mut rest = std::mem::take(&mut input.head);
        rest.drain(..layout.skip);
        Self { input, layout, rest, line: 1, header: layout.header, done: false, grown: false }
    }

    /// The next block, read into `buffer` if there is one.
    fn next(&mut self, buffer: Option<Vec<u8>>) -> Result<Option<Piece>> {
        if self.done {
            return Ok(None);
        }
        let mut buffer = buffer.unwrap_or_default();
        // A small file needs no large buffer. One extra byte detects the end of the file.
        let size = match self.input.left() {
            Some(left) if !self.grown => BLOCK.min(self.rest.len() + left as usize + 1),
            _ => BLOCK,
        };
        buffer.resize(size, 0);
        buffer[..self.rest.len()].copy_from_slice(&self.rest);
        let len = self.rest.len() + self.input.read_full(&mut buffer[self.rest.len()..])?;
        self.done = len < buffer.len();
        self.grown = !self.done && size < BLOCK;
        let end = if self.done {
            len
        } else {
            records_end(&buffer[..len], self.layout.quote(), self.layout.separator)
        };
        if end == 0 && self.grown {
            // The file has grown while it was read. Its record may fit into a whole block.
            self.rest = buffer[..len].to_vec();
            return self.next(Some(buffer));
        }
        if end == 0 && !self.done {
            let message = format!("line {}: a record of more than {} MiB", self.line, BLOCK >> 20);
            return Err(Error::Format { path: self.input.path.clone(), message });
        }
        let mut start = 0;
        if std::mem::take(&mut self.header) {
            // Blank lines may precede a header.
            start = buffer[..end].iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
            start += memchr::memchr(b'\n', &buffer[start..end]).map_or(end - start, |at| at + 1);
        }
        let line = self.line + newlines(&buffer[..start]);
        self.line = line + newlines(&buffer[start..end]);
        self.rest.clear();
        self.rest.extend_from_slice(&buffer[end..len]);
        Ok(Some(Piece { buffer, range: start..end, line, consumed: self.input.consumed() }))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The end of the last whole record: the last line break outside quotes.
fn records_end(bytes: &[u8], quote: Option<u8>, separator: u8) -> usize {
    let last = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    match quote {
        Some(quote) if memchr::memchr(quote, bytes).is_some() => {
            // If a quote is never closed, the block ends at the last line break. The strict reader
            // rejects the line with the quote and continues after it.
            Some(scan_quotes(bytes, quote, separator).0).filter(|&end| end > 0).unwrap_or(last)
        }
        _ => last,
    }
}

/// Parses blocks without bad or unusual cells with Polars.
struct FastReader<'l> {
    layout: &'l TextLayout,
    options: CsvReadOptions,
    kind: IdType,
    unit: TimeUnit,
    counts: bool,
    /// Whether some columns are not read.
    partial: bool,
}

impl<'l> FastReader<'l> {
    fn new(layout: &'l TextLayout, options: &LoadOptions) -> Self {
        let (kind, unit, counts) = (options.id_type, options.time_unit, options.counts);
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
        let schema: Schema = fields.collect();
        let mut projection: Vec<usize> = [Some(roles.user), Some(roles.item), roles.rating]
            .into_iter()
            .chain([roles.time, roles.weight])
            .flatten()
            .map(|column| layout.physical(column))
            .collect();
        projection.sort_unstable();
        projection.dedup();
        let partial = projection.len() < physical;
        let options = CsvReadOptions::default()
            .with_has_header(false)
            .with_n_threads(Some(rayon::current_num_threads()))
            .with_schema(Some(Arc::new(schema)))
            .with_projection(Some(Arc::new(projection)))
            .with_parse_options(
                CsvParseOptions::default()
                    .with_separator(layout.separator)
                    .with_quote_char(layout.quote())
                    .with_missing_is_null(true),
            );
        Self { layout, options, kind, unit, counts, partial }
    }

    /// The columns of a block; `None` if the block needs the strict reader.
    fn parse(&self, bytes: &[u8]) -> Option<DataFrame> {
        // The strict reader handles rare cases: a column with two roles, quotes, a block without
        // rows, and a last line that ends with a separator.
        let quoted =
            self.layout.quote().is_some_and(|quote| memchr::memchr(quote, bytes).is_some());
        let empty = bytes.iter().all(u8::is_ascii_whitespace);
        if quoted || empty || self.repeated() || bytes.last() == Some(&self.layout.separator) {
            return None;
        }
        if self.partial && !self.layout.is_regular(bytes) {
            return None;
        }
        CsvReader::new(Cursor::new(bytes)).with_options(self.options.clone()).finish().ok()
    }

    /// The rows of a parsed block; `None` if a cell is bad.
    fn convert(&self, frame: &DataFrame) -> Option<Block> {
        let roles = &self.layout.roles;
        let column = |at: usize| {
            let column = frame.column(&format!("c{}", self.layout.physical(at))).ok()?;
            (column.null_count() == 0).then_some(column)
        };
        let finite = |at: usize| {
            let values = floats(column(at)?.f32().ok()?);
            values.par_iter().all(|v| v.is_finite()).then_some(values)
        };
        let times = |at: usize| match self.layout.numeric_time {
            true => Some(self.numeric_times(column(at)?.i64().ok()?)),
            false => self.text_times(column(at)?.str().ok()?),
        };
        let ids = |at: usize| self.ids(column(at)?.str().ok()?);
        let ((users, items), ((values, weights), times)) = rayon::join(
            || rayon::join(|| ids(roles.user), || ids(roles.item)),
            || {
                let numbers = || (roles.rating.map(finite), roles.weight.map(finite));
                rayon::join(numbers, || roles.time.map(times))
            },
        );
        let users = users?;
        let values = match values {
            Some(values) => values.filter(|v| !self.counts || v.par_iter().all(|&v| v >= 0.0))?,
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
        Some(Block { users, items: items?, values, weights, times })
    }

    fn repeated(&self) -> bool {
        let roles = &self.layout.roles;
        let mut all: Vec<usize> =
            [Some(roles.user), Some(roles.item), roles.rating, roles.time, roles.weight]
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
        Some(BlockIds::Text(cells.collect()))
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
