//! Recognises the layout of a text file from its content; flags override it.

use std::path::Path;

use super::options::{Columns, LoadOptions};
use super::roles::{
    COUNT_NAMES, ITEM_NAMES, RATING_NAMES, Roles, TIME_NAMES, USER_NAMES, describe_roles, plain,
    roles,
};
use crate::error::{Error, Result};

/// The layout of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextLayout {
    /// The byte that separates columns.
    pub separator: u8,
    /// Whether the separator is this byte twice (`::`). A single-byte reader then sees an empty
    /// column between two columns.
    pub doubled: bool,
    pub header: bool,
    /// Length of the byte order mark at the start, in bytes.
    pub skip: usize,
    /// Names of all columns, or numbers from 1 without header. The empty columns of a doubled
    /// separator are not included.
    pub names: Vec<String>,
    pub roles: Roles,
    /// Whether times are whole numbers, judging by the first row.
    pub numeric_time: bool,
    /// Whether rows may have more columns than the first one. Those are not read.
    pub ragged: bool,
}

impl TextLayout {
    /// Position of a column among those that a single-byte reader sees.
    pub(super) const fn physical(&self, column: usize) -> usize {
        if self.doubled { 2 * column } else { column }
    }

    /// Number of columns for a reader of single-byte separators.
    pub(super) const fn physical_columns(&self) -> usize {
        if self.doubled { 2 * self.names.len() - 1 } else { self.names.len() }
    }

    /// The quote. With a doubled separator, as in the `.dat` files of MovieLens, quotes are data.
    pub(super) const fn quote(&self) -> Option<u8> {
        if self.doubled { None } else { Some(b'"') }
    }

    /// Whether every line has the right number of separators, in pairs if the separator is doubled.
    ///
    /// Polars does not check this if columns are left out.
    pub(super) fn is_regular(&self, bytes: &[u8]) -> bool {
        let expected = self.physical_columns() - 1;
        let (mut found, mut start, mut previous) = (0, 0, usize::MAX);
        let line_is_good = |found: usize, start: usize, end: usize| {
            found == expected || bytes[start..end].iter().all(|b| *b == b'\r')
        };
        for at in memchr::memchr2_iter(self.separator, b'\n', bytes) {
            if bytes[at] == b'\n' {
                if !line_is_good(found, start, at) {
                    return false;
                }
                (found, start) = (0, at + 1);
            } else {
                found += 1;
                if self.doubled && found % 2 == 0 && previous.wrapping_add(1) != at {
                    return false;
                }
                previous = at;
            }
        }
        line_is_good(found, start, bytes.len())
    }

    pub(super) fn describe(&self) -> String {
        let separated = match (self.separator, self.doubled) {
            (b':', true) => "::-separated".to_owned(),
            (b',', false) => "CSV".to_owned(),
            (b'\t', false) => "TSV".to_owned(),
            (byte, _) => format!("text separated by \"{}\"", char::from(byte)),
        };
        let header = if self.header { "with header" } else { "without header" };
        format!("{separated} {header}, {}", describe_roles(&self.names, &self.roles))
    }
}

/// Recognises the layout of a text file from its first bytes.
pub(super) fn recognise_text(
    path: &Path,
    head: &[u8],
    options: &LoadOptions,
) -> Result<TextLayout> {
    let wrong =
        |message: &str| Error::Format { path: path.to_owned(), message: message.to_owned() };
    if head.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong("the file is empty"));
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(wrong("the file is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"));
    }
    if head.contains(&0) {
        return Err(wrong(
            "not a rating file: neither text nor Parquet \
             (text may be gzip, zstd or zip compressed)",
        ));
    }
    let skip = if head.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    let text = String::from_utf8_lossy(&head[skip..]);
    let mut lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).take(20).collect();
    if lines.is_empty() {
        return Err(wrong("the file is empty"));
    }
    // The last line may be incomplete, because only the first bytes were read.
    if lines.len() > 1 && lines.len() < 20 && head.len() >= 1 << 16 {
        lines.pop();
    }
    let (separator, doubled) = separator(&lines, options).map_err(|m| wrong(&m))?;
    let split = |line: &str| fields(line, separator, doubled);
    let first = split(lines[0]);
    let second = lines.get(1).map(|line| split(line));
    let header = !options.no_header && is_header(&first, second.as_deref(), options);
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
    let roles = roles(path, &names, header, options)?;
    let sample = lines[usize::from(header)..].first().map(|l| split(l)).unwrap_or_default();
    let numeric_time = roles
        .time
        .and_then(|column| sample.get(column))
        .is_none_or(|cell| cell.trim().parse::<i64>().is_ok());
    let ragged = options.ids_only;
    Ok(TextLayout { separator, doubled, header, skip, names, roles, numeric_time, ragged })
}

/// The fields of one line, without quotes.
fn fields(line: &str, separator: u8, doubled: bool) -> Vec<String> {
    if doubled {
        let two = char::from(separator).to_string().repeat(2);
        return line.split(&two).map(str::to_owned).collect();
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .from_reader(line.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    record.iter().map(str::to_owned).collect()
}

/// The separator that a flag specifies, or the first of `::`, tab, comma, semicolon and bar that
/// occurs in all lines. Its second value says whether it is doubled.
fn separator(lines: &[&str], options: &LoadOptions) -> Result<(u8, bool), String> {
    if let Some(wanted) = &options.separator {
        let text = if wanted == "\\t" || wanted == "tab" { "\t" } else { wanted };
        return match *text.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok((byte, false)),
            [a, b] if a == b && a.is_ascii_punctuation() => Ok((a, true)),
            _ => Err(format!(
                "--separator \"{wanted}\": it needs one character, or the same character twice"
            )),
        };
    }
    let everywhere = |s: &str| lines.iter().all(|line| line.contains(s));
    if everywhere("::") {
        return Ok((b':', true));
    }
    for byte in [b'\t', b',', b';', b'|'] {
        if everywhere(&char::from(byte).to_string()) {
            return Ok((byte, false));
        }
    }
    // Otherwise the first line decides, and the reader reports the lines that do not match.
    for byte in [b'\t', b',', b';', b'|'] {
        if lines[0].contains(char::from(byte)) {
            return Ok((byte, false));
        }
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
    let all = [USER_NAMES, ITEM_NAMES, RATING_NAMES, COUNT_NAMES, TIME_NAMES];
    let known = first.iter().any(|name| all.iter().any(|names| names.contains(&&*plain(name))));
    !numeric(first) && (known || second.is_some_and(numeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(text: &str, options: &LoadOptions) -> Result<String, String> {
        recognise_text(Path::new("f"), text.as_bytes(), options)
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
            Ok("CSV without header, user=1 item=2 rating=4 time=4 weight=3"),
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
