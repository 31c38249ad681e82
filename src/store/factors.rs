//! Factor tables as Parquet.
//!
//! | column | type | |
//! |---|---|---|
//! | `user_id` / `item_id` | int64 or utf8 | the external id, by which rows are sorted |
//! | `embedding` | fixed-size list of f32 | absent at rank 0 |
//! | `bias` | f32 | 0 if biases are not fitted; absent in layouts without separate biases |
//! | `n_ratings` | int32 | number of training ratings |
//! | `model_version` | utf8 | |
//! | `trained_at` | timestamp[us, UTC] | |
//!
//! No column holds nulls. Footer keys: `lacuna.format_version`, `lacuna.model_version`,
//! `lacuna.side`, `lacuna.k`, `lacuna.layout`, `lacuna.global_mean`, `lacuna.score_expr`.
//! Parquet has no fixed-size lists. The footer key `ARROW:schema` restores them for Arrow readers;
//! other readers see plain lists.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use polars::prelude::*;

use super::FORMAT_VERSION;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::ids::Ids;
use crate::linalg::Matrix;
use crate::load::{check_footer, decode};
use crate::model::{Embedding, Layout, Trained};

/// Metadata that is written along with the vectors of a model.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Identity of the model.
    pub model_version: String,
    /// Time of the training, in seconds since 1970.
    pub trained_at: i64,
    /// μ of the score.
    pub global_mean: f64,
}

/// Rows per row group: 16 MiB at rank 64, which is the minimum that `BigQuery` asks for.
const ROW_GROUP: usize = 65_536;

/// The Arrow type that the file declares for the vectors; the stored data is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lists {
    /// Fixed-size lists: Arrow readers restore the number of entries.
    #[default]
    Fixed,
    /// Plain lists, for readers that support no others.
    Plain,
}

/// One side of a model as a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FactorTable<'a> {
    /// Users or items.
    pub axis: Axis,
    /// External ids, sorted.
    pub ids: &'a Ids,
    /// One vector per id.
    pub vectors: &'a Matrix,
    /// One bias per id; `None` in layouts without separate biases.
    pub biases: Option<&'a [f32]>,
    /// Number of training ratings of each id.
    pub counts: &'a [u32],
    /// Layout of the vectors.
    pub layout: Layout,
    /// List type of the vectors.
    pub lists: Lists,
    /// Metadata that is written along with the vectors.
    pub stamp: &'a Stamp,
}

impl FactorTable<'_> {
    /// The columns and their types.
    #[must_use]
    pub(crate) fn schema(&self) -> String {
        let id = if self.ids.kind() == "int" { "int64" } else { "utf8" };
        let embedding = match (self.vectors.cols(), self.lists) {
            (0, _) => String::new(),
            (width, Lists::Fixed) => format!("embedding: fixed_size_list<f32>[{width}], "),
            (_, Lists::Plain) => "embedding: list<f32>, ".to_owned(),
        };
        let bias = if self.biases.is_some() { "bias: f32, " } else { "" };
        format!(
            "{}: {id}, {embedding}{bias}n_ratings: int32, model_version: utf8, \
             trained_at: timestamp[us, UTC]",
            id_column(self.axis)
        )
    }

    /// Writes the table as Parquet.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn write(&self, to: impl Write) -> io::Result<()> {
        let mut frame = self.frame().map_err(into_io)?;
        let keys = [
            ("lacuna.format_version", FORMAT_VERSION.to_string()),
            ("lacuna.model_version", self.stamp.model_version.clone()),
            ("lacuna.side", self.axis.name().to_owned()),
            ("lacuna.k", self.vectors.cols().to_string()),
            ("lacuna.layout", self.layout.name().to_owned()),
            ("lacuna.global_mean", self.stamp.global_mean.to_string()),
            ("lacuna.score_expr", self.layout.score().to_owned()),
        ];
        let mut keys: Vec<(String, String)> =
            keys.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        keys.extend(arrow_schema(frame.schema(), self.lists));
        ParquetWriter::new(to)
            .with_compression(ParquetCompression::Zstd(None))
            .with_row_group_size(Some(ROW_GROUP))
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(keys)))
            .finish(&mut frame)
            .map(|_| ())
            .map_err(into_io)
    }

    fn frame(&self) -> PolarsResult<DataFrame> {
        let rows = self.ids.len();
        let mut columns = vec![id_series(id_column(self.axis), self.ids).into_column()];
        if self.vectors.cols() > 0 {
            columns.push(vectors_series(self.vectors)?.into_column());
        }
        if let Some(biases) = self.biases {
            columns.push(Series::new("bias".into(), biases).into_column());
        }
        let counts: Vec<i32> =
            self.counts.iter().map(|&n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
        let version = &self.stamp.model_version;
        let version = StringChunked::full("model_version".into(), version, rows);
        let trained_at = self.stamp.trained_at * 1_000_000;
        let trained_at = Int64Chunked::full("trained_at".into(), trained_at, rows)
            .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        columns.push(Series::new("n_ratings".into(), counts).into_column());
        columns.push(version.into_column());
        columns.push(trained_at.into_column());
        DataFrame::new(rows, columns)
    }
}

/// Writes one side in the form of Spark's ALS: `id`, an int32, and `features`, a plain list.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write_spark_factors(ids: &[i32], vectors: &Matrix, to: impl Write) -> io::Result<()> {
    let build = || {
        let ids = Series::new("id".into(), ids).into_column();
        let features = vectors_series(vectors)?.with_name("features".into());
        DataFrame::new(vectors.rows(), vec![ids, features.into_column()])
    };
    let mut frame = build().map_err(into_io)?;
    let keys = arrow_schema(frame.schema(), Lists::Plain).into_iter().collect();
    ParquetWriter::new(to)
        .with_compression(ParquetCompression::Snappy)
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(keys)))
        .finish(&mut frame)
        .map(|_| ())
        .map_err(into_io)
}

/// Ids as a column of 64-bit integers or text.
fn id_series(name: &'static str, ids: &Ids) -> Series {
    let name = PlSmallStr::from_static(name);
    match ids {
        Ids::Int(ids) => Series::new(name, ids),
        Ids::Text(ids) => Series::new(name, ids.iter().map(|s| &**s).collect::<Vec<&str>>()),
    }
}

/// Creates a Parquet writer that declares Arrow types which old readers support.
pub(crate) fn parquet_writer<W: Write>(to: W, schema: &Schema) -> ParquetWriter<W> {
    let keys = arrow_schema(schema, Lists::Fixed).into_iter().collect();
    ParquetWriter::new(to).with_key_value_metadata(Some(KeyValueMetadata::from_static(keys)))
}

/// The footer key `ARROW:schema` of a table, with types that the oldest readers support.
///
/// Text is declared as utf8, because Arrow before version 15 has no string views. With
/// [`Lists::Plain`], lists are declared as plain ones. If a caller passes this key, Polars omits
/// its own.
fn arrow_schema(schema: &Schema, lists: Lists) -> Option<(String, String)> {
    let plain = |dtype: ArrowDataType| match dtype {
        ArrowDataType::FixedSizeList(field, _) | ArrowDataType::LargeList(field)
            if lists == Lists::Plain =>
        {
            ArrowDataType::List(field)
        }
        ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View => ArrowDataType::Utf8,
        other => other,
    };
    let field = |(name, dtype): (&PlSmallStr, &DataType)| {
        let field = dtype.to_arrow_field(name.clone(), CompatLevel::oldest());
        let field = ArrowField { dtype: plain(field.dtype.clone()), ..field };
        (name.clone(), field)
    };
    let schema: ArrowSchema = schema.iter().map(field).collect();
    let key = polars_parquet::write::schema_to_metadata_key(&schema);
    Some((key.key, key.value?))
}

/// Writes one side of a model in the raw layout and returns a description of the columns.
///
/// # Errors
/// [`Error::Write`], naming `shown` (the path the file will have once published).
pub(crate) fn write_factors(
    path: &Path,
    shown: &Path,
    axis: Axis,
    trained: &Trained,
    embedding: &Embedding,
    stamp: &Stamp,
) -> Result<String> {
    let table = FactorTable {
        axis,
        ids: &trained.ids,
        vectors: &embedding.vectors,
        biases: Some(&embedding.biases),
        counts: &trained.counts,
        layout: Layout::Raw,
        lists: Lists::Fixed,
        stamp,
    };
    let write = || {
        let file = File::create(path)?;
        table.write(&file)?;
        file.sync_all()
    };
    write().map_err(|source| Error::Write { path: shown.to_owned(), source })?;
    Ok(table.schema())
}

/// Converts an error of Polars to an I/O error, so that a full disk is reported as one.
pub(crate) fn into_io(error: PolarsError) -> std::io::Error {
    match error {
        PolarsError::IO { error, .. } => std::io::Error::new(error.kind(), error.to_string()),
        other => std::io::Error::other(other.to_string()),
    }
}

const fn id_column(axis: Axis) -> &'static str {
    match axis {
        Axis::User => "user_id",
        Axis::Item => "item_id",
    }
}

/// The vectors as a column of fixed-size lists without nulls.
fn vectors_series(vectors: &Matrix) -> PolarsResult<Series> {
    let rank = vectors.cols();
    let mut values = Vec::with_capacity(vectors.rows() * rank);
    for row in 0..vectors.rows() {
        values.extend_from_slice(vectors.row(row));
    }
    let values = Series::new("embedding".into(), values);
    values.reshape_array(&[ReshapeDimension::Infer, ReshapeDimension::new_dimension(rank as u64)])
}

/// Reads one side of a model of rank `rank`.
///
/// # Errors
/// [`Error::Model`] if the file is not such a table.
pub(super) fn read_factors(path: &Path, axis: Axis, rank: usize) -> Result<(Trained, Embedding)> {
    let wrong = |message: String| Error::Model { path: path.to_owned(), message };
    let mut file = File::open(path).map_err(|e| wrong(format!("the model is incomplete: {e}")))?;
    let footer = check_footer(&mut file);
    footer.map_err(|e| wrong(format!("not a readable Parquet file: {e}")))?;
    let frame = decode(|| ParquetReader::new(file).finish());
    let frame = frame.map_err(|e| wrong(format!("not a readable Parquet file: {e}")))?;
    let read = || -> PolarsResult<(Trained, Embedding)> {
        let id = frame.column(id_column(axis))?;
        polars_ensure!(id.null_count() == 0, ComputeError: "null ids");
        let ids = if *id.dtype() == DataType::Int64 {
            Ids::Int(id.i64()?.iter().flatten().collect())
        } else {
            Ids::Text(id.str()?.iter().flatten().map(Into::into).collect())
        };
        let biases: Vec<f32> = frame.column("bias")?.f32()?.iter().flatten().collect();
        let counts = frame.column("n_ratings")?.i32()?;
        let counts: Vec<u32> = counts.iter().flatten().map(i32::unsigned_abs).collect();
        let vectors = if rank == 0 {
            Matrix::zeros(ids.len(), 0)
        } else {
            let lists = frame.column("embedding")?.array()?.clone();
            let values = lists.get_inner();
            let values: Vec<f32> = values.f32()?.iter().flatten().collect();
            polars_ensure!(
                lists.width() == rank,
                ComputeError: "vectors of {} numbers where manifest.json says {rank}",
                lists.width()
            );
            polars_ensure!(values.len() == ids.len() * rank, ComputeError: "null vectors");
            Matrix::from_rows(ids.len(), rank, &values)
        };
        let rows = ids.len();
        polars_ensure!(
            biases.len() == rows && counts.len() == rows,
            ComputeError: "null biases or counts"
        );
        Ok((Trained { ids, counts }, Embedding { vectors, biases }))
    };
    let (trained, embedding) = read().map_err(|e| wrong(format!("not a factor table: {e}")))?;
    let sorted = match &trained.ids {
        Ids::Int(ids) => ids.windows(2).all(|w| w[0] < w[1]),
        Ids::Text(ids) => ids.windows(2).all(|w| w[0] < w[1]),
    };
    if !sorted {
        return Err(wrong("its ids are not sorted and unique".into()));
    }
    if !embedding.is_finite() {
        return Err(wrong("it holds numbers that are not finite".into()));
    }
    Ok((trained, embedding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("f.parquet");
        let stamp =
            Stamp { model_version: "v".into(), trained_at: 1_600_000_000, global_mean: 3.5 };
        for rank in [0, 1, 5, 16] {
            for ids in [Ids::Int(vec![-2, 7]), Ids::Text(vec!["a b".into(), "ä".into()])] {
                let trained = Trained { ids, counts: vec![3, 9] };
                let values: Vec<f32> = (0..2 * rank).map(|v| v as f32 * 0.5).collect();
                let embedding = Embedding {
                    vectors: Matrix::from_rows(2, rank, &values),
                    biases: vec![0.25, -1.0],
                };
                write_factors(&path, &path, Axis::Item, &trained, &embedding, &stamp)
                    .expect("writes");
                assert_eq!(
                    read_factors(&path, Axis::Item, rank).expect("reads"),
                    (trained, embedding)
                );
            }
        }
        let error = read_factors(&path, Axis::Item, 4).map(|_| ()).map_err(|e| e.to_string());
        assert!(
            error.is_err_and(|e| e.contains("vectors of 16 numbers where manifest.json says 4"))
        );
        assert!(matches!(read_factors(&path, Axis::User, 16), Err(Error::Model { .. })));
    }
}
