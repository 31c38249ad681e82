//! Files as people really have them: nothing is lost without a word.

mod columns;
mod directories;
mod ids;
mod parquet;
mod quotes;
mod tables;
mod text;
mod times;
mod values;

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, run};

/// A directory for files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Trains a small model and returns its report.
    fn trains(&self, arguments: &[&str]) -> Value {
        let model = self.path("model");
        let small = ["train", "-o", &model, "--force", "-a", "als", "-k", "2", "-i", "1"];
        json(&[&small[..], arguments].concat())
    }

    /// Training fails with this exit code and message, and writes nothing.
    fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let model = self.path("none");
        let (found, _, err) = run(&[&["train", "-o", &model], arguments].concat());
        assert_eq!(found, code, "{arguments:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{arguments:?}: {err}");
        }
        assert!(!err.contains("panicked") && !fs::exists(&model).unwrap(), "{err}");
    }
}

/// Rows of 30 users and 20 items. The name of item 7 is `odd`.
fn rows(separator: &str, odd: &str) -> (usize, String) {
    let (mut count, mut text) = (0, String::new());
    for (user, item) in (0..30).flat_map(|user| (0..20).map(move |item| (user, item))) {
        if (user * 7 + item * 3) % 4 == 0 {
            let name = if item == 7 { odd.to_owned() } else { format!("item {item}") };
            let rating = (user + item) % 5 + 1;
            writeln!(text, "u{user}{separator}{name}{separator}{rating}").unwrap();
            count += 1;
        }
    }
    (count, text)
}

/// A CSV with header of 20 users and 10 items, 200 rows. `cells` writes the cells of a row.
fn table(header: &str, cells: impl Fn(usize) -> String) -> String {
    let mut text = format!("{header}\n");
    for n in 0..200 {
        writeln!(text, "{}", cells(n)).unwrap();
    }
    text
}

/// The user of a row of [`table`].
const fn user(n: usize) -> usize {
    100 + n % 20
}

/// The item of a row of [`table`].
const fn item(n: usize) -> usize {
    10 + n / 20
}

/// The rating of a row of [`table`].
const fn stars(n: usize) -> usize {
    (n * 7 + n / 20) % 5 + 1
}

/// The inspection of files.
fn inspects(arguments: &[&str]) -> Value {
    json(&[&["inspect"], arguments].concat())
}

/// So many pieces of text.
fn repeated(count: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    (0..count).for_each(|n| text.push_str(&piece(n)));
    text
}

/// The warnings of a report as one text.
fn warned(report: &Value) -> String {
    report["warnings"].to_string()
}
