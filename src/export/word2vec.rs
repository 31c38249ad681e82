//! The text format of word2vec.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;
use crate::model::Layout;

/// `item_embeddings.txt`: a line `N D`, then one line per row with its id and numbers.
pub(super) struct Word2Vec;

impl Exporter for Word2Vec {
    fn name(&self) -> &'static str {
        "word2vec"
    }

    fn about(&self) -> &'static str {
        "gensim KeyedVectors; blanks in ids become %20"
    }

    fn refuses(&self, layout: Layout) -> Option<&'static str> {
        match layout {
            Layout::Dot => Some(
                "its readers search by cosine, which does not order as the scores do; \
                 use --layout mips (or cosine)",
            ),
            Layout::Raw => {
                Some("it has no place for biases; use --layout mips, or cosine for similar items")
            }
            Layout::Mips | Layout::Cosine => None,
        }
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let schema = "id (blanks and % as %XX), numbers";
            files.file(&side.file("txt"), side.rows(), schema, &mut |to| lines(side, to))?;
        }
        Ok(())
    }
}

fn lines(side: &ExportSide, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "{} {}", side.rows(), side.vectors.cols())?;
    let mut line = String::new();
    for row in 0..side.rows() {
        line.clear();
        line.push_str(&escaped(&side.ids.get(row).text()));
        for value in side.vectors.row(row) {
            line.push_str(&format!(" {value:?}"));
        }
        line.push('\n');
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Encodes blanks, control characters and `%` as `%XX` per UTF-8 byte, because readers split lines
/// at blanks.
fn escaped(id: &str) -> Cow<'_, str> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '%';
    if id.chars().all(plain) {
        return Cow::Borrowed(id);
    }
    let mut text = String::new();
    for c in id.chars() {
        if plain(c) {
            text.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_no_blanks_and_stay_different() {
        assert_eq!(escaped("42"), "42");
        assert_eq!(escaped("a b%"), "a%20b%25");
        assert_eq!(escaped("a\u{a0}ä\n"), "a%C2%A0ä%0A");
    }
}
