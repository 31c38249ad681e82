//! Ranked lists as rows, streamed to Parquet, CSV or NDJSON: a file that appears as a whole, or standard
//! output.

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
use super::table::OutFile;
use super::{json_id, json_number};
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
    /// By a file's ending: `.csv`, `.parquet`, `.ndjson` or `.jsonl`.
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

/// Names of the columns, and which optional ones there are: the same for all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowShape {
    /// Whom or what a list is for, and whether its ids are integers.
    pub key: (&'static str, bool),
    /// What is listed, and whether its ids are integers.
    pub listed: (&'static str, bool),
    /// A column `fallback`: whether the key is unknown to the model.
    pub fallback: bool,
    /// A column `title`.
    pub title: bool,
    /// A column `because`.
    pub because: bool,
}

/// A rating that carried a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason<'a> {
    /// The rated item.
    pub item: Id<'a>,
    /// Its title, where titles are known.
    pub title: Option<&'a str>,
    /// The rating.
    pub value: f32,
    /// What it carried to the score, in units of the score.
    pub share: f64,
}

/// Some rows, column by column.
#[derive(Debug, Clone, Default)]
pub struct Rows<'a> {
    /// Whom or what a list is for.
    pub keys: Vec<Id<'a>>,
    /// What is listed.
    pub listed: Vec<Id<'a>>,
    /// Place in the list, from 1.
    pub ranks: Vec<i32>,
    /// Scores.
    pub scores: Vec<f64>,
    /// Whether the key is unknown; empty where there is no such column.
    pub fallback: Vec<bool>,
    /// Titles; empty where there is no such column.
    pub titles: Vec<Option<&'a str>>,
    /// Reasons, most important first; empty where there is no such column.
    pub because: Vec<Vec<Reason<'a>>>,
}

impl Rows<'_> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
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

/// Writes rows.
pub struct RowWriter {
    shape: RowShape,
    /// None for standard output.
    file: Option<OutFile>,
    path: PathBuf,
    sink: Sink,
    /// Whether the reader of standard output has gone away.
    gone: bool,
}

enum Sink {
    Text(RowFormat, Box<dyn Write>),
    Parquet(Box<BatchedWriter<File>>),
}

/// Rows of text that are formatted by one task.
const ROWS_PER_TASK: usize = 1 << 13;

impl RowWriter {
    /// Begins a file, which replaces another only if `replace`, or without a path standard output.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`]; [`Error::Usage`] for Parquet on
    /// standard output.
    pub fn create(to: Option<(&Path, bool)>, format: RowFormat, shape: RowShape) -> Result<Self> {
        let Some((path, replace)) = to else {
            if format == RowFormat::Parquet {
                let message = "Parquet cannot be written to standard output: give --output FILE";
                return Err(Error::Usage(message.into()));
            }
            let sink = Sink::Text(format, Box::new(BufWriter::new(io::stdout())));
            let path = PathBuf::from("standard output");
            return Self { shape, file: None, path, sink, gone: false }.begun();
        };
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
        Self { shape, file: Some(file), path: path.to_owned(), sink, gone: false }.begun()
    }

    fn begun(mut self) -> Result<Self> {
        let shape = self.shape;
        if let Sink::Text(RowFormat::Csv, to) = &mut self.sink {
            let mut names = vec![shape.key.0, shape.listed.0, "rank", "score"];
            names.extend(shape.fallback.then_some("fallback"));
            names.extend(shape.title.then_some("title"));
            names.extend(shape.because.then_some("because"));
            let written = writeln!(to, "{}", names.join(","));
            self.done(written)?;
        }
        Ok(self)
    }

    /// Adds rows; false where nobody reads standard output any more.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, rows: &Rows<'_>) -> Result<bool> {
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
        self.done(written)?;
        Ok(!self.gone)
    }

    /// Completes the file and moves it into place.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Text(_, to) => to.flush(),
            Sink::Parquet(writer) => writer.finish().map(|_| ()).map_err(into_io),
        };
        self.done(written)?;
        drop(self.sink);
        self.file.map_or(Ok(()), OutFile::publish)
    }

    /// A reader of standard output that has gone away ends the writing.
    fn done(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(e) if self.file.is_none() && e.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
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
        // A column is of one kind: the shape says which.
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
