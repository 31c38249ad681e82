//! Cuts text into blocks of whole records.

use std::ops::Range;

use super::input::Input;
use super::quotes::last_whole_line;
use super::text_layout::TextLayout;
use crate::error::{Error, Result};

/// Bytes per block, which is also the maximum length of a record.
const BLOCK: usize = 32 << 20;

/// A block of whole records and its place in the file.
pub(super) struct Piece {
    pub buffer: Vec<u8>,
    pub range: Range<usize>,
    pub line: u64,
    /// Number of lines, blank ones included.
    pub lines: u64,
    /// Bytes of the file read up to the end of the block.
    pub consumed: u64,
}

/// Cuts a stream into blocks of whole records.
pub(super) struct Cutter<'i> {
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
    pub(super) fn new(input: &'i mut Input, layout: &'i TextLayout) -> Self {
        let mut rest = std::mem::take(&mut input.head);
        rest.drain(..layout.skip);
        let (line, header) = (layout.line, layout.header);
        Self { input, layout, rest, line, header, done: false, grown: false }
    }

    /// The next block, read into `buffer` if there is one.
    pub(super) fn next(&mut self, buffer: Option<Vec<u8>>) -> Result<Option<Piece>> {
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
            let message = format!(
                "line {}: a record of more than {} MiB; check the quotation marks (--quote)",
                self.line,
                BLOCK >> 20
            );
            return Err(Error::Format { path: self.input.path.clone(), message });
        }
        let mut start = 0;
        if std::mem::take(&mut self.header) {
            // Blank lines may precede a header.
            start = buffer[..end].iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
            start += memchr::memchr(b'\n', &buffer[start..end]).map_or(end - start, |at| at + 1);
        }
        let line = self.line + newlines(&buffer[..start]);
        let lines = newlines(&buffer[start..end]);
        self.line = line + lines;
        // The last line of a file may have no line break.
        let lines = lines + u64::from(end > start && buffer[end - 1] != b'\n');
        self.rest.clear();
        self.rest.extend_from_slice(&buffer[end..len]);
        Ok(Some(Piece { buffer, range: start..end, line, lines, consumed: self.input.consumed() }))
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
            Some(last_whole_line(bytes, quote, separator)).filter(|&end| end > 0).unwrap_or(last)
        }
        _ => last,
    }
}
