//! The house rules that a compiler does not hold.

use std::path::{Path, PathBuf};

/// Floors: a module names only modules on lower floors (or its own).
const FLOORS: &[(&str, u32)] = &[
    ("error", 0),
    ("param", 0),
    ("system", 0),
    ("remote", 1),
    ("job", 1),
    ("linalg", 1),
    ("ids", 2),
    ("ratings", 2),
    ("rng", 3),
    ("model", 3),
    ("objective", 3),
    ("split", 4),
    ("metric", 4),
    ("solver", 4),
    ("train", 5),
    ("synthetic", 5),
    ("load", 6),
    ("store", 7),
    ("export", 8),
    ("pipeline", 9),
    ("run", 10),
    ("report", 11),
    ("cli", 12),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&src, &mut found);
    let read = |p: PathBuf| {
        (p.strip_prefix(&src).unwrap().to_owned(), std::fs::read_to_string(&p).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// The part of a file before its tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("\nmod tests {").next().unwrap();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|n| n == "tests")
}

fn room(path: &Path) -> String {
    path.components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

#[test]
fn modules_name_only_lower_floors() {
    for (path, text) in sources() {
        let own = room(&path);
        let Some(&(_, floor)) = FLOORS.iter().find(|(name, _)| *name == own) else {
            assert!(["lib", "main"].contains(&&*own), "{own} has no floor");
            continue;
        };
        if is_test(&path) {
            continue;
        }
        for (at, _) in code(&text).match_indices("crate::") {
            let text = code(&text);
            let rest = &text[at + 7..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some((_, other)) = FLOORS.iter().find(|(n, _)| *n == name) {
                assert!(
                    name == own || *other < floor,
                    "{} (floor {floor}) names {name} (floor {other})",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    for (path, text) in sources() {
        let (own, code) = (room(&path), code(&text));
        let allowed = |word: &str, rooms: &[&str]| {
            assert!(rooms.contains(&&*own) || !code.contains(word), "{word} in {}", path.display());
        };
        allowed("polars", &["load", "store"]);
        allowed("use clap", &["cli"]);
        allowed("indicatif", &["cli"]);
        allowed("println!", &["cli"]);
        allowed("std::env", &["cli", "pipeline", "run", "main", "system"]);
        allowed("SystemTime", &["load", "remote", "store", "pipeline", "run"]);
        allowed("unsafe", &["linalg"]);
        assert!(
            path.starts_with("linalg/simd") || !code.contains("unsafe {"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn no_panics_on_user_data() {
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        for word in
            [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("]
        {
            assert!(!code(&text).contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
        assert!(
            text.starts_with("//!") || is_test(&path),
            "{} does not say what it is",
            path.display()
        );
    }
}

#[test]
fn every_unsafe_block_says_why() {
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let before = &lines[at.saturating_sub(4)..=at];
                assert!(
                    before.iter().any(|l| l.contains("SAFETY")),
                    "{}:{}",
                    path.display(),
                    at + 1
                );
            }
        }
    }
}
