//! Turns blocks into columns: counts and filters rows, and replaces ids by dense positions.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::block::Block;
use super::columns::{Chunk, Interactions};
use super::id_column::IdColumn;
use super::input::Input;
use super::options::{BadRows, LoadOptions, TimeUse};
use super::reports::{InputReport, Range, Reject, without_rows};
use super::roles::{EMPTY, InputColumns};
use super::sample::shortened;
use super::time::{LATEST, TimeUnit, iso};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::check_stop;
use crate::pair::Pair;

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
    without_id: u64,
    dropped_ratings: u64,
    warnings: Vec<String>,
    /// The first times that cannot be read, of each input with any.
    bad_times: Vec<String>,
    /// Whether the current input has such a time. Its times are not read any further.
    times_off: bool,
    /// The unit of the times of each input with numeric times.
    time_units: Vec<(String, TimeUnit)>,
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
            without_id: 0,
            dropped_ratings: 0,
            warnings: Vec::new(),
            bad_times: Vec::new(),
            times_off: false,
            time_units: Vec::new(),
        }
    }

    pub(super) const fn options(&self) -> &'a LoadOptions {
        self.options
    }

    /// Begins a new input.
    pub(super) fn begin(&mut self, input: &Input, columns: InputColumns) {
        self.path.clone_from(&input.path);
        self.times_off = false;
        if let Some(warning) = columns.warning {
            self.bad_times.push(format!("{}: {warning}", input.path.display()));
        }
        if let Some(unit) = columns.time_unit {
            self.time_units.push((input.path.display().to_string(), unit));
        }
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
            columns: columns.columns,
            ..InputReport::default()
        });
        if let Some(integers) = columns.integers {
            self.users.typed(&input.path, integers.users);
            self.items.typed(&input.path, integers.items);
        }
        if !columns.names.users.is_empty() {
            self.id_columns.get_or_insert(columns.names);
        }
    }

    /// Ends the current input.
    pub(super) fn end(&mut self, input: &Input) {
        if let Some(report) = self.inputs.last_mut() {
            report.sha256 = input.sha256();
            if report.bytes == 0 {
                report.bytes = input.consumed();
            }
        }
    }

    /// Checks that some rating file has rows, and some test file if there are any.
    fn check_rows(&self) -> Result<()> {
        let (ratings, tests) = self.inputs.split_at(self.inputs.len() - self.n_test);
        for inputs in [ratings, tests] {
            if let (Some(first), true) = (inputs.first(), inputs.iter().all(|r| r.rows == 0)) {
                let nothing = match first.layout.as_str() {
                    EMPTY => "the file is empty",
                    _ => "no ratings in this file",
                };
                let message = match inputs.len() {
                    1 => nothing.to_owned(),
                    n => format!("{nothing}, and none in the other {}", n - 1),
                };
                return Err(Error::Format { path: first.uri.clone().into(), message });
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
        let text = shortened(text);
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

    /// Leaves out a row without an id.
    pub(super) fn leave_out_without_id(&mut self) {
        self.without_id += 1;
        self.count_row();
    }

    /// Leaves out a row whose rating means that there is none.
    pub(super) fn leave_out_rating(&mut self) {
        self.dropped_ratings += 1;
        self.count_row();
    }

    fn count_row(&mut self) {
        if let Some(report) = self.inputs.last_mut() {
            report.rows += 1;
        }
    }

    /// Notes a row that extends over several lines.
    pub(super) fn note_long_row(&mut self) {
        if let Some(report) = self.inputs.last_mut() {
            report.long_rows += 1;
        }
    }

    /// Whether a time that cannot be read is a bad cell. Otherwise the times of the input are not
    /// used.
    pub(super) fn needs_times(&self) -> bool {
        self.options.time == TimeUse::Required
    }

    /// Notes a time that cannot be read. The times of the input are not read any further.
    pub(super) fn bad_time(&mut self, line: u64, column: &str, text: &str) {
        if !std::mem::replace(&mut self.times_off, true) {
            // The range of some of the times would look like that of all.
            if let Some(report) = self.inputs.last_mut() {
                (report.min_timestamp, report.max_timestamp) = (None, None);
            }
            self.bad_times.push(format!(
                "{}:{line}: column \"{column}\": \"{}\" is not a time: the times are not used \
                 (--time-format names a format, --time-col none silences this)",
                self.path.display(),
                shortened(text)
            ));
        }
    }

    /// Whether the times of the current input are not used.
    pub(super) const fn times_are_off(&self) -> bool {
        self.times_off
    }

    /// Adds good rows, in file order.
    pub(super) fn push(&mut self, mut block: Block) -> Result<()> {
        check_stop(self.stop)?;
        if self.times_off {
            block.times = None;
        }
        if let Some(report) = self.inputs.last_mut() {
            report.rows += block.rows() as u64;
            if let Some(times) = &block.times {
                report.min_timestamp =
                    report.min_timestamp.into_iter().chain(times.par_iter().copied().min()).min();
                report.max_timestamp = report.max_timestamp.max(times.par_iter().copied().max());
            }
            report.values = Range::widened(report.values, &block.values);
        }
        // Filtered rows also decide whether a column holds integers.
        self.users.note(&self.path, &block.users, &block.numbers)?;
        self.items.note(&self.path, &block.items, &block.numbers)?;
        self.filter(&mut block);
        if block.rows() == 0 {
            return Ok(());
        }
        let Block { users, items, values, weights, times, .. } = block;
        self.users.push(users)?;
        self.items.push(items)?;
        self.rest.push(ValueColumns { values, weights, times, input: self.inputs.len() - 1 });
        Ok(())
    }

    fn filter(&mut self, block: &mut Block) {
        let dropped = &self.options.drop_ratings;
        if !dropped.is_empty() && block.values.iter().any(|value| dropped.contains(value)) {
            let keep: Vec<bool> = block.values.iter().map(|v| !dropped.contains(v)).collect();
            self.dropped_ratings += keep.iter().filter(|&&k| !k).count() as u64;
            block.retain(&keep);
        }
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

    pub(super) fn finish(mut self) -> Result<Interactions> {
        if !self.options.ids_only {
            self.check_rows()?;
        }
        if self.rest.is_empty() && !self.options.ids_only {
            return Err(Error::NothingLeft { after: self.after() });
        }
        self.warn_of_times();
        check_stop(self.stop)?;
        let users = self.users.finish()?;
        check_stop(self.stop)?;
        let items = self.items.finish()?;
        let mut warnings = self.warnings;
        if !self.options.ids_only {
            warnings.extend([users.warnings, items.warnings].concat());
            warnings.extend(without_rows(&self.inputs));
        }
        // Times of only some inputs cannot order all rows. Only training inputs decide.
        let first_test = self.inputs.len() - self.n_test;
        let training = || self.rest.iter().filter(|r| r.input < first_test);
        let all_times = training().all(|r| r.times.is_some());
        let some_times = training().any(|r| r.times.is_some());
        if !all_times && some_times && self.bad_times.is_empty() {
            warnings.push("some inputs have no times: ratings are ordered by file".to_owned());
        }
        warnings.extend(self.bad_times);
        let chunks = users
            .positions
            .into_iter()
            .zip(items.positions)
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
            users: users.ids,
            items: items.ids,
            id_columns: self.id_columns.unwrap_or_default(),
            chunks,
            inputs: self.inputs,
            warnings,
            rejects: self.rejects,
            n_test: self.n_test,
            zero_weight: self.zero_weight,
            outside_time: self.outside_time,
            without_id: self.without_id,
            dropped_ratings: self.dropped_ratings,
        })
    }

    /// What left no rows.
    fn after(&self) -> String {
        if self.outside_time > 0 {
            return "--since and --until".to_owned();
        }
        if let Some(first) = self.rejects.first() {
            return format!("setting bad rows aside; the first: {first}");
        }
        let why = [
            (self.without_id, "leaving out rows without an id (--null-ids)"),
            (self.dropped_ratings, "leaving out ratings (--drop-rating)"),
            (self.zero_weight, "leaving out rows of weight 0"),
        ];
        why.iter().find(|(count, _)| *count > 0).map_or("reading", |(_, why)| why).to_owned()
    }

    /// Warns of numeric times in different units, and of times after 2100.
    fn warn_of_times(&mut self) {
        let mut units = self.time_units.iter().map(|(path, unit)| (path, unit.name()));
        if let Some((path, first)) = units.next()
            && let Some((other, second)) = units.find(|(_, unit)| *unit != first)
        {
            self.warnings.push(format!(
                "the numeric times of {path} are in {first}, those of {other} in {second}; if they \
                 have the same unit, pass --time-unit"
            ));
        }
        let late = |input: &&InputReport| input.max_timestamp.is_some_and(|t| t as f64 > LATEST);
        if let Some(input) = self.inputs.iter().find(late) {
            self.warnings.push(format!(
                "{}: the latest time is {}, after the year 2100: check the unit (--time-unit)",
                input.uri,
                iso(input.max_timestamp.unwrap_or(0))
            ));
        }
    }
}
