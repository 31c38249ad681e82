//! Files of user-item pairs to predict, in their order.

use std::path::Path;

use polars::prelude::*;

use super::layout::{ITEM_NAMES, USER_NAMES, find_column};
use crate::error::{Error, Result};
use crate::ids::Ids;

/// The pairs as the file has them.
#[derive(Debug, Clone)]
pub struct Pairs {
    users: Column,
    items: Column,
}

impl Pairs {
    /// Reads a CSV file with header or a Parquet file. Columns are found as for ratings.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::MissingColumn`], [`Error::Format`] for ids that are neither integers
    /// nor text or are missing.
    pub fn read(path: &Path, user: Option<&str>, item: Option<&str>) -> Result<Self> {
        let file = std::fs::File::open(path);
        let mut file = file.map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let wrong = |message: String| Error::Format { path: path.to_owned(), message };
        let mut magic = [0; 4];
        let parquet =
            std::io::Read::read(&mut file, &mut magic).is_ok_and(|n| n == 4) && magic == *b"PAR1";
        let frame = if parquet {
            ParquetReader::new(file).finish()
        } else {
            CsvReadOptions::default()
                .with_infer_schema_length(Some(0))
                .map_parse_options(|options| options.with_truncate_ragged_lines(true))
                .try_into_reader_with_file_path(Some(path.to_owned()))
                .and_then(SerReader::finish)
        };
        let frame = frame.map_err(|e| wrong(format!("not a readable file of pairs: {e}")))?;
        // Blank lines.
        let filled = frame.columns().iter().map(Column::is_not_null).reduce(|a, b| &a | &b);
        let frame = match filled {
            Some(filled) => frame.filter(&filled).map_err(|e| wrong(e.to_string()))?,
            None => frame,
        };
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        let column = |role, flag, given, known| -> Result<Column> {
            let at = find_column(path, &names, (role, flag), given, known)?;
            let column = frame.columns()[at].clone();
            let integer = column.dtype().is_integer();
            if column.null_count() > 0 {
                return Err(wrong(format!("column \"{}\" has rows without an id", names[at])));
            }
            let cast = if integer { column.strict_cast(&DataType::Int64) } else { Ok(column) };
            match cast {
                Ok(column) if integer || *column.dtype() == DataType::String => Ok(column),
                _ => Err(wrong(format!(
                    "column \"{}\" holds neither 64-bit integers nor text",
                    names[at]
                ))),
            }
        };
        Ok(Self {
            users: column("user", "--user-col", user, USER_NAMES)?,
            items: column("item", "--item-col", item, ITEM_NAMES)?,
        })
    }

    /// Positions of the users and items among a model's ids.
    #[must_use]
    pub fn positions(&self, users: &Ids, items: &Ids) -> (Vec<Option<usize>>, Vec<Option<usize>>) {
        (positions(&self.users, users), positions(&self.items, items))
    }

    /// The two columns; canonical integers from text files become integers.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let typed = |column: &Column| {
            let canonical = column.str().ok().is_some_and(|cells| {
                cells.iter().flatten().all(|c| super::block::canonical(c.as_bytes()).is_some())
            });
            let cast = canonical.then(|| column.strict_cast(&DataType::Int64).ok()).flatten();
            cast.unwrap_or_else(|| column.clone())
        };
        vec![typed(&self.users), typed(&self.items)]
    }
}

fn positions(column: &Column, ids: &Ids) -> Vec<Option<usize>> {
    match (column.i64(), column.str()) {
        (Ok(cells), _) => cells.iter().map(|id| id.and_then(|id| ids.find_int(id))).collect(),
        (_, Ok(cells)) => cells.iter().map(|id| id.and_then(|id| ids.find(id))).collect(),
        _ => vec![None; column.len()],
    }
}
