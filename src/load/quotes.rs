//! Quotation marks in text files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The quotation mark that a user specified: one ASCII mark, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuoteMark(Option<u8>);

/// The error for a text that is not a [`QuoteMark`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it needs none or one mark, such as \" or '")]
pub struct NoMark;

impl std::str::FromStr for QuoteMark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        match *text.as_bytes() {
            [mark] if mark.is_ascii_punctuation() => Ok(Self(Some(mark))),
            _ if text == "none" => Ok(Self(None)),
            _ => Err(NoMark),
        }
    }
}

impl TryFrom<String> for QuoteMark {
    type Error = NoMark;

    fn try_from(text: String) -> Result<Self, NoMark> {
        text.parse()
    }
}

impl From<QuoteMark> for String {
    fn from(quote: QuoteMark) -> Self {
        quote.to_string()
    }
}

impl std::fmt::Display for QuoteMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(mark) => write!(f, "{}", char::from(mark)),
            None => f.write_str("none"),
        }
    }
}

/// The quotation marks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quotes {
    /// The mark.
    pub mark: u8,
    /// Whether the user specified it. A quoted cell may then contain any lines.
    pub trusted: bool,
}

impl Quotes {
    /// The quotation marks that the user specified, or those of the format.
    pub(super) fn new(specified: Option<QuoteMark>, usual: bool) -> Option<Self> {
        match specified {
            Some(QuoteMark(mark)) => mark.map(|mark| Self { mark, trusted: true }),
            None => usual.then_some(Self { mark: b'"', trusted: false }),
        }
    }
}

/// How a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// A quoted cell is never closed.
    Open,
    /// A quoted cell runs over this many lines, and at least one of them looks like a row.
    Suspect(usize),
}

/// The layout of a record, as far as its cells depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    /// The byte between two cells.
    pub separator: u8,
    /// Whether the separator is this byte twice. An empty cell then stands between two cells.
    pub doubled: bool,
    /// The quotation marks, if there are any.
    pub quotes: Option<Quotes>,
    /// The number of cells of a good row.
    pub columns: usize,
    /// The positions of the cells that are needed; `None` if all are.
    pub needed: Option<Needed>,
}

/// The positions of at most five needed cells. Unused entries repeat another one.
pub(super) type Needed = [usize; 5];

impl Cells {
    /// Reads the record at the start of `bytes` into `cells`. Returns the length of the record with
    /// its line break, and how it ends.
    ///
    /// Cells are quoted as in RFC 4180: a cell begins with the mark, marks inside it are doubled,
    /// and a separator or a line end follows the closing mark. A cell that begins with a mark and
    /// has other marks in its line, but none that closes it, is taken as it is.
    pub(super) fn read<'t>(
        &self,
        bytes: &'t [u8],
        cells: &mut Vec<Cow<'t, [u8]>>,
    ) -> (usize, Ending) {
        cells.clear();
        if self.doubled {
            return (self.split(bytes, cells), Ending::Whole);
        }
        let mut at = 0;
        loop {
            let mut end = None;
            if let Some(quotes) = self.quotes.filter(|quotes| bytes.get(at) == Some(&quotes.mark)) {
                match self.quoted(quotes, bytes, at) {
                    Quoted::Cell(close) => {
                        cells.push(unescaped(&bytes[at + 1..close], quotes.mark));
                        end = Some(close + 1);
                    }
                    Quoted::Plain => {}
                    // In a cell that is not needed, a mark that nothing closes is text.
                    Quoted::Bad(Ending::Open) if !self.needs(cells.len()) && self.is_row(bytes) => {
                    }
                    Quoted::Bad(ending) => return (line_end(bytes, at), ending),
                }
            }
            let end = end.unwrap_or_else(|| {
                let rest = &bytes[at..];
                let len = memchr::memchr3(self.separator, b'\n', b'\r', rest).unwrap_or(rest.len());
                cells.push(Cow::Borrowed(&rest[..len]));
                at + len
            });
            match bytes.get(end) {
                Some(&byte) if byte == self.separator => at = end + 1,
                Some(b'\r') if bytes.get(end + 1) == Some(&b'\n') => {
                    return (end + 2, Ending::Whole);
                }
                Some(_) => return (end + 1, Ending::Whole),
                None => return (end, Ending::Whole),
            }
        }
    }

    /// Splits the first line at doubled separators. Returns its length with the line break.
    fn split<'t>(&self, bytes: &'t [u8], cells: &mut Vec<Cow<'t, [u8]>>) -> usize {
        let length = line_end(bytes, 0);
        let line = &bytes[..length];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
        let two = [self.separator; 2];
        while let Some(at) = memchr::memmem::find(rest, &two) {
            cells.push(Cow::Borrowed(&rest[..at]));
            cells.push(Cow::Borrowed(&[]));
            rest = &rest[at + 2..];
        }
        cells.push(Cow::Borrowed(rest));
        length
    }

    /// Whether the cell at a position is needed.
    fn needs(&self, at: usize) -> bool {
        self.needed.is_none_or(|needed| needed.contains(&at))
    }

    /// Whether the first line has as many separators as a good row.
    fn is_row(&self, bytes: &[u8]) -> bool {
        let line = &bytes[..line_end(bytes, 0)];
        memchr::memchr_iter(self.separator, line).count() + 1 == self.columns
    }

    /// What the mark at the start of a cell means.
    fn quoted(&self, quotes: Quotes, bytes: &[u8], start: usize) -> Quoted {
        let line = line_end(bytes, start);
        let closes = |at: usize| match bytes.get(at + 1) {
            Some(&next) => next == self.separator || matches!(next, b'\n' | b'\r'),
            None => true,
        };
        let (mut from, mut others) = (start + 1, false);
        loop {
            let Some(len) = memchr::memchr(quotes.mark, &bytes[from.min(bytes.len())..]) else {
                return if others { Quoted::Plain } else { Quoted::Bad(Ending::Open) };
            };
            let at = from + len;
            let elsewhere = at >= line;
            if elsewhere && others {
                return Quoted::Plain;
            }
            if bytes.get(at + 1) == Some(&quotes.mark) {
                from = at + 2;
            } else if closes(at) {
                let lines = memchr::memchr_iter(b'\n', &bytes[start..at]).count() + 1;
                let suspect = !quotes.trusted && self.swallows_rows(bytes, line, at);
                return if suspect {
                    Quoted::Bad(Ending::Suspect(lines))
                } else {
                    Quoted::Cell(at)
                };
            } else if elsewhere {
                return Quoted::Bad(Ending::Open);
            } else {
                (from, others) = (at + 1, true);
            }
        }
    }

    /// Whether a quoted cell contains whole rows: a line inside it has as many separators as a good
    /// row, or both the line where it begins and the one where it ends do.
    ///
    /// `from` is the end of its first line, and `to` the closing mark.
    fn swallows_rows(&self, bytes: &[u8], from: usize, to: usize) -> bool {
        let mut at = from;
        while at <= to {
            let end = line_end(bytes, at);
            let last = end > to;
            if self.is_row(&bytes[at..]) && (!last || self.is_row(bytes)) {
                return true;
            }
            at = end.max(at + 1);
        }
        false
    }
}

/// What the mark at the start of a cell means.
enum Quoted {
    /// The cell is quoted and closed by the mark at this position.
    Cell(usize),
    /// The mark is part of the text.
    Plain,
    /// The record cannot be read.
    Bad(Ending),
}

/// The end of the line at a position, with its break.
fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |len| at + len + 1)
}

/// The text of a quoted cell, without the doubling of marks.
fn unescaped(text: &[u8], mark: u8) -> Cow<'_, [u8]> {
    if memchr::memchr(mark, text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut second = false;
    for &byte in text {
        second = byte == mark && !second;
        if byte != mark || second {
            out.push(byte);
        }
    }
    Cow::Owned(out)
}

/// The end of the last line that ends outside quotes.
///
/// A quote opens only at the beginning of a cell and closes unless it is doubled.
pub(super) fn last_whole_line(bytes: &[u8], quote: u8, separator: u8) -> usize {
    let (mut end, mut inside, mut skip) = (0, false, usize::MAX);
    for at in memchr::memchr2_iter(quote, b'\n', bytes) {
        if bytes[at] != quote {
            if !inside {
                end = at + 1;
            }
        } else if at == skip {
            // The second of two quotes inside a cell.
        } else if inside && bytes.get(at + 1) == Some(&quote) {
            skip = at + 1;
        } else if inside {
            inside = false;
        } else {
            inside = at == 0 || bytes[at - 1] == separator || bytes[at - 1] == b'\n';
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, trusted: bool) -> (Vec<String>, usize, Ending) {
        let quotes = Some(Quotes { mark: b'"', trusted });
        let layout = Cells { separator: b',', doubled: false, quotes, columns: 3, needed: None };
        let mut cells = Vec::new();
        let (len, ending) = layout.read(text.as_bytes(), &mut cells);
        let shown = |cell: &Cow<'_, [u8]>| String::from_utf8_lossy(cell).into_owned();
        (cells.iter().map(shown).collect(), len, ending)
    }

    #[test]
    fn cells_are_quoted_only_if_a_mark_closes_them() {
        for (text, cells) in [
            ("1,\"a,b\",3\n4,5,6", ["1", "a,b", "3"]),
            ("1,\"a \"\"b\"\"\",3\r\n", ["1", "a \"b\"", "3"]),
            ("1,\"weird al\" x,3\n", ["1", "\"weird al\" x", "3"]),
            ("1,6\" pipe,3", ["1", "6\" pipe", "3"]),
            ("1,,\"\"\n", ["1", "", ""]),
            ("1,\"two\nlines\",3\n", ["1", "two\nlines", "3"]),
        ] {
            let (found, len, ending) = read(text, false);
            let cells = cells.map(str::to_owned).to_vec();
            assert_eq!((found, ending), (cells, Ending::Whole), "{text}");
            assert!(len <= text.len() && (len == text.len() || text[..len].ends_with('\n')));
        }
    }

    #[test]
    fn a_cell_that_swallows_rows_is_suspect() {
        let rows = "1,\"live,4\n2,5,3\n3,\"live\",5\n";
        assert_eq!(read(rows, false).2, Ending::Open, "the next mark opens a cell of its own");
        let rows = "1,\"live,4\n2,live\",5\n";
        assert_eq!(read(rows, false).2, Ending::Suspect(2));
        let rows = "\"two\nlines\",2,3\n1,2,\"two\nlines\"\n";
        assert_eq!((read(rows, false).1, read(rows, false).2), (16, Ending::Whole));
        assert_eq!(read(&rows[16..], false).2, Ending::Whole);
        let rows = "1,\"live,4\n2,5,3\n3,live\",5\n";
        assert_eq!((read(rows, false).1, read(rows, false).2), (10, Ending::Suspect(3)));
        assert_eq!(read(rows, true).2, Ending::Whole);
        assert_eq!(read("1,\"live,4\n2,5,3\n", false).2, Ending::Open);
    }

    #[test]
    fn one_byte_of_a_doubled_separator_is_text() {
        let (quotes, needed) = (None, None);
        let layout = Cells { separator: b':', doubled: true, quotes, columns: 5, needed };
        let mut cells = Vec::new();
        let found = layout.read(b"1::a:b::\"3\r\n4", &mut cells);
        assert_eq!(found, (12, Ending::Whole));
        assert_eq!(cells, [&b"1"[..], b"", b"a:b", b"", b"\"3"].map(Cow::Borrowed));
    }

    #[test]
    fn a_mark_in_a_cell_that_is_not_needed_is_text() {
        let quotes = Some(Quotes { mark: b'"', trusted: false });
        let needed = Some([0, 2, 0, 0, 0]);
        let layout = Cells { separator: b',', doubled: false, quotes, columns: 3, needed };
        let mut cells = Vec::new();
        for rows in ["1,\"live,4\n2,\"live,3\n", "1,\"live,4\n"] {
            let found = layout.read(rows.as_bytes(), &mut cells);
            assert_eq!((found, cells.len(), &*cells[1]), ((10, Ending::Whole), 3, &b"\"live"[..]));
        }
        // Where the row would not be good without its marks, it stays bad.
        let rows = "1,\"a,b,4\n2,5,3\n";
        assert_eq!(layout.read(rows.as_bytes(), &mut cells).1, Ending::Open);
        let rows = "1,\"live,4\n2,5,3\n3,live\",5\n";
        assert_eq!(layout.read(rows.as_bytes(), &mut cells).1, Ending::Suspect(3));
        let rows = "\"1,live,4\n2,5,3\n";
        assert_eq!(layout.read(rows.as_bytes(), &mut cells).1, Ending::Open);
    }

    #[test]
    fn marks_have_names() {
        for text in ["none", "\"", "'"] {
            assert_eq!(text.parse::<QuoteMark>().map(|mark| mark.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "x", "\"\"", "«"] {
            assert_eq!(text.parse::<QuoteMark>(), Err(NoMark), "{text}");
        }
    }
}
