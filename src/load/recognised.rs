//! Recognises the columns of files without types: text and JSON lines.

use std::path::Path;

use super::options::LoadOptions;
use super::reports::ColumnReport;
use super::roles::{Roles, column_reports, roles};
use super::sample::{Sample, Times, wrong};
use super::time::TimeForm;
use crate::error::Result;

/// The columns of a file, as its first rows show them.
pub(super) struct Recognised {
    pub roles: Roles,
    /// The columns that are read, with examples.
    pub columns: Vec<ColumnReport>,
    /// The form of the times, if times are read.
    pub time: Option<TimeForm>,
    /// Why a column of times is not read.
    pub warning: Option<String>,
}

/// Recognises the columns by their names, or without header by their places.
pub(super) fn recognise(
    path: &Path,
    names: &[String],
    header: bool,
    sample: &Sample,
    options: &LoadOptions,
) -> Result<Recognised> {
    let mut roles = roles(path, names, header, sample, options)?;
    let columns = column_reports(names, &roles, sample);
    let Times { form: time, warning } = match roles.time {
        Some(at) => sample.times(at, &names[at], options).map_err(|m| wrong(path, m))?,
        None => Times::default(),
    };
    if time.is_none() {
        roles.time = None;
    }
    Ok(Recognised { roles, columns, time, warning })
}
