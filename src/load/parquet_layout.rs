//! Recognises the layout of a Parquet file.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use polars::io::mmap::MmapBytesReader;
use polars::prelude::{
    ArrowSchema, DataFrame, DataType, ParquetReader, PolarsError, PolarsResult, SerReader,
};
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet::parquet::read::read_metadata;
use polars_parquet::parquet::schema::types::PrimitiveLogicalType;
use polars_parquet::read::FileMetadata;

use super::footer::check as check_footer;
use super::guard::decode;
use super::input::Input;
use super::options::{LoadOptions, TimeUse};
use super::parquet_types::{Bytes, check, decoded};
use super::reports::ColumnReport;
use super::roles::{InputColumns, Kind, Roles, column_reports, describe_roles, id_names, roles};
use super::sample::{Sample, Times, wrong};
use super::time::{TimeForm, TimeUnit};
use crate::error::{Error, Result};
use crate::pair::Pair;

/// The layout of a Parquet file.
#[derive(Debug, Clone)]
pub(super) struct ParquetLayout {
    pub names: Vec<String>,
    pub roles: Roles,
    /// The columns that are read, with examples.
    pub columns: Vec<ColumnReport>,
    /// What the footer says.
    pub contents: Contents,
    /// Whether the columns of the ids hold integers.
    pub integers: Pair<bool>,
    /// The form of times that are numbers or text.
    pub time: TimeForm,
    /// Whether the times are numbers.
    pub numeric_time: bool,
    /// Why a column of times is not read.
    pub warning: Option<String>,
    pub rows: usize,
    /// The bytes of the file, if it is compressed or a stream; `None` for a plain file on disk.
    pub bytes: Option<Arc<[u8]>>,
}

pub(super) fn unreadable(path: &Path, error: &PolarsError) -> Error {
    let message = match error {
        // Messages about a column explain themselves.
        PolarsError::ComputeError(text) if text.starts_with("column ") => text.to_string(),
        error => format!("not a readable Parquet file: {error}"),
    };
    wrong(path, message)
}

impl ParquetLayout {
    pub(super) fn recognise(input: &mut Input, options: &LoadOptions) -> Result<Self> {
        let plain = input.compression.is_none() && input.size.is_some();
        let bytes: Option<Arc<[u8]>> = if plain { None } else { Some(input.read_rest()?.into()) };
        let path = input.path.clone();
        let failed = |e: PolarsError| unreadable(&path, &e);
        let contents = match &bytes {
            Some(bytes) => Contents::read(&mut Cursor::new(bytes)),
            None => Contents::read(&mut input.on_disk()?),
        };
        let contents = contents.map_err(failed)?;
        let mut reader = contents.reader(source(input, bytes.as_ref())?);
        let schema = decode(|| reader.schema()).map_err(failed)?;
        let rows = decode(|| reader.num_rows()).map_err(failed)?;
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        let mut roles = roles(&path, &names, true, &Sample::default(), options)?;
        let mut warning = check_types(&path, &mut roles, &contents, &schema, options)?;
        let first = read_rows(
            input,
            bytes.as_ref(),
            &roles,
            &contents,
            Rows { from: 0, count: Sample::ROWS },
        )?;
        let sample = sample(&first, &names).map_err(failed)?;
        let typed = |at: usize| first.column(&names[at]).map(|column| column.dtype().clone());
        let integer =
            |at: usize| typed(at).is_ok_and(|dtype| dtype.is_integer() || dtype.is_float());
        let integers = Pair::new(integer(roles.user), integer(roles.item));
        let mut form = TimeForm { unit: TimeUnit::S, format: None };
        let mut numeric_time = false;
        if let Some(at) = roles.time {
            let dtype = typed(at).map_err(failed)?;
            numeric_time = dtype.is_primitive_numeric();
            if numeric_time || dtype == DataType::String {
                let times = sample.times(at, &names[at], options);
                let times = times.map_err(|message| wrong(&path, message))?;
                let Times { form: found, warning: problem } = times;
                warning = warning.or(problem);
                match found {
                    Some(found) => {
                        numeric_time &= found.format.is_none();
                        form = found;
                    }
                    None => roles.time = None,
                }
            }
        }
        let columns = column_reports(&names, &roles, &sample);
        Ok(Self {
            names,
            roles,
            columns,
            contents,
            integers,
            time: form,
            numeric_time,
            warning,
            rows,
            bytes,
        })
    }

    fn describe(&self) -> String {
        let roles = describe_roles(&self.names, &self.roles, Some(&self.time));
        format!("Parquet, {roles}")
    }

    pub(super) fn input_columns(&self) -> InputColumns {
        InputColumns {
            described: self.describe(),
            names: id_names(&self.names, &self.roles),
            integers: Some(self.integers),
            columns: self.columns.clone(),
            time_unit: self.roles.time.filter(|_| self.numeric_time).map(|_| self.time.unit),
            warning: self.warning.clone(),
        }
    }
}

/// What the footer of a Parquet file says.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    metadata: Arc<FileMetadata>,
    /// The columns whose bytes have a meaning, by name.
    pub bytes: HashMap<String, Bytes>,
}

impl Contents {
    /// Checks the file before anything is decoded, and reads its footer.
    ///
    /// The types of other libraries that a footer may contain are left out. So dictionaries are the
    /// values they stand for, and types that only those libraries know are their plain Parquet
    /// types.
    pub(super) fn read(source: &mut (impl Read + Seek)) -> PolarsResult<Self> {
        check_footer(source)?;
        let mut metadata = decode(|| read_metadata(source).map_err(PolarsError::from))?;
        metadata.key_value_metadata = None;
        let meaning = |column: &ColumnDescriptor| {
            let bytes = match column.descriptor.primitive_type.logical_type? {
                PrimitiveLogicalType::Uuid => Bytes::Uuid,
                PrimitiveLogicalType::Float16 => Bytes::Half,
                _ => return None,
            };
            Some((column.path_in_schema.first()?.to_string(), bytes))
        };
        let bytes = metadata.schema_descr.columns().iter().filter_map(meaning).collect();
        Ok(Self { metadata: Arc::new(metadata), bytes })
    }

    /// A reader of the file.
    pub(super) fn reader<R: MmapBytesReader>(&self, source: R) -> ParquetReader<R> {
        let mut reader = ParquetReader::new(source);
        reader.set_metadata(self.metadata.clone());
        reader
    }
}

/// Checks the types of the columns that are read. Times that nobody needs are not read if their
/// type is wrong; the returned warning says so.
fn check_types(
    path: &Path,
    roles: &mut Roles,
    contents: &Contents,
    schema: &ArrowSchema,
    options: &LoadOptions,
) -> Result<Option<String>> {
    let mut warning = None;
    for (at, kind) in roles.columns() {
        let Some((name, field)) = schema.get_at_index(at) else { continue };
        match check(kind, name, field.dtype(), contents.bytes.get(name.as_str()).copied()) {
            Ok(()) => {}
            Err(message) if kind == Kind::Times && options.time != TimeUse::Required => {
                roles.time = None;
                warning = Some(format!("{message}; the times are not used"));
            }
            Err(message) => return Err(wrong(path, message)),
        }
    }
    Ok(warning)
}

/// Consecutive rows of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub from: usize,
    pub count: usize,
}

/// Reads rows of the columns that have a role, and decodes them to integers, floats, text or times.
pub(super) fn read_rows(
    input: &Input,
    bytes: Option<&Arc<[u8]>>,
    roles: &Roles,
    contents: &Contents,
    rows: Rows,
) -> Result<DataFrame> {
    let failed = |e: PolarsError| unreadable(&input.path, &e);
    let mut columns: Vec<usize> = roles.columns().into_iter().map(|(at, _)| at).collect();
    columns.sort_unstable();
    let reader = contents
        .reader(source(input, bytes)?)
        .with_projection(Some(columns))
        .with_slice(Some((rows.from, rows.count)));
    decode(|| {
        let frame = reader.finish()?;
        let height = frame.height();
        let columns = frame.into_columns().into_iter().map(|column| {
            let bytes = contents.bytes.get(column.name().as_str()).copied();
            decoded(column, bytes)
        });
        DataFrame::new(height, columns.collect::<Result<_, _>>()?)
    })
    .map_err(failed)
}

/// The cells of the first rows as text.
fn sample(frame: &DataFrame, names: &[String]) -> PolarsResult<Sample> {
    let mut rows = vec![vec![String::new(); names.len()]; frame.height()];
    for column in frame.columns() {
        let Some(at) = names.iter().position(|name| name == column.name().as_str()) else {
            continue;
        };
        let text = column.cast(&DataType::String)?;
        for (row, cell) in rows.iter_mut().zip(text.str()?.iter()) {
            cell.unwrap_or_default().clone_into(&mut row[at]);
        }
    }
    Ok(Sample { rows })
}

/// The bytes of the file. Only files on disk are memory-mapped.
fn source(input: &Input, bytes: Option<&Arc<[u8]>>) -> Result<Box<dyn MmapBytesReader>> {
    Ok(match bytes {
        Some(bytes) => Box::new(Cursor::new(bytes.clone())),
        None => Box::new(input.on_disk()?),
    })
}
