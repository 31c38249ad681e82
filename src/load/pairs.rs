//! Files of user-item pairs to predict.

use std::sync::atomic::AtomicBool;

use polars::prelude::{Column, IntoColumn, NamedFrom, Series};
use rayon::prelude::*;

use super::columns::Interactions;
use super::options::{Columns, LoadOptions, TimeUse};
use super::read::load;
use crate::error::Result;
use crate::ids::Ids;
use crate::pair::Pair;

/// The pairs of a file, in its order.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    /// Names of the columns.
    names: Pair<String>,
    /// The distinct ids.
    ids: Pair<Ids>,
    /// Positions among these ids, one per pair.
    rows: Pair<Vec<u32>>,
    /// Warnings about files that were not read.
    pub warnings: Vec<String>,
}

impl Pairs {
    /// Reads the pairs as rating files are read: any format, compressed or not. Other columns are
    /// ignored.
    ///
    /// # Errors
    /// Those of [`load`].
    pub(crate) fn read(
        input: &str,
        columns: Pair<Option<String>>,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let Pair { users: user, items: item } = columns;
        let options = LoadOptions {
            columns: Columns { user, item, ..Columns::default() },
            time: TimeUse::Ignore,
            ids_only: true,
            ..LoadOptions::default()
        };
        let found = load(&[input.to_owned()], &[], &options, stop, &|_, _| {})?;
        let Interactions { users, items, id_columns, chunks, warnings, .. } = found;
        let mut rows = Pair::<Vec<u32>>::default();
        for chunk in chunks {
            rows.users.extend(chunk.users);
            rows.items.extend(chunk.items);
        }
        // Without header, the columns have numbers.
        let named = |name: String, standard: &str| match name.parse::<usize>() {
            Ok(_) => standard.to_owned(),
            Err(_) => name,
        };
        let names =
            Pair::new(named(id_columns.users, "user_id"), named(id_columns.items, "item_id"));
        Ok(Self { names, ids: Pair::new(users, items), rows, warnings })
    }

    /// Positions of the users and items among the ids of a model.
    #[must_use]
    pub(crate) fn positions(&self, ids: Pair<&Ids>) -> Pair<Vec<Option<usize>>> {
        self.rows.as_ref().zip(self.ids.as_ref().zip(ids)).map(|(rows, (own, of_model))| {
            let find = |row: usize| match own {
                Ids::Int(own) => of_model.find_int(own[row]),
                Ids::Text(own) => of_model.find(&own[row]),
            };
            let found: Vec<Option<usize>> = (0..own.len()).into_par_iter().map(find).collect();
            rows.par_iter().map(|&row| found[row as usize]).collect()
        })
    }

    /// The two columns. Ids are integers if all ids of the column are.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |name: &str, rows: &[u32], ids: &Ids| match ids {
            Ids::Int(ids) => {
                let cells: Vec<i64> = rows.iter().map(|&row| ids[row as usize]).collect();
                Series::new(name.into(), cells).into_column()
            }
            Ids::Text(ids) => {
                let cells: Vec<&str> = rows.iter().map(|&row| &*ids[row as usize]).collect();
                Series::new(name.into(), cells).into_column()
            }
        };
        let Self { names, ids, rows, .. } = self;
        vec![
            column(&names.users, &rows.users, &ids.users),
            column(&names.items, &rows.items, &ids.items),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Pairs> {
        read_columns(text, Pair::default())
    }

    fn read_columns(text: &str, columns: Pair<Option<String>>) -> Result<Pairs> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let path = file.path().display().to_string();
        Pairs::read(&path, columns, &AtomicBool::new(false))
    }

    #[test]
    fn pairs_keep_their_order_and_their_names() {
        let ids = Pair::new(Ids::Int(vec![1, 2]), Ids::Text(vec!["a".into(), "b".into()]));
        let numbers = Pair::new(Some("1".to_owned()), Some("2".to_owned()));
        for (text, columns) in [
            ("n,itemId,userId\n0,b,2\n0,x,1\n0,a,2\n", Pair::default()),
            ("2\tb\n1\tx\n2\ta\n", numbers),
        ] {
            let pairs = read_columns(text, columns).expect("pairs");
            let found = pairs.positions(ids.as_ref());
            assert_eq!(found.users, [Some(1), Some(0), Some(1)]);
            assert_eq!(found.items, [Some(1), None, Some(0)]);
            let columns = pairs.columns();
            let names: Vec<&str> = columns.iter().map(|c| c.name().as_str()).collect();
            let header = text.starts_with('n');
            assert_eq!(names, if header { ["userId", "itemId"] } else { ["user_id", "item_id"] });
            assert_eq!(
                columns[0].i64().expect("integers").to_vec_null_aware().left(),
                Some(vec![2, 1, 2])
            );
        }
        // What has no names of ids may be anything.
        for text in ["u,i\nann,emma\n", "ann\temma\n"] {
            let unnamed = read(text).expect_err("no header").to_string();
            assert!(unnamed.contains("--user-col and --item-col"), "{unnamed}");
        }
        let more = read("user_id,item_id,2020\n1,a,x,y\n2,b,x\n").expect("pairs");
        assert_eq!(more.positions(ids.as_ref()).users, [Some(0), Some(1)]);
        let empty = read("user_id,item_id\n").expect("no pairs");
        assert_eq!(empty.positions(ids.as_ref()).users, []);
        let missing = read("user_id,item_id\n1,\n").expect_err("an id is missing").to_string();
        assert!(missing.contains(":2:") && missing.contains("empty"), "{missing}");
    }
}
