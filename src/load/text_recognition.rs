//! Recognises the layout of a text file from its beginning; flags override it.

use std::collections::BTreeMap;
use std::path::Path;

use super::encoding::check_encoding;
use super::options::{Columns, Decimal, LoadOptions};
use super::quotes::{Cells, Ending, Quotes};
use super::recognised::{Recognised, recognise};
use super::roles::{COUNT_NAMES, ITEM_NAMES, RATING_NAMES, TIME_NAMES, USER_NAMES, plain};
use super::sample::{Sample, wrong};
use super::text_layout::TextLayout;
use crate::error::Result;

/// Separators that are recognised. The first of those that fit equally well is chosen.
const SEPARATORS: [Separator; 5] = [
    Separator { byte: b':', doubled: true },
    Separator { byte: b'\t', doubled: false },
    Separator { byte: b',', doubled: false },
    Separator { byte: b';', doubled: false },
    Separator { byte: b'|', doubled: false },
];

/// What separates two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Separator {
    pub byte: u8,
    /// Whether it is the byte twice.
    pub doubled: bool,
}

/// Recognises the layout of a text file from its first bytes, `head`. `whole` says whether these
/// are all bytes.
///
/// # Errors
/// `Error::Format` for an empty or binary file, for UTF-16 and for line ends of old Macs;
/// the errors of the roles.
pub(super) fn recognise_text(
    path: &Path,
    head: &[u8],
    whole: bool,
    options: &LoadOptions,
) -> Result<TextLayout> {
    let wrong = |message: &str| wrong(path, message);
    check_encoding(head).map_err(|message| wrong(&message))?;
    let mut skip = if head.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    let (said, length) = said_separator(&head[skip..]);
    skip += length;
    let text = String::from_utf8_lossy(&head[skip..]);
    let not_blank = text.lines().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<&str> = not_blank.take(Sample::ROWS).collect();
    // The last line may be incomplete.
    if lines.len() > 1 && lines.len() < Sample::ROWS && !whole {
        lines.pop();
    }
    if lines.is_empty() {
        return Err(wrong("the file is empty"));
    }
    if head.contains(&b'\r') && !head.contains(&b'\n') && lines[0].contains('\r') {
        return Err(wrong(
            "its lines end with a carriage return alone; convert them: tr '\\r' '\\n' < FILE > NEW",
        ));
    }
    let Separator { byte: separator, doubled } = match (&options.separator, said) {
        (Some(specified), _) => specified_separator(specified).map_err(|m| wrong(&m))?,
        (None, Some(byte)) => Separator { byte, doubled: false },
        (None, None) => find_separator(&lines, options).map_err(|m| wrong(&m))?,
    };
    let read = |quotes: Option<Quotes>| first_rows(&text, &lines, separator, doubled, quotes);
    let usual = Quotes::new(options.quote, !doubled);
    let FirstRows { first, rows } = read(usual);
    let second = rows.get(1).map(Vec::as_slice);
    let header = !options.no_header && is_header(&first, second, options);
    // TSV without header is written by tools that do not quote. With a doubled separator, as in the
    // .dat files of MovieLens, marks are data as well.
    let quotes = Quotes::new(options.quote, !doubled && (separator != b'\t' || header));
    let FirstRows { first, mut rows } = read(quotes);
    let names: Vec<String> = if header {
        first.iter().map(|n| n.trim().to_owned()).collect()
    } else {
        (1..=first.len()).map(|n| n.to_string()).collect()
    };
    // Positions say nothing about columns of text without names.
    let positions = options.columns.user.is_some() && options.columns.item.is_some();
    let number = |cell: &String| cell.trim().parse::<f64>().is_ok();
    if options.ids_only && !header && !positions && !first.iter().all(number) {
        return Err(wrong(
            "no header with names of the user and item columns; add one, or pass --user-col and \
             --item-col (in a file without header: their numbers, from 1)",
        ));
    }
    // Other lines are parts of longer rows, or bad ones.
    rows.drain(..usize::from(header));
    if rows.iter().any(|row| row.len() == names.len()) {
        rows.retain(|row| row.len() == names.len());
    }
    let sample = Sample { rows };
    let found = recognise(path, &names, header, &sample, options)?;
    let Recognised { roles, columns, time, warning } = found;
    let whole_number = |cell: &str| cell.parse::<i64>().is_ok();
    let numeric_time = time.as_ref().is_some_and(|form| form.format.is_none())
        && roles.time.is_some_and(|at| sample.cells(at).all(whole_number));
    let comma = |at: usize| separator != b',' && sample.holds_decimal_commas(at);
    let decimal_comma = options.decimal.map_or_else(
        || [roles.rating, roles.weight].into_iter().flatten().any(comma),
        |mark| mark == Decimal::Comma,
    );
    Ok(TextLayout {
        separator,
        doubled,
        quotes,
        header,
        skip,
        line: if length > 0 { 2 } else { 1 },
        names,
        roles,
        columns,
        warning,
        time,
        numeric_time,
        decimal_comma,
        ragged: options.ids_only,
    })
}

/// The separator that a first line `sep=;` says, as Excel writes it, and the length of that line.
pub(super) fn said_separator(text: &[u8]) -> (Option<u8>, usize) {
    let Some(rest) = text.strip_prefix(b"sep=") else { return (None, 0) };
    match *rest {
        [byte, b'\n', ..] => (Some(byte), 6),
        [byte, b'\r', b'\n', ..] => (Some(byte), 7),
        _ => (None, 0),
    }
}

/// The fields of one line, without quotes.
fn fields(line: &str, separator: u8, doubled: bool, quotes: Option<Quotes>) -> Vec<String> {
    if doubled {
        let two = char::from(separator).to_string().repeat(2);
        return line.split(&two).map(str::to_owned).collect();
    }
    let mut cells = Vec::new();
    let layout = Cells { separator, doubled, quotes, columns: 0, needed: None };
    if layout.read(line.as_bytes(), &mut cells).1 != Ending::Whole {
        // A cell that is not closed in its line.
        Cells { quotes: None, ..layout }.read(line.as_bytes(), &mut cells);
    }
    cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
}

/// The first rows of a file.
struct FirstRows {
    first: Vec<String>,
    /// The cells of every line.
    rows: Vec<Vec<String>>,
}

fn first_rows(
    text: &str,
    lines: &[&str],
    separator: u8,
    doubled: bool,
    quotes: Option<Quotes>,
) -> FirstRows {
    let split = |line: &&str| fields(line, separator, doubled, quotes);
    let rows: Vec<Vec<String>> = lines.iter().map(split).collect();
    let typical = typical(rows.iter().map(Vec::len));
    let mut first = rows[0].clone();
    if first.len() != typical && !doubled {
        // A quoted cell of the first row may extend over several lines.
        let record = record(text.trim_start_matches(['\r', '\n']), separator, quotes);
        first = Some(record).filter(|record| record.len() == typical).unwrap_or(first);
    }
    FirstRows { first, rows }
}

/// The cells of the first row, without quotes.
fn record(text: &str, separator: u8, quotes: Option<Quotes>) -> Vec<String> {
    let mut cells = Vec::new();
    let layout = Cells { separator, doubled: false, quotes, columns: 0, needed: None };
    layout.read(text.as_bytes(), &mut cells);
    cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
}

/// The most frequent number, the larger one of two that are equally frequent.
fn typical(numbers: impl Iterator<Item = usize>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts.iter().max_by_key(|(_, count)| **count).map_or(0, |(number, _)| *number)
}

/// The separator that a flag specifies.
fn specified_separator(wanted: &str) -> Result<Separator, String> {
    let text = if wanted == "\\t" || wanted == "tab" { "\t" } else { wanted };
    match *text.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => {
            Ok(Separator { byte, doubled: false })
        }
        [a, b] if a == b && a.is_ascii_punctuation() => Ok(Separator { byte: a, doubled: true }),
        _ => Err(format!(
            "--separator \"{wanted}\": it needs one character, or the same character twice"
        )),
    }
}

/// The separator that gives the same number of columns in most lines, and of those the one with the
/// most columns. A separator that splits the first line into known names is preferred.
pub(super) fn find_separator(lines: &[&str], options: &LoadOptions) -> Result<Separator, String> {
    /// Number of lines that are looked at.
    const LOOKED_AT: usize = 100;
    let lines = &lines[..lines.len().min(LOOKED_AT)];
    let fit = |separator: &Separator| {
        let Separator { byte, doubled } = *separator;
        let quotes = Quotes::new(options.quote, !doubled);
        let split = |line: &&str| fields(line, byte, doubled, quotes);
        let first = split(&lines[0]);
        let counts: Vec<usize> = lines.iter().map(|line| split(line).len()).collect();
        let columns = typical(counts.iter().copied());
        let same = counts.iter().filter(|count| **count == columns).count();
        let named = first.iter().filter(|name| is_known(name)).count() > 1;
        (columns > 1).then_some((named, same, columns))
    };
    let fits = SEPARATORS.iter().filter_map(|separator| Some((fit(separator)?, separator)));
    // The first of several equal ones, so in reverse.
    if let Some((_, separator)) = fits.rev().max_by_key(|(fit, _)| *fit) {
        return Ok(*separator);
    }
    // LIBMF and others write blanks between numbers.
    let numbers = |line: &&str| {
        let cells: Vec<&str> = line.split(' ').collect();
        cells.len() >= 3 && cells.iter().all(|cell| cell.parse::<f64>().is_ok())
    };
    if lines.iter().all(numbers) {
        return Ok(Separator { byte: b' ', doubled: false });
    }
    Err(format!(
        "no separator found in the first line \"{}\"; \
         use comma, tab, semicolon, bar or :: between columns, or pass --separator",
        lines[0].chars().take(60).collect::<String>()
    ))
}

/// Whether the first line is a header.
///
/// It is one if it contains a name that an option specifies. Otherwise it is one if it contains no
/// number, and either a known name or a second line with a number. If only the ids are read, a
/// known name of an id suffices.
fn is_header(first: &[String], second: Option<&[String]>, options: &LoadOptions) -> bool {
    let Columns { user, item, rating, time, weight } = &options.columns;
    let mut wanted = [user, item, rating, time, weight].into_iter().flatten();
    let named = |name: &String| name.parse::<usize>().is_err() && first.contains(name);
    let of_ids =
        |name: &String| USER_NAMES.contains(&&*plain(name)) || ITEM_NAMES.contains(&&*plain(name));
    if wanted.any(named) || options.ids_only && first.iter().any(of_ids) {
        return true;
    }
    let numeric = |cells: &[String]| cells.iter().any(|c| c.trim().parse::<f64>().is_ok());
    let known = first.iter().any(|name| is_known(name));
    !numeric(first) && (known || second.is_some_and(numeric))
}

/// Whether a name is one by which a column is recognised.
fn is_known(name: &str) -> bool {
    let all = [USER_NAMES, ITEM_NAMES, RATING_NAMES, COUNT_NAMES, TIME_NAMES];
    all.iter().any(|names| names.contains(&&*plain(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(text: &str, options: &LoadOptions) -> Result<String, String> {
        recognise_text(Path::new("f"), text.as_bytes(), true, options)
            .map(|l| l.describe())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn known_layouts_are_recognised() {
        let auto = LoadOptions::default();
        for (text, want) in [
            (
                "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
                "CSV with header, user=userId item=movieId rating=rating time=timestamp",
            ),
            ("196\t242\t3\t881250949\n", "TSV without header, user=1 item=2 rating=3 time=4"),
            (
                "1::1193::5::978300760\n",
                "::-separated without header, user=1 item=2 rating=3 time=4",
            ),
            ("1,2,3.5\n", "CSV without header, user=1 item=2 rating=3"),
            ("alice,up,4\nbob,up,3\n", "CSV without header, user=1 item=2 rating=3"),
            (
                "\"User-ID\";\"ISBN\";\"Book-Rating\"\n\"276725\";\"034545104X\";\"0\"\n",
                "text separated by \";\" with header, user=User-ID item=ISBN rating=Book-Rating",
            ),
            (
                "\"two\nlines\",up,4\nann,up,4\nbob,up,3\n",
                "CSV without header, user=1 item=2 rating=3",
            ),
            (
                "\u{feff}item_id,user_id,rating\n1,2,3\n",
                "CSV with header, user=user_id item=item_id rating=rating",
            ),
        ] {
            assert_eq!(recognise(text, &auto).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn flags_overrule() {
        let mut options = LoadOptions { no_header: true, ..LoadOptions::default() };
        options.columns.rating = Some("4".into());
        options.columns.weight = Some("3".into());
        assert_eq!(
            recognise("user,item,1,5\n", &options).as_deref(),
            Ok("CSV without header, user=1 item=2 rating=4 weight=3"),
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = recognise("userId,title,rating\n1,x,3\n", &LoadOptions::default());
        assert_eq!(
            error.unwrap_err(),
            "f: no item column \"movieid\"; the columns are: userId, title, rating. \
             Use --item-col NAME."
        );
        let error = recognise("\u{feff}\n", &LoadOptions::default());
        assert_eq!(error.unwrap_err(), "f: the file is empty");
        let error = recognise("\n \n", &LoadOptions::default());
        assert_eq!(error.unwrap_err(), "f: the file is empty");
        assert!(
            recognise("hello world\n", &LoadOptions::default())
                .unwrap_err()
                .contains("no separator")
        );
    }
}
