//! Tables in single files: synthetic ratings and predictions.
//!
//! A file appears complete or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use polars::prelude::*;
use tempfile::NamedTempFile;

use super::factors::{into_io, parquet_writer};
use super::row_target::RowTarget;
use crate::error::{Error, Result};
use crate::load::pairs::Pairs;
use crate::pair::Pair;
use crate::synthetic::Block;

/// A file that is moved into place when it is complete.
pub(super) struct OutFile {
    pub(super) target: PathBuf,
    pub(super) temporary: NamedTempFile,
}

impl OutFile {
    pub(super) fn create(target: &Path, replace: bool) -> Result<Self> {
        // The file that a link points to is replaced, not the link.
        let resolved =
            if target.is_symlink() { target.canonicalize() } else { Ok(target.to_owned()) };
        let target =
            &resolved.map_err(|source| Error::Write { path: target.to_owned(), source })?;
        if target.exists() && !target.is_file() {
            let reason = "is not a regular file".to_owned();
            return Err(Error::NotOurs { path: target.clone(), reason });
        }
        if target.exists() && !replace {
            return Err(Error::OutputExists { path: target.clone() });
        }
        let parent =
            target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |source| Error::Write { path: target.to_owned(), source };
        // The umask decides the permissions: by default, temporary files are private.
        let temporary = tempfile::Builder::new()
            .prefix(".lacuna-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(parent)
            .map_err(failed)?;
        Ok(Self { target: target.to_owned(), temporary })
    }

    /// The temporary file to write to.
    pub(super) fn writer(&mut self) -> &mut std::fs::File {
        self.temporary.as_file_mut()
    }

    pub(super) fn publish(self) -> Result<()> {
        let Self { target, temporary } = self;
        let synced = temporary.as_file().sync_all();
        let moved = synced.and_then(|()| temporary.persist(&target).map_err(|e| e.error));
        moved.map(|_| ()).map_err(|source| Error::Write { path: target, source })
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}

/// Writes synthetic ratings as Parquet if the file name ends in `.parquet`, and as CSV otherwise.
pub struct RatingsWriter {
    file: OutFile,
    sink: Sink,
}

enum Sink {
    Csv(BufWriter<std::fs::File>),
    Parquet(Box<polars::io::parquet::write::BatchedWriter<std::fs::File>>),
}

impl RatingsWriter {
    /// Creates a file with the columns userId, movieId, rating, timestamp.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`].
    pub fn create(path: &Path, replace: bool) -> Result<Self> {
        let file = OutFile::create(path, replace)?;
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let handle = file.temporary.reopen().map_err(failed)?;
        let sink = if is_parquet(path) {
            let empty = frame(&Block::default()).map_err(|e| failed(into_io(e)))?;
            let writer = parquet_writer(handle, empty.schema())
                .with_compression(ParquetCompression::Zstd(None))
                .batched(empty.schema())
                .map_err(|e| failed(into_io(e)))?;
            Sink::Parquet(Box::new(writer))
        } else {
            let mut writer = BufWriter::with_capacity(1 << 20, handle);
            writer.write_all(b"userId,movieId,rating,timestamp\n").map_err(failed)?;
            Sink::Csv(writer)
        };
        Ok(Self { file, sink })
    }

    /// Appends blocks in order.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, blocks: &[Block]) -> Result<()> {
        let path = self.file.target.clone();
        let failed = |source| Error::Write { path: path.clone(), source };
        match &mut self.sink {
            Sink::Csv(writer) => {
                use rayon::prelude::*;
                let text: Vec<Vec<u8>> = blocks.par_iter().map(csv_lines).collect();
                text.iter().try_for_each(|lines| writer.write_all(lines)).map_err(failed)
            }
            Sink::Parquet(writer) => {
                let all = blocks.iter().fold(Block::default(), |mut all, b| {
                    all.users.extend(&b.users);
                    all.items.extend(&b.items);
                    all.values.extend(&b.values);
                    all.times.extend(&b.times);
                    all
                });
                frame(&all).and_then(|f| writer.write_batch(&f)).map_err(|e| failed(into_io(e)))
            }
        }
    }

    /// Completes the file and moves it into place.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<()> {
        let path = self.file.target.clone();
        let failed = |source| Error::Write { path: path.clone(), source };
        match self.sink {
            Sink::Csv(mut writer) => writer.flush().map_err(failed)?,
            Sink::Parquet(writer) => writer.finish().map(|_| ()).map_err(|e| failed(into_io(e)))?,
        }
        self.file.publish()
    }
}

fn frame(block: &Block) -> PolarsResult<DataFrame> {
    let columns = vec![
        Series::new("userId".into(), &block.users).into_column(),
        Series::new("movieId".into(), &block.items).into_column(),
        Series::new("rating".into(), &block.values).into_column(),
        Series::new("timestamp".into(), &block.times).into_column(),
    ];
    DataFrame::new(block.users.len(), columns)
}

fn csv_lines(block: &Block) -> Vec<u8> {
    let mut text = Vec::with_capacity(block.users.len() * 28);
    for row in 0..block.users.len() {
        // `{value:?}` has a decimal point and is the shortest form that reads back unchanged.
        let (user, item, value) = (block.users[row], block.items[row], block.values[row]);
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{user},{item},{value:?},{}", block.times[row]);
    }
    text
}

/// Predictions for pairs, in the order of the pairs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Predictions {
    /// Predicted scores.
    pub scores: Vec<f64>,
    /// Predictive standard deviations, if they are wanted; none where they are not known.
    pub deviations: Option<Vec<Option<f64>>>,
    /// Whether the model knows the user, and the item.
    pub known: Pair<Vec<bool>>,
}

/// Writes pairs with their predictions, and with their deviations if there are any.
///
/// The format is Parquet if the file name ends in `.parquet`, and CSV otherwise.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::NotOurs`], [`Error::Write`].
pub(crate) fn write_predictions(
    pairs: &Pairs,
    predictions: &Predictions,
    to: RowTarget,
) -> Result<()> {
    let Predictions { scores, deviations, known } = predictions;
    let build = || -> PolarsResult<DataFrame> {
        let mut columns = pairs.columns();
        columns.push(Series::new("prediction".into(), scores).into_column());
        if let Some(deviations) = deviations {
            columns.push(Series::new("deviation".into(), deviations).into_column());
        }
        columns.push(Series::new("known_user".into(), &known.users).into_column());
        columns.push(Series::new("known_item".into(), &known.items).into_column());
        DataFrame::new(scores.len(), columns)
    };
    let shown = match &to {
        RowTarget::Stream(_) => PathBuf::from("-"),
        RowTarget::File { path, .. } => path.clone(),
    };
    let failed = |e: PolarsError| Error::Write { path: shown.clone(), source: into_io(e) };
    let mut frame = build().map_err(failed)?;
    let (path, replace) = match to {
        RowTarget::File { path, replace } => (path, replace),
        RowTarget::Stream(stream) => {
            return match CsvWriter::new(stream).finish(&mut frame).map_err(into_io) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(Error::Write { path: shown, source: e })
                }
                _ => Ok(()),
            };
        }
    };
    let path = path.as_path();
    let mut file = OutFile::create(path, replace)?;
    if is_parquet(path) {
        let writer = parquet_writer(file.temporary.as_file_mut(), frame.schema());
        writer.with_compression(ParquetCompression::Snappy).finish(&mut frame).map_err(failed)?;
    } else {
        CsvWriter::new(file.temporary.as_file_mut()).finish(&mut frame).map_err(failed)?;
    }
    file.publish()
}
