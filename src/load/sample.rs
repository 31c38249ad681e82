//! The first rows of a file, by which its columns are recognised.

use super::options::{LoadOptions, TimeUse};
use super::time::{Recognised, TimeForm};
use crate::error::{Error, Result};

/// The cells of some rows at the beginning of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub rows: Vec<Vec<String>>,
}

/// The form of the times of a file; if they are not read, the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The form; `None` if no times are read.
    pub form: Option<TimeForm>,
    /// Why a column of times is not read.
    pub warning: Option<String>,
}

impl Sample {
    /// Number of rows that are looked at, at most.
    pub(super) const ROWS: usize = 1000;

    /// The cells of a column, without blanks around them.
    pub(super) fn cells(&self, column: usize) -> impl Iterator<Item = &str> + Clone {
        self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.trim())
    }

    /// Some different cells of a column, as examples.
    pub(super) fn examples(&self, column: usize) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut found: Vec<String> = Vec::new();
        for cell in self.rows.iter().filter_map(|row| row.get(column)) {
            if found.len() == SHOWN {
                break;
            }
            if !found.contains(cell) {
                found.push(cell.clone());
            }
        }
        found
    }

    fn recognise(&self, column: usize, options: &LoadOptions) -> Recognised {
        let format = options.time_format.as_ref();
        TimeForm::recognise(options.time_unit, format, self.cells(column))
    }

    /// Whether all cells of a column are times, and numbers lie between 1980 and 2100.
    pub(super) fn holds_times(&self, column: usize, options: &LoadOptions) -> bool {
        let times = matches!(
            self.recognise(column, options),
            Recognised::Times(_) | Recognised::Ambiguous(..)
        );
        times && self.cells(column).all(|cell| !cell.is_empty())
    }

    /// Whether a column of a file without header holds whole numbers that are too large for
    /// ratings.
    pub(super) fn holds_ids(&self, column: usize) -> bool {
        const LARGE: u64 = 1000;
        let mut largest = Some(0);
        for cell in self.cells(column) {
            largest = largest.and_then(|largest| Some(cell.parse::<u64>().ok()?.max(largest)));
        }
        largest.is_some_and(|largest| largest > LARGE)
    }

    /// Whether no cell of a column is a number.
    pub(super) fn holds_text(&self, column: usize) -> bool {
        let text = |cell: &str| cell.replacen(',', ".", 1).parse::<f64>().is_err();
        !self.rows.is_empty() && self.cells(column).all(|cell| !cell.is_empty() && text(cell))
    }

    /// Whether a column holds numbers with a decimal comma and none with a point.
    pub(super) fn holds_decimal_commas(&self, column: usize) -> bool {
        let comma = |cell: &str| cell.replacen(',', ".", 1).parse::<f64>().is_ok();
        self.cells(column).any(|cell| cell.contains(','))
            && self.cells(column).all(|cell| cell.is_empty() || !cell.contains('.') && comma(cell))
    }

    /// The form of the times in a column.
    ///
    /// # Errors
    /// A message if times are required and their form is ambiguous.
    pub(super) fn times(
        &self,
        column: usize,
        name: &str,
        options: &LoadOptions,
    ) -> Result<Times, String> {
        let required = options.time == TimeUse::Required;
        let (form, problem) = match self.recognise(column, options) {
            Recognised::Times(form) | Recognised::Numbers(form) => {
                let empty = self.cells(column).any(str::is_empty);
                (Some(form), empty.then(|| "has empty cells".to_owned()))
            }
            Recognised::No(form) => {
                let bad = self.cells(column).find(|c| !c.is_empty() && form.parse(c).is_none());
                let problem = match bad {
                    Some(cell) => format!("holds \"{}\", which is not a time", shortened(cell)),
                    None => "has only empty cells".to_owned(),
                };
                (Some(form), (!self.rows.is_empty()).then_some(problem))
            }
            Recognised::Ambiguous(one, other) => {
                let cell = self.cells(column).find(|cell| !cell.is_empty()).unwrap_or_default();
                let problem = format!("holds \"{cell}\", which may be {one} or {other}");
                (None, Some(problem))
            }
        };
        match problem {
            Some(problem) if form.is_none() && required => Err(format!(
                "the column of times \"{name}\" {problem}: pass --time-format with one of them"
            )),
            // Bad cells are found one by one, because other rows may have good times.
            Some(_) if required => Ok(Times { form, warning: None }),
            Some(problem) => {
                let warning = format!(
                    "the column of times \"{name}\" {problem}: the times are not used \
                     (--time-format names a format, --time-col none silences this)"
                );
                Ok(Times { form: None, warning: Some(warning) })
            }
            None => Ok(Times { form, warning: None }),
        }
    }
}

/// The beginning of a cell, for messages.
pub(super) fn shortened(cell: &str) -> String {
    cell.chars().take(80).flat_map(char::escape_debug).collect()
}

/// A format error of a file.
pub(super) fn wrong(path: &std::path::Path, message: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), message: message.into() }
}
