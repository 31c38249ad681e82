//! Using a stored model: recommend, similar, fold-in, export.

mod files;
mod lists;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, run, sample};

pub(super) struct Served {
    pub(super) dir: TempDir,
}

impl Served {
    pub(super) fn new(extra: &[&str]) -> Self {
        let served = Self { dir: TempDir::new().unwrap() };
        served.train("m", &sample(), extra);
        served
    }

    pub(super) fn train(&self, name: &str, ratings: &str, extra: &[&str]) {
        let model = self.path(name);
        let algorithm: &[&str] = if extra.contains(&"-a") { &[] } else { &["-a", "als"] };
        let flags = ["train", ratings, "-o", &model, "-k", "6", "-i", "4"];
        json(&[&flags, algorithm, extra].concat());
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.dir.path().join(name), content).unwrap();
        self.path(name)
    }

    pub(super) fn manifest(&self, name: &str) -> Value {
        let path = self.dir.path().join(name).join("manifest.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// All files below the directory with their contents.
    pub(super) fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(at: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.dir.path(), &mut found);
        found
    }

    /// Runs a command that must fail with this exit code and these words in its message.
    ///
    /// The command must not change any file.
    pub(super) fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let before = self.content();
        let (found, out, err) = run(arguments);
        assert_eq!(found, code, "{arguments:?}: {out}{err}");
        for word in words {
            assert!(err.contains(word), "{arguments:?}: {err}");
        }
        assert!(!err.contains("panicked"), "{err}");
        assert!(before == self.content(), "{arguments:?} changed files");
    }
}

/// The rated items of each user in a ratings file.
pub(super) fn rated(path: &str) -> BTreeMap<i64, BTreeSet<i64>> {
    let text = fs::read_to_string(path).unwrap();
    let mut rated: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        rated.entry(fields[0].parse().unwrap()).or_default().insert(fields[1].parse().unwrap());
    }
    rated
}

/// The rows of a CSV file: user, item, rank, score.
pub(super) fn rows(path: &str) -> Vec<(i64, i64, usize, f64)> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        (f[0].parse().unwrap(), f[1].parse().unwrap(), f[2].parse().unwrap(), f[3].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

/// The predictions of `predict` for a user and some items.
pub(super) fn predictions(served: &Served, model: &str, user: i64, items: &[i64]) -> Vec<f64> {
    let mut pairs = "user_id,item_id\n".to_owned();
    for item in items {
        pairs += &format!("{user},{item}\n");
    }
    let pairs = served.file("pairs.csv", &pairs);
    let out = served.path("predicted.csv");
    json(&["predict", &served.path(model), "--pairs", &pairs, "-o", &out, "--force"]);
    let text = fs::read_to_string(out).unwrap();
    text.lines().skip(1).map(|l| l.split(',').nth(2).unwrap().parse().unwrap()).collect()
}
