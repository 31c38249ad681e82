//! Single-file tables: synthetic ratings, predictions. They appear as a whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use polars::prelude::*;
use tempfile::NamedTempFile;

use super::factors::{into_io, parquet_writer};
use crate::error::{Error, Result};
use crate::load::pairs::Pairs;
use crate::synthetic::Block;

/// A file that is moved into place when it is complete.
pub(super) struct OutFile {
    pub(super) target: PathBuf,
    pub(super) temporary: NamedTempFile,
}

impl OutFile {
    pub(super) fn create(target: &Path, replace: bool) -> Result<Self> {
        // Through a link, its target is replaced and not the link.
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
        // As the umask wants it, not private as temporary files are.
        let temporary = tempfile::Builder::new()
            .prefix(".lacuna-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(parent)
            .map_err(failed)?;
        Ok(Self { target: target.to_owned(), temporary })
    }

    /// Where to write.
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

/// Writes synthetic ratings as CSV or, by the file's ending, Parquet.
pub struct RatingsWriter {
    file: OutFile,
    sink: Sink,
}

enum Sink {
    Csv(BufWriter<std::fs::File>),
    Parquet(Box<polars::io::parquet::write::BatchedWriter<std::fs::File>>),
}

impl RatingsWriter {
    /// Begins a file with the columns userId, movieId, rating, timestamp.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::Write`].
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

    /// Adds blocks in their order.
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
        // Shortest form that reads back as the same number, with a decimal point.
        let (user, item, value) = (block.users[row], block.items[row], block.values[row]);
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{user},{item},{value:?},{}", block.times[row]);
    }
    text
}

/// Writes pairs and their predictions, with their deviations where given: CSV, or Parquet by the file's ending; CSV to standard output
/// without a path.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::Write`].
pub fn write_predictions(
    pairs: &Pairs,
    predictions: &[f64],
    deviations: Option<&[Option<f64>]>,
    known: (&[bool], &[bool]),
    to: Option<(&Path, bool)>,
) -> Result<()> {
    let build = || -> PolarsResult<DataFrame> {
        let mut columns = pairs.columns();
        columns.push(Series::new("prediction".into(), predictions).into_column());
        if let Some(deviations) = deviations {
            columns.push(Series::new("deviation".into(), deviations).into_column());
        }
        columns.push(Series::new("known_user".into(), known.0).into_column());
        columns.push(Series::new("known_item".into(), known.1).into_column());
        DataFrame::new(predictions.len(), columns)
    };
    let shown = to.map_or(Path::new("-"), |(path, _)| path);
    let failed = |e: PolarsError| Error::Write { path: shown.to_owned(), source: into_io(e) };
    let mut frame = build().map_err(failed)?;
    let Some((path, replace)) = to else {
        // A reader that has gone away is no failure.
        return match CsvWriter::new(std::io::stdout().lock()).finish(&mut frame).map_err(into_io) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::Write { path: shown.to_owned(), source: e })
            }
            _ => Ok(()),
        };
    };
    let mut file = OutFile::create(path, replace)?;
    if is_parquet(path) {
        let writer = parquet_writer(file.temporary.as_file_mut(), frame.schema());
        writer.with_compression(ParquetCompression::Snappy).finish(&mut frame).map_err(failed)?;
    } else {
        CsvWriter::new(file.temporary.as_file_mut()).finish(&mut frame).map_err(failed)?;
    }
    file.publish()
}
