//! Small tables in addition to ratings: titles and categories of items, lists of ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::footer::check as check_footer;
use super::guard::decode;
use super::roles::{ITEM_NAMES, Role, USER_NAMES, find_column, plain};
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};

/// Names by which columns are recognised, in the form that [`plain`] returns.
const TITLE_NAMES: &[&str] = &["title", "name", "itemname", "movietitle", "productname", "label"];
const CATEGORY_NAMES: &[&str] = &["genres", "genre", "category", "categories", "tags"];

/// The columns of `movies.dat` of MovieLens, which has no header.
const MOVIES_DAT: [&str; 3] = ["item_id", "title", "genres"];

/// A table of text cells.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    path: PathBuf,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads CSV or TSV with header, `::`-separated `movies.dat`, or Parquet.
    ///
    /// Text that is not UTF-8 is read as Latin-1, which older files of MovieLens use.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Format`].
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        if bytes.starts_with(b"PAR1") {
            return Self::from_parquet(path, bytes);
        }
        let text = decoded(bytes);
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().next().unwrap_or_default();
        if first.contains("::") {
            let fields = |line: &str| line.split("::").map(str::to_owned).collect();
            let rows = text.lines().filter(|l| !l.trim().is_empty()).map(fields).collect();
            let names = MOVIES_DAT.map(str::to_owned).to_vec();
            return Ok(Self { path: path.to_owned(), names, rows });
        }
        let separator = if first.contains('\t') && !first.contains(',') { b'\t' } else { b',' };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let mut next = || -> Result<Option<Vec<String>>> {
            let record = records.next().transpose().map_err(|e| Error::Format {
                path: path.to_owned(),
                message: format!("not a readable table: {e}"),
            })?;
            Ok(record.map(|record| record.iter().map(str::to_owned).collect()))
        };
        let names = next()?.unwrap_or_default();
        let mut rows = Vec::new();
        while let Some(row) = next()? {
            rows.push(row);
        }
        Ok(Self { path: path.to_owned(), names, rows })
    }

    fn from_parquet(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let wrong = |e: PolarsError| Error::Format {
            path: path.to_owned(),
            message: format!("not a readable Parquet file: {e}"),
        };
        let mut bytes = std::io::Cursor::new(bytes);
        check_footer(&mut bytes).map_err(wrong)?;
        let reader = ParquetReader::new(bytes);
        let frame = decode(|| reader.finish()).map_err(wrong)?;
        let mut names = Vec::new();
        let mut rows = vec![Vec::new(); frame.height()];
        for column in frame.columns() {
            // A column that cannot be cast to text, such as lists, contains no ids or titles.
            let Ok(text) = column.cast(&DataType::String) else { continue };
            let Ok(cells) = text.str() else { continue };
            names.push(column.name().to_string());
            for (row, cell) in rows.iter_mut().zip(cells.iter()) {
                row.push(cell.unwrap_or_default().to_owned());
            }
        }
        Ok(Self { path: path.to_owned(), names, rows })
    }

    fn column(&self, role: Role, wanted: Option<&str>, known: &[&str]) -> Result<usize> {
        find_column(&self.path, &self.names, role, wanted, known)
    }

    /// The cells of a column.
    fn cells(&self, at: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row.get(at).map_or("", |cell| cell.as_str()))
    }

    /// For each row, the position of its item among the items of a model.
    fn items(
        &self,
        flag: &'static str,
        id: Option<&str>,
        items: &Ids,
    ) -> Result<Vec<Option<usize>>> {
        let at = self.column(Role { name: "item id", flag }, id, ITEM_NAMES)?;
        Ok(self.cells(at).map(|id| items.find(id)).collect())
    }

    /// The title of every item of a model; `None` if the table has none.
    ///
    /// # Errors
    /// [`Error::MissingColumn`].
    pub(crate) fn titles(
        &self,
        id: Option<&str>,
        title: Option<&str>,
        items: &Ids,
    ) -> Result<Vec<Option<Box<str>>>> {
        let rows = self.items("--table-id-col", id, items)?;
        let at = self.column(Role { name: "title", flag: "--title-col" }, title, TITLE_NAMES)?;
        let mut titles = vec![None; items.len()];
        for (item, title) in rows.into_iter().zip(self.cells(at)) {
            if let Some(item) = item.filter(|_| !title.trim().is_empty()) {
                titles[item].get_or_insert_with(|| title.trim().into());
            }
        }
        Ok(titles)
    }

    /// The categories of every item of a model, numbered by first occurrence.
    ///
    /// `|` separates several categories in a cell. "(no genres listed)" is not a category.
    ///
    /// # Errors
    /// [`Error::MissingColumn`].
    pub(crate) fn categories(
        &self,
        id: Option<&str>,
        category: Option<&str>,
        items: &Ids,
    ) -> Result<Vec<Vec<u32>>> {
        let rows = self.items("--category-id-col", id, items)?;
        let at = self.column(
            Role { name: "category", flag: "--category-col" },
            category,
            CATEGORY_NAMES,
        )?;
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut categories = vec![Vec::new(); items.len()];
        for (item, cell) in rows.into_iter().zip(self.cells(at)) {
            let Some(item) = item else { continue };
            let names = cell.split('|').map(str::trim).filter(|n| !n.is_empty());
            for name in names.filter(|n| *n != "(no genres listed)") {
                let next = numbers.len() as u32;
                let number = *numbers.entry(name).or_insert(next);
                if !categories[item].contains(&number) {
                    categories[item].push(number);
                }
            }
        }
        Ok(categories)
    }
}

/// Reads a list of ids: one id per line, or a table with a column of user or item ids.
///
/// A table is CSV or TSV with header, or Parquet. Blank lines and blanks around ids are ignored.
/// `integer` says whether the ids must be integers; it is checked for lists only.
///
/// # Errors
/// [`Error::Read`], [`Error::Format`] (also for a line that is not an integer although it must be),
/// [`Error::MissingColumn`] for a Parquet file without a column of ids.
pub(crate) fn read_ids(path: &Path, axis: Axis, integer: bool) -> Result<Vec<String>> {
    let known = match axis {
        Axis::User => USER_NAMES,
        Axis::Item => ITEM_NAMES,
    };
    let role = match axis {
        Axis::User => Role { name: "user id", flag: "user_id as the column" },
        Axis::Item => Role { name: "item id", flag: "item_id as the column" },
    };
    let bytes = read(path)?;
    let parquet = bytes.starts_with(b"PAR1");
    let text = if parquet { String::new() } else { decoded(bytes) };
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let named = |name: &str| known.contains(&plain(name.trim().trim_matches('"')).as_str());
    if parquet || first.split([',', '\t']).any(named) {
        let table = Table::read(path)?;
        let at = table.column(role, None, known)?;
        return Ok(table.cells(at).filter(|id| !id.is_empty()).map(str::to_owned).collect());
    }
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    if integer && let Some((at, line)) = lines.clone().find(|(_, l)| l.parse::<i64>().is_err()) {
        let axis = axis.name();
        return Err(Error::Format {
            path: path.to_owned(),
            message: format!(
                "line {at}: \"{line}\" is not an integer, but all {axis} ids of the model are; \
                 use one id per line, or a table with a column {axis}_id"
            ),
        });
    }
    Ok(lines.map(|(_, line)| line.to_owned()).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    // The first bytes of gzip, zip and zstd files.
    let packed: [&[u8]; 3] = [b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"];
    if packed.iter().any(|magic| bytes.starts_with(magic)) {
        let message = "the file is compressed; unpack it first".to_owned();
        return Err(Error::Format { path: path.to_owned(), message });
    }
    Ok(bytes)
}

/// Decodes UTF-8, or otherwise Latin-1, whose bytes are the first 256 characters of Unicode.
fn decoded(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|e| e.into_bytes().iter().map(|&byte| char::from(byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("items");
        std::fs::write(&path, content).expect("writes");
        (dir, path)
    }

    #[test]
    fn titles_and_categories_come_from_csv_and_dat() {
        let ids = Ids::Int(vec![1, 2, 11]);
        for content in [
            "\u{feff}movieId,title,genres\n11,\"American President, The (1995)\",Comedy|Drama\n\
             1,Toy Story,Comedy\n7,x,y\n2,,(no genres listed)\n"
                .as_bytes(),
            b"11::American President, The (1995)::Comedy|Drama\n1::Toy Story::Comedy\n2::::\n",
            b"name\titem\tgenre\nAmerican President, The (1995)\t11\tComedy | Drama\n\
              Toy Story\t1\tComedy\n",
        ] {
            let (_dir, path) = file(content);
            let table = Table::read(&path).expect("reads");
            let titles = table.titles(None, None, &ids).expect("titles");
            let titles: Vec<_> = titles.iter().map(Option::as_deref).collect();
            assert_eq!(titles, [Some("Toy Story"), None, Some("American President, The (1995)")]);
            let categories = table.categories(None, None, &ids).expect("categories");
            assert_eq!(categories[1], Vec::<u32>::new());
            assert_eq!(categories[0], [categories[2][0]]);
            assert_eq!(categories[2].len(), 2);
        }
    }

    #[test]
    fn a_table_without_the_id_column_says_so() {
        let (_dir, path) = file(b"key,title\n1,x\n");
        let table = Table::read(&path).expect("reads");
        let error = table.titles(None, None, &Ids::Int(vec![1])).expect_err("no id column");
        assert!(error.to_string().contains("--table-id-col"), "{error}");
        assert!(table.titles(Some("key"), None, &Ids::Int(vec![1])).is_ok());
    }

    #[test]
    fn latin_1_is_read() {
        let (_dir, path) = file(b"1::Caf\xe9::Drama\n");
        let titles = Table::read(&path).expect("reads").titles(None, None, &Ids::Int(vec![1]));
        assert_eq!(titles.expect("titles")[0].as_deref(), Some("Café"));
    }

    #[test]
    fn ids_come_from_lines_or_a_column() {
        for (content, want) in [
            ("1\r\n\n42\n", vec!["1", "42"]),
            ("userId\n1\n42\n", vec!["1", "42"]),
            ("name,user_id\n\"a, b\",1\nc,42\n", vec!["1", "42"]),
            ("a b,c\nd\n", vec!["a b,c", "d"]),
            ("why\tuserId\nx\t1\ny\t42\n", vec!["1", "42"]),
        ] {
            let (_dir, path) = file(content.as_bytes());
            assert_eq!(read_ids(&path, Axis::User, false).expect("reads"), want);
        }
        let (_dir, path) = file(b"1\nid,why\n");
        let error = read_ids(&path, Axis::User, true).expect_err("no integer");
        assert!(error.to_string().contains("line 2: \"id,why\""), "{error}");
        let (_dir, path) = file(b"\x1f\x8bxx");
        assert!(read_ids(&path, Axis::User, true).is_err_and(|e| e.to_string().contains("unpack")));
    }
}
