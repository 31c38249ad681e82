//! Factor tables as Parquet.
//!
//! | column | type | |
//! |---|---|---|
//! | `user_id` / `item_id` | int64 or utf8 | the source id; rows are sorted by it |
//! | `embedding` | fixed-size list of f32 | absent at rank 0 |
//! | `bias` | f32 | 0 where biases are not fitted |
//! | `n_ratings` | int32 | training ratings |
//! | `model_version` | utf8 | |
//! | `trained_at` | timestamp[us, UTC] | |
//!
//! No column holds nulls. Footer keys: `lacuna.format_version`, `lacuna.model_version`,
//! `lacuna.side`, `lacuna.k`, `lacuna.layout`, `lacuna.global_mean`, `lacuna.score_expr`.
//! Parquet has no fixed-size list; the `ARROW:schema` key that Polars writes restores it for Arrow
//! readers, others see a list.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use super::FORMAT_VERSION;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::ids::Ids;
use crate::linalg::Matrix;
use crate::model::{Embedding, Trained};

/// What is written beside every row.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Identity of the model.
    pub model_version: String,
    /// Seconds since 1970.
    pub trained_at: i64,
    /// μ of the score.
    pub global_mean: f64,
}

/// Rows per row group: 16 MiB at rank 64, what `BigQuery` asks for at least.
const ROW_GROUP: usize = 65_536;

/// Writes one side; returns a description of the columns.
///
/// # Errors
/// [`Error::Write`], naming `shown` (the path the file will have once published).
pub fn write_factors(
    path: &Path,
    shown: &Path,
    axis: Axis,
    trained: &Trained,
    embedding: &Embedding,
    stamp: &Stamp,
) -> Result<String> {
    let failed = |source| Error::Write { path: shown.to_owned(), source };
    let polars_failed = |e: PolarsError| failed(into_io(e));
    let rank = embedding.vectors.cols();
    let mut frame = frame(axis, trained, embedding, stamp).map_err(polars_failed)?;
    let schema = describe(axis, &trained.ids, rank);
    let keys = [
        ("lacuna.format_version", FORMAT_VERSION.to_string()),
        ("lacuna.model_version", stamp.model_version.clone()),
        ("lacuna.side", axis.name().to_owned()),
        ("lacuna.k", rank.to_string()),
        ("lacuna.layout", "raw".to_owned()),
        ("lacuna.global_mean", stamp.global_mean.to_string()),
        (
            "lacuna.score_expr",
            "global_mean + user.bias + item.bias + dot(user.embedding, item.embedding)".to_owned(),
        ),
    ];
    let keys = keys.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let file = File::create(path).map_err(failed)?;
    ParquetWriter::new(&file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(ROW_GROUP))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(keys)))
        .finish(&mut frame)
        .map_err(polars_failed)?;
    file.sync_all().map_err(failed)?;
    Ok(schema)
}

/// An error of Polars as an I/O error, so that a full disk reads as one.
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

fn describe(axis: Axis, ids: &Ids, rank: usize) -> String {
    let id = if ids.kind() == "int" { "int64" } else { "utf8" };
    let embedding =
        if rank > 0 { format!("embedding: fixed_size_list<f32>[{rank}], ") } else { String::new() };
    format!(
        "{}: {id}, {embedding}bias: f32, n_ratings: int32, model_version: utf8, trained_at: timestamp[us, UTC]",
        id_column(axis)
    )
}

fn frame(
    axis: Axis,
    trained: &Trained,
    embedding: &Embedding,
    stamp: &Stamp,
) -> PolarsResult<DataFrame> {
    let rows = trained.ids.len();
    let id = PlSmallStr::from_static(id_column(axis));
    let ids = match &trained.ids {
        Ids::Int(ids) => Series::new(id, ids),
        Ids::Text(ids) => Series::new(id, ids.iter().map(|s| &**s).collect::<Vec<&str>>()),
    };
    let mut columns = vec![ids.into_column()];
    let rank = embedding.vectors.cols();
    if rank > 0 {
        columns.push(vectors_series(&embedding.vectors)?.into_column());
    }
    let counts: Vec<i32> =
        trained.counts.iter().map(|&n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
    let version = StringChunked::full("model_version".into(), &stamp.model_version, rows);
    let trained_at = Int64Chunked::full("trained_at".into(), stamp.trained_at * 1_000_000, rows)
        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    columns.push(Series::new("bias".into(), &embedding.biases).into_column());
    columns.push(Series::new("n_ratings".into(), counts).into_column());
    columns.push(version.into_column());
    columns.push(trained_at.into_column());
    DataFrame::new(rows, columns)
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

/// Reads one side of a model of the given rank.
///
/// # Errors
/// [`Error::Model`] if the file is not such a table.
pub fn read_factors(path: &Path, axis: Axis, rank: usize) -> Result<(Trained, Embedding)> {
    let wrong = |message: String| Error::Model { path: path.to_owned(), message };
    let file = File::open(path).map_err(|e| wrong(format!("the model is incomplete: {e}")))?;
    let frame = ParquetReader::new(file).finish();
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
            polars_ensure!(lists.width() == rank, ComputeError: "vectors of {} numbers where manifest.json says {rank}", lists.width());
            polars_ensure!(values.len() == ids.len() * rank, ComputeError: "null vectors");
            Matrix::from_rows(ids.len(), rank, &values)
        };
        let rows = ids.len();
        polars_ensure!(biases.len() == rows && counts.len() == rows, ComputeError: "null biases or counts");
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
