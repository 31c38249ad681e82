//! Ranked lists as rows, streamed as Parquet, CSV or NDJSON.
//!
//! The rows go to standard output, or to a file that appears complete or not at all.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::factors::{into_io, parquet_writer};
use super::json::{json_id, json_number};
use super::row_target::RowTarget;
use super::table::OutFile;
use crate::error::{Error, Result};
use crate::ids::Id;

/// The form of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum RowFormat {
    /// Parquet, compressed by Zstandard.
    Parquet,
    /// CSV with header.
    Csv,
    /// A JSON object per line.
    Ndjson,
}

impl RowFormat {
    /// The format of a file extension: `.csv`, `.parquet`, `.ndjson` or `.jsonl`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_string_lossy().to_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// The names of the columns and the choice of optional columns, which are the same for all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowShape {
    /// The column of the user or item that a list is for, and whether its ids are integers.
    pub key: (&'static str, bool),
    /// The column of the listed users or items, and whether its ids are integers.
    pub listed: (&'static str, bool),
    /// Whether there is a column `fallback`, which marks keys that the model does not know.
    pub fallback: bool,
    /// Whether there is a column `title`.
    pub title: bool,
    /// Whether there is a column `because`, which holds the reasons.
    pub because: bool,
}

/// A rating that contributed to a score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reason<'a> {
    /// The rated item.
    pub item: Id<'a>,
    /// The item's title, if it is known.
    pub title: Option<&'a str>,
    /// The rating.
    pub value: f32,
    /// The contribution of the rating, in units of the score.
    pub share: f64,
}

/// A batch of rows, stored by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows<'a> {
    /// The users or items that the lists are for, one per row.
    pub keys: Vec<Id<'a>>,
    /// The listed users or items.
    pub listed: Vec<Id<'a>>,
    /// Ranks in the lists, from 1.
    pub ranks: Vec<i32>,
    /// Scores.
    pub scores: Vec<f64>,
    /// Whether the keys are unknown; empty if there is no such column.
    pub fallback: Vec<bool>,
    /// Titles; empty if there is no such column.
    pub titles: Vec<Option<&'a str>>,
    /// Reasons, most important first; empty if there is no such column.
    pub because: Vec<Vec<Reason<'a>>>,
}

impl Rows<'_> {
    /// Number of rows.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The reasons of a row as JSON.
    fn reasons(&self, row: usize) -> Value {
        let reason = |reason: &Reason<'_>| {
            let mut fields = Map::new();
            fields.insert("item_id".into(), json_id(reason.item));
            if let Some(title) = reason.title {
                fields.insert("title".into(), title.into());
            }
            fields.insert("rating".into(), json_number(reason.value));
            fields.insert("share".into(), json_number(reason.share as f32));
            Value::Object(fields)
        };
        self.because[row].iter().map(reason).collect()
    }
}

/// Writes rows to a file or to a stream.
pub(crate) struct RowWriter {
    shape: RowShape,
    /// `None` for a stream.
    file: Option<OutFile>,
    path: PathBuf,
    sink: Sink,
    /// Whether the reader has closed the stream.
    closed: bool,
}

enum Sink {
    Text(RowFormat, Box<dyn Write + Send>),
    Parquet(Box<BatchedWriter<File>>),
}

/// Rows of text that one task formats.
const ROWS_PER_TASK: usize = 1 << 13;

impl RowWriter {
    /// Opens the output and writes the header of a CSV.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`]; [`Error::Usage`] for Parquet
    /// on a stream.
    pub(crate) fn create(to: RowTarget, format: RowFormat, shape: RowShape) -> Result<Self> {
        let (path, replace) = match to {
            RowTarget::Stream(_) if format == RowFormat::Parquet => {
                let message = "Parquet cannot be written to standard output: give --output FILE";
                return Err(Error::Usage(message.into()));
            }
            RowTarget::Stream(stream) => {
                let sink = Sink::Text(format, Box::new(BufWriter::new(stream)));
                let path = PathBuf::from("standard output");
                return Self { shape, file: None, path, sink, closed: false }.with_header();
            }
            RowTarget::File { path, replace } => (path, replace),
        };
        let path = path.as_path();
        let file = OutFile::create(path, replace)?;
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let handle = file.temporary.reopen().map_err(failed)?;
        let sink = match format {
            RowFormat::Parquet => {
                let empty = frame(&shape, &Rows::default()).map_err(|e| failed(into_io(e)))?;
                let writer = parquet_writer(handle, empty.schema())
                    .with_compression(ParquetCompression::Snappy)
                    .batched(empty.schema())
                    .map_err(|e| failed(into_io(e)))?;
                Sink::Parquet(Box::new(writer))
            }
            text => Sink::Text(text, Box::new(BufWriter::with_capacity(1 << 20, handle))),
        };
        Self { shape, file: Some(file), path: path.to_owned(), sink, closed: false }.with_header()
    }

    fn with_header(mut self) -> Result<Self> {
        let shape = self.shape;
        if let Sink::Text(RowFormat::Csv, to) = &mut self.sink {
            let mut names = vec![shape.key.0, shape.listed.0, "rank", "score"];
            names.extend(shape.fallback.then_some("fallback"));
            names.extend(shape.title.then_some("title"));
            names.extend(shape.because.then_some("because"));
            let written = writeln!(to, "{}", names.join(","));
            self.check_written(written)?;
        }
        Ok(self)
    }

    /// Writes rows and returns whether to continue: `false` once the reader has closed the stream.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn write(&mut self, rows: &Rows<'_>) -> Result<bool> {
        let shape = self.shape;
        let written = match &mut self.sink {
            Sink::Parquet(writer) => {
                frame(&shape, rows).and_then(|frame| writer.write_batch(&frame)).map_err(into_io)
            }
            Sink::Text(format, to) => {
                let tasks: Vec<usize> = (0..rows.len()).step_by(ROWS_PER_TASK).collect();
                let text = |&first: &usize| {
                    let range = first..rows.len().min(first + ROWS_PER_TASK);
                    match format {
                        RowFormat::Ndjson => json_lines(&shape, rows, range),
                        _ => csv_lines(&shape, rows, range),
                    }
                };
                let texts: Vec<io::Result<Vec<u8>>> = tasks.par_iter().map(text).collect();
                texts.into_iter().try_for_each(|text| to.write_all(&text?))
            }
        };
        self.check_written(written)?;
        Ok(!self.closed)
    }

    /// Completes the file and moves it into place.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn finish(mut self) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Text(_, to) => to.flush(),
            Sink::Parquet(writer) => writer.finish().map(|_| ()).map_err(into_io),
        };
        self.check_written(written)?;
        drop(self.sink);
        self.file.map_or(Ok(()), OutFile::publish)
    }

    /// Treats a closed stream as the end of the writing and not as an error.
    fn check_written(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(e) if self.file.is_none() && e.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|source| Error::Write { path: self.path.clone(), source }),
        }
    }
}

/// A column of ids.
pub(super) fn ids(name: &'static str, integer: bool, ids: &[Id<'_>]) -> Series {
    let name = PlSmallStr::from_static(name);
    if integer {
        // All ids of a column are of one kind, which the shape states.
        let number = |id: &Id<'_>| match *id {
            Id::Int(id) => id,
            Id::Text(id) => id.parse().unwrap_or_default(),
        };
        return Series::new(name, ids.par_iter().map(number).collect::<Vec<i64>>());
    }
    let texts: Vec<std::borrow::Cow<'_, str>> = ids.iter().map(|id| id.text()).collect();
    Series::new(name, texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>())
}

fn frame(shape: &RowShape, rows: &Rows<'_>) -> PolarsResult<DataFrame> {
    let mut columns = vec![
        ids(shape.key.0, shape.key.1, &rows.keys).into_column(),
        ids(shape.listed.0, shape.listed.1, &rows.listed).into_column(),
        Series::new("rank".into(), &rows.ranks).into_column(),
        Series::new("score".into(), &rows.scores).into_column(),
    ];
    if shape.fallback {
        columns.push(Series::new("fallback".into(), &rows.fallback).into_column());
    }
    if shape.title {
        columns.push(Series::new("title".into(), &rows.titles).into_column());
    }
    if shape.because {
        let texts: Vec<String> = (0..rows.len()).map(|row| rows.reasons(row).to_string()).collect();
        columns.push(Series::new("because".into(), texts).into_column());
    }
    DataFrame::new(rows.len(), columns)
}

fn csv_lines(
    shape: &RowShape,
    rows: &Rows<'_>,
    range: std::ops::Range<usize>,
) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(range.len() * 32));
    let mut number = String::new();
    for row in range {
        for id in [rows.keys[row], rows.listed[row]] {
            number.clear();
            match id {
                Id::Text(id) => writer.write_field(id)?,
                Id::Int(id) => {
                    // Writing to memory cannot fail.
                    let _ = write!(number, "{id}");
                    writer.write_field(&number)?;
                }
            }
        }
        number.clear();
        let _ = write!(number, "{}", rows.ranks[row]);
        writer.write_field(&number)?;
        number.clear();
        let _ = write!(number, "{:?}", rows.scores[row]);
        writer.write_field(&number)?;
        if shape.fallback {
            writer.write_field(if rows.fallback[row] { "true" } else { "false" })?;
        }
        if shape.title {
            writer.write_field(rows.titles[row].unwrap_or_default())?;
        }
        if shape.because {
            writer.write_field(rows.reasons(row).to_string())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

fn json_lines(
    shape: &RowShape,
    rows: &Rows<'_>,
    range: std::ops::Range<usize>,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(range.len() * 64);
    for row in range {
        let mut fields = Map::new();
        fields.insert(shape.key.0.into(), json_id(rows.keys[row]));
        fields.insert(shape.listed.0.into(), json_id(rows.listed[row]));
        fields.insert("rank".into(), rows.ranks[row].into());
        fields.insert("score".into(), rows.scores[row].into());
        if shape.fallback {
            fields.insert("fallback".into(), rows.fallback[row].into());
        }
        if shape.title {
            fields.insert("title".into(), rows.titles[row].into());
        }
        if shape.because {
            fields.insert("because".into(), rows.reasons(row));
        }
        serde_json::to_writer(&mut out, &fields)?;
        out.push(b'\n');
    }
    Ok(out)
}
