//! Files of user-item pairs to predict.

use std::path::Path;

use polars::prelude::*;
use rayon::prelude::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::block::canonical;
use super::footer::check as check_footer;
use super::guard::decode;
use super::roles::{ITEM_NAMES, Role, USER_NAMES, find_column};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::pair::Pair;

/// The pairs of a file, in its order.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    users: Column,
    items: Column,
}

impl Pairs {
    /// Reads a CSV file with header or a Parquet file. Columns are recognised as in rating files.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::MissingColumn`], [`Error::Format`] for ids that are missing or
    /// neither integers nor text.
    pub(crate) fn read(path: &Path, user: Option<&str>, item: Option<&str>) -> Result<Self> {
        let file = std::fs::File::open(path);
        let mut file = file.map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let wrong = |message: String| Error::Format { path: path.to_owned(), message };
        let mut magic = [0; 4];
        let parquet =
            std::io::Read::read(&mut file, &mut magic).is_ok_and(|n| n == 4) && magic == *b"PAR1";
        let frame = if parquet {
            check_footer(&mut file).and_then(|()| decode(|| ParquetReader::new(file).finish()))
        } else {
            CsvReadOptions::default()
                .with_infer_schema_length(Some(0))
                .map_parse_options(|options| options.with_truncate_ragged_lines(true))
                .try_into_reader_with_file_path(Some(path.to_owned()))
                .and_then(SerReader::finish)
        };
        let frame = frame.map_err(|e| wrong(format!("not a readable file of pairs: {e}")))?;
        // Blank lines are rows of nulls; they are left out.
        let filled = frame.columns().iter().map(Column::is_not_null).reduce(|a, b| &a | &b);
        let frame = match filled {
            Some(filled) => frame.filter(&filled).map_err(|e| wrong(e.to_string()))?,
            None => frame,
        };
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        let column = |role, given, known| -> Result<Column> {
            let at = find_column(path, &names, role, given, known)?;
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
            users: column(Role::USER, user, USER_NAMES)?,
            items: column(Role::ITEM, item, ITEM_NAMES)?,
        })
    }

    /// Positions of the users and items among the ids of a model.
    #[must_use]
    pub(crate) fn positions(&self, ids: Pair<&Ids>) -> Pair<Vec<Option<usize>>> {
        Pair::new(positions(&self.users, ids.users), positions(&self.items, ids.items))
    }

    /// The two columns. Text columns of canonical integers become integer columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let typed = |column: &Column| {
            let canonical = column.str().ok().is_some_and(|cells| {
                cells.iter().flatten().all(|c| canonical(c.as_bytes()).is_some())
            });
            let cast = canonical.then(|| column.strict_cast(&DataType::Int64).ok()).flatten();
            cast.unwrap_or_else(|| column.clone())
        };
        vec![typed(&self.users), typed(&self.items)]
    }
}

fn positions(column: &Column, ids: &Ids) -> Vec<Option<usize>> {
    // Columns may have several chunks. They contain no nulls (see `Pairs::read`).
    match (column.i64(), column.str()) {
        (Ok(cells), _) => {
            let table = Table::new(ids, cells.len());
            let find = |&id: &i64| table.as_ref().map_or_else(|| ids.find_int(id), |t| t.find(id));
            let chunks: Vec<&[i64]> =
                cells.downcast_iter().map(|chunk| chunk.values().as_slice()).collect();
            chunks.into_par_iter().flat_map(|chunk| chunk.par_iter().map(find)).collect()
        }
        (_, Ok(cells)) => {
            let cells: Vec<&str> = cells.iter().flatten().collect();
            cells.into_par_iter().map(|id| ids.find(id)).collect()
        }
        _ => vec![None; column.len()],
    }
}

/// A table of the positions of integer ids that lie close together, for fast lookups.
struct Table {
    first: i64,
    positions: Vec<u32>,
}

impl Table {
    /// `None` for text ids, and if the span of the ids is more than four times the larger of the
    /// numbers of lookups and ids.
    fn new(ids: &Ids, lookups: usize) -> Option<Self> {
        let Ids::Int(ids) = ids else { return None };
        let (&first, &last) = (ids.first()?, ids.last()?);
        let span = usize::try_from(last.checked_sub(first)?).ok()?.checked_add(1)?;
        if span / 4 > lookups.max(ids.len()) {
            return None;
        }
        let mut positions = vec![u32::MAX; span];
        for (position, &id) in ids.iter().enumerate() {
            positions[usize::try_from(id - first).ok()?] = u32::try_from(position).ok()?;
        }
        Some(Self { first, positions })
    }

    fn find(&self, id: i64) -> Option<usize> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.positions.get(at).filter(|&&p| p != u32::MAX).map(|&p| p as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_what_a_search_finds() {
        let ids = Ids::Int(vec![-3, 0, 1, 5, 9]);
        let table = Table::new(&ids, 10).expect("small enough");
        for id in [i64::MIN, -4, -3, -1, 0, 1, 4, 5, 9, 10, i64::MAX] {
            assert_eq!(table.find(id), ids.find_int(id), "{id}");
        }
        assert!(Table::new(&Ids::Int(vec![0, 1 << 40]), 10).is_none());
        assert!(Table::new(&Ids::Int(vec![i64::MIN, i64::MAX]), 10).is_none());
        assert!(Table::new(&Ids::Text(vec!["a".into()]), 10).is_none());
    }
}
