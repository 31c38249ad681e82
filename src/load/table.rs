//! Small tables in addition to ratings: titles and categories of items, lists of ids.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use polars::prelude::*;

use super::encoding::check_encoding;
use super::formats::format_of;
use super::guard::decode;
use super::json_lines;
use super::options::LoadOptions;
use super::parquet_layout::{Contents, unreadable};
use super::parquet_types::{check, decoded};
use super::quotes::{Cells, Ending, Quotes};
use super::roles::{ITEM_NAMES, Kind, Role, USER_NAMES, find_column, plain};
use super::sample::wrong;
use super::source::expand;
use super::text_recognition::{Separator, find_separator, said_separator};
use crate::error::Result;
use crate::ids::{Axis, Ids};

/// Names by which columns are recognised, in the form that [`plain`] returns.
const TITLE_NAMES: &[&str] = &["title", "name", "itemname", "movietitle", "productname", "label"];
const CATEGORY_NAMES: &[&str] = &["genres", "genre", "category", "categories", "tags"];

/// The columns of a table without header, as in `movies.dat` and `u.item` of MovieLens.
const WITHOUT_HEADER: [&str; 3] = ["item_id", "title", "genres"];

/// A table, of which single columns are read.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// The rows of a text file. The first one may be a header.
    Rows(Vec<Vec<String>>),
    /// The bytes of a Parquet file, and what its footer says.
    Parquet { bytes: Arc<[u8]>, schema: Arc<ArrowSchema>, contents: Contents },
}

/// The columns that a caller looks for: names that the user specified.
type Wanted<'w> = [Option<&'w str>; 2];

/// A column of a table.
struct Place {
    at: usize,
    /// Number of rows before the first one with cells: 1 below a header.
    skip: usize,
}

impl Table {
    /// Reads a table in any form in which ratings are read: text or Parquet, also compressed, or a
    /// member of a zip archive.
    ///
    /// Text that is not UTF-8 is read as Latin-1, which older files of MovieLens use.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Format`].
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::of(path, read(path)?)
    }

    /// The table with these bytes.
    fn of(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let content = if format_of(&bytes).seeks() {
            let failed = |e: PolarsError| unreadable(path, &e);
            let contents = Contents::read(&mut Cursor::new(&bytes)).map_err(failed)?;
            let bytes: Arc<[u8]> = bytes.into();
            let mut reader = contents.reader(Cursor::new(bytes.clone()));
            let schema = decode(|| reader.schema()).map_err(failed)?;
            Content::Parquet { bytes, schema, contents }
        } else {
            check_encoding(&bytes).map_err(|message| wrong(path, message))?;
            Content::Rows(match json_lines::is_json(&bytes) {
                true => json_lines::rows(&bytes).map_err(|message| wrong(path, message))?,
                false => rows(decoded_text(bytes).trim_start_matches('\u{feff}')),
            })
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// The names of the columns, and whether they are those of a header.
    fn names(&self, wanted: Wanted<'_>) -> (Vec<String>, bool) {
        let rows = match &self.content {
            Content::Rows(rows) => rows,
            Content::Parquet { schema, .. } => {
                return (schema.iter_names().map(ToString::to_string).collect(), false);
            }
        };
        let Some(first) = rows.first() else { return (Vec::new(), false) };
        let known = [ITEM_NAMES, USER_NAMES, TITLE_NAMES, CATEGORY_NAMES].concat();
        let is_name = |cell: &String| {
            known.contains(&plain(cell).as_str()) || wanted.contains(&Some(cell.as_str()))
        };
        let number = |cell: &String| cell.parse::<f64>().is_ok();
        if first.iter().any(is_name) && !first.iter().any(number) {
            return (first.iter().map(|name| name.trim().to_owned()).collect(), true);
        }
        // Numbers, if the user specified some.
        let numbered = wanted.iter().flatten().any(|name| name.parse::<usize>().is_ok());
        let name = |at: usize| match WITHOUT_HEADER.get(at) {
            Some(name) if !numbered => (*name).to_owned(),
            _ => (at + 1).to_string(),
        };
        ((0..first.len()).map(name).collect(), false)
    }

    fn column(&self, role: Role, wanted: Wanted<'_>, nth: usize, known: &[&str]) -> Result<Place> {
        let (names, header) = self.names(wanted);
        let place = |at| Place { at, skip: usize::from(header) };
        // Where the user specified numbers of columns, the others have their usual places.
        let usual = names.get(nth).filter(|name| **name == (nth + 1).to_string());
        if wanted[nth.min(1)].is_none() && usual.is_some() {
            return Ok(place(nth));
        }
        find_column(&self.path, &names, role, wanted[nth.min(1)], known).map(place)
    }

    /// The cells of a column.
    fn cells(&self, Place { at, skip }: Place) -> Result<Vec<String>> {
        let (bytes, schema, contents) = match &self.content {
            Content::Rows(rows) => {
                let cell = |row: &Vec<String>| row.get(at).cloned().unwrap_or_default();
                return Ok(rows.iter().skip(skip).map(cell).collect());
            }
            Content::Parquet { bytes, schema, contents } => (bytes, schema, contents),
        };
        if let Some((name, field)) = schema.get_at_index(at) {
            let bytes = contents.bytes.get(name.as_str()).copied();
            let checked = check(Kind::Ids, name, field.dtype(), bytes);
            checked.map_err(|message| wrong(&self.path, message))?;
        }
        let reader = contents.reader(Cursor::new(bytes.clone())).with_projection(Some(vec![at]));
        let cells = decode(|| {
            let frame = reader.finish()?;
            let column = frame.columns().first().cloned().unwrap_or_default();
            let bytes = contents.bytes.get(column.name().as_str()).copied();
            let column = decoded(column, bytes)?;
            let whole = column.dtype().is_float().then(|| column.strict_cast(&DataType::Int64));
            let text = match whole {
                Some(Ok(whole)) => whole.cast(&DataType::String)?,
                _ => column.cast(&DataType::String)?,
            };
            Ok(text.str()?.iter().map(|cell| cell.unwrap_or_default().to_owned()).collect())
        });
        cells.map_err(|e| unreadable(&self.path, &e))
    }

    /// For each row, the position of its item among the items of a model.
    fn items(
        &self,
        flag: &'static str,
        wanted: Wanted<'_>,
        items: &Ids,
    ) -> Result<Vec<Option<usize>>> {
        let at = self.column(Role { name: "item id", flag }, wanted, 0, ITEM_NAMES)?;
        Ok(self.cells(at)?.iter().map(|id| items.find(id)).collect())
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
        let wanted = [id, title];
        let rows = self.items("--table-id-col", wanted, items)?;
        let role = Role { name: "title", flag: "--title-col" };
        let cells = self.cells(self.column(role, wanted, 1, TITLE_NAMES)?)?;
        let mut titles = vec![None; items.len()];
        for (item, title) in rows.into_iter().zip(&cells) {
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
        let wanted = [id, category];
        let rows = self.items("--category-id-col", wanted, items)?;
        let role = Role { name: "category", flag: "--category-col" };
        let cells = self.cells(self.column(role, wanted, 2, CATEGORY_NAMES)?)?;
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut categories = vec![Vec::new(); items.len()];
        for (item, cell) in rows.into_iter().zip(&cells) {
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
/// Blank lines and blanks around ids are ignored. `integer` says whether the ids must be integers;
/// it is checked for lists only.
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
    let named = |name: &str| known.contains(&plain(name.trim().trim_matches('"')).as_str());
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let first = String::from_utf8_lossy(first.unwrap_or_default());
    let first = first.trim_start_matches('\u{feff}');
    let is_table = format_of(&bytes).seeks()
        || json_lines::is_json(&bytes)
        || first.split([',', '\t', ';', '|']).any(named);
    if is_table {
        let table = Table::of(path, bytes)?;
        let (names, header) = table.names([None; 2]);
        let at = find_column(path, &names, role, None, known)?;
        let cells = table.cells(Place { at, skip: usize::from(header) })?;
        let ids = cells.iter().map(|id| id.trim()).filter(|id| !id.is_empty());
        return Ok(ids.map(str::to_owned).collect());
    }
    let text = decoded_text(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    if integer && let Some((at, line)) = lines.clone().find(|(_, l)| l.parse::<i64>().is_err()) {
        let axis = axis.name();
        return Err(wrong(
            path,
            format!(
                "line {at}: \"{line}\" is not an integer, but all {axis} ids of the model are; \
                 use one id per line, or a table with a column {axis}_id"
            ),
        ));
    }
    Ok(lines.map(|(_, line)| line.to_owned()).collect())
}

/// The rows of a text file, with the separator that fits them. A file without any is one column,
/// because text contains no byte 0.
fn rows(text: &str) -> Vec<Vec<String>> {
    const LOOKED_AT: usize = 1000;
    let (said, length) = said_separator(text.as_bytes());
    let text = &text[length..];
    let not_blank = text.lines().filter(|line| !line.trim().is_empty());
    let first: Vec<&str> = not_blank.take(LOOKED_AT).collect();
    if first.is_empty() {
        return Vec::new();
    }
    let single = |byte| Separator { byte, doubled: false };
    let found = || find_separator(&first, &LoadOptions::default());
    let found = said.map_or_else(|| found().unwrap_or(single(0)), single);
    let Separator { byte, doubled } = found;
    let quotes = Quotes::new(None, !doubled);
    // A doubled separator has an empty cell between two cells.
    let step = if doubled { 2 } else { 1 };
    let quoted = Cells { separator: byte, doubled, quotes, columns: 0, needed: None };
    let mut cells = Vec::new();
    quoted.read(first[0].as_bytes(), &mut cells);
    let quoted = Cells { columns: cells.len(), ..quoted };
    let (mut rows, mut rest) = (Vec::new(), text.as_bytes());
    while !rest.is_empty() {
        let (length, ending) = quoted.read(rest, &mut cells);
        let length = match ending {
            Ending::Whole => length,
            // A mark that nothing closes is part of the text.
            _ => Cells { quotes: None, ..quoted }.read(rest, &mut cells).0,
        };
        let row: Vec<String> =
            cells.iter().step_by(step).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        if row.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push(row);
        }
        rest = &rest[length.max(1)..];
    }
    rows
}

/// All bytes of a file, decompressed.
fn read(path: &Path) -> Result<Vec<u8>> {
    let stop = AtomicBool::new(false);
    let sources = expand(&[path.display().to_string()], false, &stop)?;
    let [source] = &sources[..] else {
        let count = sources.len();
        return Err(wrong(path, format!("one table is needed, but there are {count} files here")));
    };
    source.open(&stop, &|_| {})?.read_rest()
}

/// Decodes UTF-8, or otherwise Latin-1, whose bytes are the first 256 characters of Unicode.
fn decoded_text(bytes: Vec<u8>) -> String {
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
        let (_dir, path) = file(b"\xfd7zXZ\0xx");
        assert!(Table::read(&path).is_err_and(|e| e.to_string().contains("xz -dc")));
    }
}
