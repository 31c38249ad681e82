//! The layout of a text file.

use super::quotes::{Cells, Quotes};
use super::reports::ColumnReport;
use super::roles::{InputColumns, Roles, describe_roles, id_names};
use super::time::TimeForm;

/// The layout of a text file.
#[derive(Debug, Clone)]
pub(super) struct TextLayout {
    /// The byte that separates columns.
    pub separator: u8,
    /// Whether the separator is this byte twice (`::`). A single-byte reader then sees an empty
    /// column between two columns.
    pub doubled: bool,
    /// The quotation marks, if there are any.
    pub quotes: Option<Quotes>,
    pub header: bool,
    /// Number of bytes before the header or the first row: a byte order mark, a line `sep=;`.
    pub skip: usize,
    /// Line number of the first byte after them.
    pub line: u64,
    /// Names of all columns, or numbers from 1 without header. The empty columns of a doubled
    /// separator are not included.
    pub names: Vec<String>,
    pub roles: Roles,
    /// The columns that are read, with examples.
    pub columns: Vec<ColumnReport>,
    /// Why a column of times is not read.
    pub warning: Option<String>,
    /// The form of the times, if times are read.
    pub time: Option<TimeForm>,
    /// Whether times are whole numbers, judging by the first rows.
    pub numeric_time: bool,
    /// Whether numbers have a decimal comma.
    pub decimal_comma: bool,
    /// Whether rows may have more columns than the first one. Those are not read.
    pub ragged: bool,
}

impl TextLayout {
    /// Position of a column among those that a single-byte reader sees.
    pub(super) const fn physical(&self, column: usize) -> usize {
        if self.doubled { 2 * column } else { column }
    }

    /// Number of columns for a reader of single-byte separators.
    pub(super) const fn physical_columns(&self) -> usize {
        if self.doubled { 2 * self.names.len() - 1 } else { self.names.len() }
    }

    /// The quotation mark, if there is one.
    pub(super) fn quote(&self) -> Option<u8> {
        self.quotes.map(|quotes| quotes.mark)
    }

    /// The cells of a record.
    pub(super) fn cells(&self) -> Cells {
        let Self { separator, doubled, quotes, .. } = *self;
        let Roles { user, item, rating, time, weight } = self.roles;
        let or_user = |role: Option<usize>| role.unwrap_or(user);
        let needed = [user, item, or_user(rating), or_user(time), or_user(weight)];
        let needed = Some(needed.map(|column| self.physical(column)));
        Cells { separator, doubled, quotes, columns: self.physical_columns(), needed }
    }

    /// Whether every line has the right number of separators, in pairs if the separator is doubled.
    ///
    /// Polars does not check this if columns are left out.
    pub(super) fn is_regular(&self, bytes: &[u8]) -> bool {
        let expected = self.physical_columns() - 1;
        let (mut found, mut start, mut previous) = (0, 0, usize::MAX);
        let line_is_good = |found: usize, start: usize, end: usize| {
            found == expected || bytes[start..end].iter().all(|b| *b == b'\r')
        };
        for at in memchr::memchr2_iter(self.separator, b'\n', bytes) {
            if bytes[at] == b'\n' {
                if !line_is_good(found, start, at) {
                    return false;
                }
                (found, start) = (0, at + 1);
            } else {
                found += 1;
                if self.doubled && found % 2 == 0 && previous.wrapping_add(1) != at {
                    return false;
                }
                previous = at;
            }
        }
        line_is_good(found, start, bytes.len())
    }

    pub(super) fn describe(&self) -> String {
        let separated = match (self.separator, self.doubled) {
            (b':', true) => "::-separated".to_owned(),
            (b',', false) => "CSV".to_owned(),
            (b'\t', false) => "TSV".to_owned(),
            (byte, _) => format!("text separated by \"{}\"", char::from(byte)),
        };
        let header = if self.header { "with header" } else { "without header" };
        let comma = if self.decimal_comma { ", decimal comma" } else { "" };
        let roles = describe_roles(&self.names, &self.roles, self.time.as_ref());
        format!("{separated} {header}{comma}, {roles}")
    }

    pub(super) fn input_columns(&self) -> InputColumns {
        InputColumns {
            described: self.describe(),
            names: id_names(&self.names, &self.roles),
            integers: None,
            columns: self.columns.clone(),
            time_unit: self.time.as_ref().filter(|_| self.numeric_time).map(|form| form.unit),
            warning: self.warning.clone(),
        }
    }
}
