//! Turns blocks into columns: counts and filters rows, and replaces ids by dense positions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::block::Block;
use super::id_column::IdColumn;
use super::input::Input;
use super::options::{BadRows, LoadOptions};
use super::reports::{InputReport, Reject};
use super::roles::InputColumns;
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::job::check_stop;
use crate::pair::Pair;

/// Consecutive rows of an input as columns, with dense positions in place of ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Positions of the users.
    pub users: Vec<u32>,
    /// Positions of the items.
    pub items: Vec<u32>,
    /// The ratings.
    pub values: Vec<f32>,
    /// The weights, if there is a weight column.
    pub weights: Option<Vec<f32>>,
    /// Times in seconds since 1970, if every training input has times.
    pub times: Option<Vec<i64>>,
    /// Number of the input, from 0.
    pub input: usize,
}

/// The usable rows of all inputs, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// The external ids of the users.
    pub users: Ids,
    /// The external ids of the items.
    pub items: Ids,
    /// The names of the id columns in the first input; numbers from 1 without header.
    pub id_columns: Pair<String>,
    /// The rows.
    pub chunks: Vec<Chunk>,
    /// Reports about the inputs.
    pub inputs: Vec<InputReport>,
    /// Rows that were set aside.
    pub rejects: Vec<Reject>,
    /// Number of inputs with test ratings; they come last.
    pub n_test: usize,
    /// Whether times are not used because only some of the training inputs have them.
    pub times_ignored: bool,
    /// Number of rows left out because their weight is 0.
    pub zero_weight: u64,
    /// Number of rows left out because of `since` and `until`.
    pub outside_time: u64,
}

impl Interactions {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.values.len()).sum()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the rows have times.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.chunks.first().is_some_and(|c| c.times.is_some())
    }
}

/// Collects the blocks of all inputs.
pub(super) struct Collector<'a> {
    options: &'a LoadOptions,
    stop: &'a AtomicBool,
    users: IdColumn,
    items: IdColumn,
    rest: Vec<ValueColumns>,
    inputs: Vec<InputReport>,
    rejects: Vec<Reject>,
    path: PathBuf,
    id_columns: Option<Pair<String>>,
    n_test: usize,
    zero_weight: u64,
    outside_time: u64,
}

/// The columns of a chunk except its ids.
struct ValueColumns {
    values: Vec<f32>,
    weights: Option<Vec<f32>>,
    times: Option<Vec<i64>>,
    input: usize,
}

impl<'a> Collector<'a> {
    pub(super) fn new(options: &'a LoadOptions, n_test: usize, stop: &'a AtomicBool) -> Self {
        Self {
            options,
            stop,
            users: IdColumn::new(Axis::User, options.id_type),
            items: IdColumn::new(Axis::Item, options.id_type),
            rest: Vec::new(),
            inputs: Vec::new(),
            rejects: Vec::new(),
            path: PathBuf::new(),
            id_columns: None,
            n_test,
            zero_weight: 0,
            outside_time: 0,
        }
    }

    pub(super) const fn options(&self) -> &LoadOptions {
        self.options
    }

    /// Begins a new input.
    pub(super) fn begin(&mut self, input: &Input, columns: InputColumns) {
        self.path.clone_from(&input.path);
        self.inputs.push(InputReport {
            uri: input.path.display().to_string(),
            file: input.file.clone(),
            mtime: match &input.fetched {
                Some(object) => Some(object.modified),
                None => input.file.as_deref().and_then(super::fingerprint::modified),
            },
            etag: input.fetched.as_ref().map(|object| object.etag.clone()),
            bytes: input.size.unwrap_or(0),
            layout: match input.compression {
                Some(compression) => format!("{compression}, {}", columns.described),
                None => columns.described,
            },
            rows: 0,
            rows_rejected: BTreeMap::new(),
            sha256: None,
            max_timestamp: None,
        });
        if let Some(integers) = columns.integers {
            self.users.typed(&input.path, integers.users);
            self.items.typed(&input.path, integers.items);
        }
        self.id_columns.get_or_insert(columns.names);
    }

    /// Ends the current input.
    ///
    /// # Errors
    /// [`Error::Format`] if it has no rows.
    pub(super) fn end(&mut self, input: &Input) -> Result<()> {
        if let Some(report) = self.inputs.last_mut() {
            if report.rows == 0 && !self.options.ids_only {
                let message = "no ratings in this file".to_owned();
                return Err(Error::Format { path: self.path.clone(), message });
            }
            report.sha256 = input.sha256();
            if report.bytes == 0 {
                report.bytes = input.consumed();
            }
        }
        Ok(())
    }

    /// Rejects a bad row: returns an error, or sets the row aside up to the limit.
    pub(super) fn reject(
        &mut self,
        line: u64,
        column: &str,
        text: &str,
        reason: &str,
    ) -> Result<()> {
        // A cell may contain anything, so its text is shortened and escaped for printing.
        let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let error = |(text, reason): (&str, &str)| Error::BadCell {
            path: self.path.clone(),
            line,
            column: column.to_owned(),
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if self.options.bad_rows == BadRows::Error {
            return Err(error((&text, reason)));
        }
        let reason = format!("column \"{column}\": {reason}");
        if let Some(report) = self.inputs.last_mut() {
            report.rows += 1;
            *report.rows_rejected.entry(reason.clone()).or_default() += 1;
        }
        let reject = Reject { file: self.path.clone(), line, reason, text };
        if self.rejects.len() as u64 >= self.options.max_bad_rows {
            let first = self.rejects.first().unwrap_or(&reject);
            return Err(Error::TooManyBadRows {
                rejected: self.rejects.len() as u64 + 1,
                allowed: self.options.max_bad_rows,
                first: first.to_string(),
            });
        }
        self.rejects.push(reject);
        Ok(())
    }

    /// Adds good rows, in file order.
    pub(super) fn push(&mut self, mut block: Block) -> Result<()> {
        check_stop(self.stop)?;
        if let Some(report) = self.inputs.last_mut() {
            report.rows += block.rows() as u64;
            let latest = block.times.as_ref().and_then(|t| t.par_iter().copied().max());
            report.max_timestamp = report.max_timestamp.max(latest);
        }
        // Filtered rows also decide whether a column holds integers.
        self.users.note(&self.path, &block.users)?;
        self.items.note(&self.path, &block.items)?;
        self.filter(&mut block);
        if block.rows() == 0 {
            return Ok(());
        }
        let Block { users, items, values, weights, times } = block;
        self.users.push(users)?;
        self.items.push(items)?;
        self.rest.push(ValueColumns { values, weights, times, input: self.inputs.len() - 1 });
        Ok(())
    }

    fn filter(&mut self, block: &mut Block) {
        if let (Some(times), true) =
            (&block.times, self.options.since.is_some() || self.options.until.is_some())
        {
            let since = self.options.since.unwrap_or(i64::MIN);
            let until = self.options.until.unwrap_or(i64::MAX);
            let keep: Vec<bool> = times.iter().map(|&t| since <= t && t < until).collect();
            self.outside_time += keep.iter().filter(|&&k| !k).count() as u64;
            block.retain(&keep);
        }
        if let Some(weights) = &block.weights
            && weights.contains(&0.0)
        {
            let keep: Vec<bool> = weights.iter().map(|&w| w != 0.0).collect();
            self.zero_weight += keep.iter().filter(|&&k| !k).count() as u64;
            block.retain(&keep);
        }
    }

    pub(super) fn finish(self) -> Result<Interactions> {
        if self.rest.is_empty() && !self.options.ids_only {
            let after = match (self.outside_time, self.rejects.first(), self.zero_weight) {
                (1.., _, _) => "--since and --until".to_owned(),
                (_, Some(first), _) => format!("setting bad rows aside; the first: {first}"),
                (_, _, 1..) => "leaving out rows of weight 0".to_owned(),
                _ => "reading".to_owned(),
            };
            return Err(Error::NothingLeft { after });
        }
        check_stop(self.stop)?;
        let (users, user_codes) = self.users.finish()?;
        check_stop(self.stop)?;
        let (items, item_codes) = self.items.finish()?;
        // Times of only some inputs cannot order all rows. Only training inputs decide.
        let first_test = self.inputs.len() - self.n_test;
        let training = || self.rest.iter().filter(|r| r.input < first_test);
        let all_times = training().all(|r| r.times.is_some());
        let times_ignored = !all_times && training().any(|r| r.times.is_some());
        let chunks = user_codes
            .into_iter()
            .zip(item_codes)
            .zip(self.rest)
            .map(|((users, items), ValueColumns { values, weights, times, input })| Chunk {
                users,
                items,
                values,
                weights,
                times: times.filter(|_| all_times),
                input,
            })
            .collect();
        Ok(Interactions {
            users,
            items,
            id_columns: self.id_columns.unwrap_or_default(),
            chunks,
            inputs: self.inputs,
            rejects: self.rejects,
            n_test: self.n_test,
            times_ignored,
            zero_weight: self.zero_weight,
            outside_time: self.outside_time,
        })
    }
}
