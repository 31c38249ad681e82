//! What is odd about the ids of a column: a few that are no integers, texts that mean "no id", the
//! same id in two spellings.

use std::path::{Path, PathBuf};

use super::block::{BlockIds, RowNumbers, canonical, integer};
use super::sample::shortened;
use crate::ids::Axis;

/// Texts by which other programs write that there is no id.
const NO_ID: [&str; 12] =
    ["NULL", "Null", "null", "\\N", "nan", "NaN", "NAN", "None", "NA", "N/A", "<NA>", "undefined"];

/// Whether a text most likely means that there is no id.
pub(super) fn means_no_id(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || NO_ID.contains(&text)
}

/// Cells of one kind: their number, and where the first one is.
#[derive(Debug, Default)]
struct Cells {
    count: u64,
    first: Option<Place>,
}

/// A cell and its place.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    number: u64,
    text: Box<str>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.number)
    }
}

/// What is odd about the ids of a column so far.
#[derive(Debug, Default)]
pub(super) struct IdFindings {
    rows: u64,
    not_integer: Cells,
    no_id: Cells,
}

/// The kinds of ids in a block of text ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Other,
    NoId,
}

fn kind(id: &str) -> Kind {
    match canonical(id.as_bytes()) {
        Some(_) => Kind::Integer,
        None if means_no_id(id) => Kind::NoId,
        None => Kind::Other,
    }
}

/// Ids that are no integers are reported only up to this share of the rows.
const FEW: f64 = 0.05;

impl IdFindings {
    /// Notes the ids of a block.
    pub(super) fn note(&mut self, path: &Path, ids: &BlockIds, numbers: &RowNumbers) {
        let ids = match ids {
            BlockIds::Int(ids) => {
                self.rows += ids.len() as u64;
                return;
            }
            BlockIds::Text(ids) => ids,
        };
        self.rows += ids.codes.len() as u64;
        let kinds: Vec<Kind> = ids.unique.iter().map(|id| kind(id)).collect();
        for (row, &code) in ids.codes.iter().enumerate() {
            let cells = match kinds[code as usize] {
                Kind::Integer => continue,
                Kind::Other => &mut self.not_integer,
                Kind::NoId => &mut self.no_id,
            };
            cells.count += 1;
            cells.first.get_or_insert_with(|| Place {
                path: path.to_owned(),
                number: numbers.of(row),
                text: ids.unique[code as usize].clone(),
            });
        }
    }

    /// Warnings about the ids of a text column. `known` says whether a text is an id of the column.
    pub(super) fn warnings<'i>(
        &self,
        axis: Axis,
        ids: impl Iterator<Item = &'i str>,
        known: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let (side, mut found) = (axis.name(), Vec::new());
        if let Some(first) = &self.no_id.first {
            found.push(format!(
                "{first}: the {side} id \"{}\" most likely means that there is none ({}): \
                 --null-ids leaves such rows out",
                shortened(&first.text),
                rows(self.no_id.count, self.rows)
            ));
        }
        let twice: Vec<(&str, String)> = ids
            .filter_map(|id| Some((id, other_spelling(id)?)))
            .filter(|(_, other)| known(other))
            .collect();
        if let Some((one, other)) = twice.iter().min() {
            let ids = match twice.len() {
                1 => format!("1 {side} has"),
                n => format!("{n} {side}s have"),
            };
            found.push(format!(
                "{ids} an id in two spellings, such as \"{other}\" and \"{}\"; the spellings \
                 count as two (--trim removes blanks; --id-type int reads 12.0 as 12)",
                shortened(one)
            ));
        }
        let few = self.not_integer.count as f64 <= FEW * self.rows as f64;
        if let Some(first) = self.not_integer.first.as_ref().filter(|_| few) {
            found.push(format!(
                "{first}: the {side} id \"{}\" is not an integer ({}), so all {side} ids are \
                 read as text; --id-type int reads 12.0 as 12 and stops at other text, \
                 --id-type text silences this",
                shortened(&first.text),
                rows(self.not_integer.count, self.rows)
            ));
        }
        found
    }
}

fn rows(count: u64, all: u64) -> String {
    format!("{count} of {all} rows")
}

/// The id without blanks, and without the fraction of a whole number. `None` if the text is the
/// same.
fn other_spelling(id: &str) -> Option<String> {
    let trimmed = id.trim();
    let spelled = match integer(trimmed) {
        Some(number) if trimmed.contains('.') => number.to_string(),
        _ => trimmed.to_owned(),
    };
    (spelled != id).then_some(spelled)
}

#[cfg(test)]
mod tests {
    use super::super::block::TextIds;
    use super::*;

    fn warnings(blocks: &[&[&str]]) -> Vec<String> {
        let mut findings = IdFindings::default();
        for (nth, block) in blocks.iter().enumerate() {
            let ids = BlockIds::Text(block.iter().copied().collect::<TextIds>());
            findings.note(Path::new("f"), &ids, &RowNumbers::From(nth as u64 * 100 + 1));
        }
        let all = || blocks.iter().flat_map(|block| block.iter().copied());
        findings.warnings(Axis::User, all(), |id| all().any(|other| other == id))
    }

    #[test]
    fn what_is_odd_is_named_with_its_place() {
        let many: Vec<String> = (1..=60).map(|id| id.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(warnings(&[&many]), [""; 0]);
        let found = warnings(&[&many, &["7", "12.0"]]);
        assert!(found[0].contains("\"12\" and \"12.0\""), "{found:?}");
        assert!(found[1].starts_with("f:102: the user id \"12.0\""), "{found:?}");
        assert!(found[1].contains("1 of 62 rows"), "{found:?}");
        let found = warnings(&[&many, &["NULL", "\\N"]]);
        assert!(found[0].contains("f:101") && found[0].contains("2 of 62 rows"), "{found:?}");
        let found = warnings(&[&many, &[" 12"]]);
        assert!(found[0].contains("--trim"), "{found:?}");
        // Names are not odd.
        assert_eq!(warnings(&[&["ann", "bob", "1", "2"]]), [""; 0]);
    }
}
