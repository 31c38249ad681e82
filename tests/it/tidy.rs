//! The rules of the code base that the compiler does not check.
//!
//! `lib.rs` and CONTRIBUTING.md state them for people. A "room" is a top-level module with its
//! files, and its "door" is its `mod.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use super::house::{House, SourceFile};

/// The floors, lowest first. A module uses only modules on lower floors, and its own files.
const FLOORS: &[&[&str]] = &[
    &["pair"],
    &["error"],
    &["param", "system"],
    &["remote", "linalg"],
    &["ids", "ratings"],
    &["rng", "model", "objective"],
    &["split", "metric", "solver"],
    &["job", "train", "synthetic"],
    &["load"],
    &["store"],
    &["export"],
    &["settings"],
    &["training"],
    &["tuning", "replay"],
    &["serving"],
    &["run"],
    &["cli"],
];

/// Rooms whose files use nothing from their own door.
const CLOSED: &[&str] =
    &["load", "settings", "training", "tuning", "replay", "serving", "run", "cli"];

/// The maximum number of lines of a source file.
const LINES: usize = 400;

/// The maximum number of lines of a test file.
const TEST_LINES: usize = 500;

/// The maximum number of columns of a line in source files and documents.
const COLUMNS: usize = 100;

/// The maximum number of functions that take tuples.
///
/// Two values of the same type are easily swapped in a tuple.
const TUPLE_FUNCTIONS: usize = 15;

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// The code of a file, without its tests and comments.
fn code(file: &SourceFile) -> String {
    let text = file.text.split("\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with all complaints at once.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn modules_name_only_lower_floors() {
    let house = House::read();
    let mut complaints = Vec::new();
    for (at, file) in house.files.iter().enumerate() {
        if file.path == "lib.rs" || file.path == "main.rs" {
            continue;
        }
        let own = floor(file.room());
        if own.is_none() {
            complaints.push(format!("{} is on no floor", file.room()));
        }
        for other in house.uses(at) {
            let other = &house.files[other];
            let allowed = other.room() == file.room() || floor(other.room()) < own;
            if !allowed {
                complaints.push(format!("{} uses {}", file.path, other.path));
            }
        }
    }
    none(&complaints);
}

#[test]
fn files_do_not_use_each_other_in_a_cycle() {
    let house = House::read();
    let circles = house.circles();
    none(
        &circles
            .iter()
            .map(|circle| format!("files use each other: {}", circle.join(", ")))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_take_nothing_from_their_own_door() {
    let house = House::read();
    let mut complaints = Vec::new();
    for (at, file) in house.files.iter().enumerate().filter(|(_, f)| CLOSED.contains(&f.room())) {
        for door in house.uses(at).into_iter().map(|other| &house.files[other]) {
            if door.is_door() && file.module.starts_with(&door.module) {
                complaints.push(format!("{} uses items of {}", file.path, door.path));
            }
        }
    }
    none(&complaints);
}

#[test]
fn documents_and_this_test_list_the_same_floors() {
    let lines: Vec<String> = FLOORS.iter().map(|floor| floor.join("  ")).collect();
    let library = format!("//! {}\n", lines.join("\n//! "));
    let document = lines.join("\n");
    for (path, list) in [("src/lib.rs", &library), ("CONTRIBUTING.md", &document)] {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        assert!(text.contains(list), "{path} must list the floors as in this test:\n{list}");
    }
}

/// Every invariant that `lib.rs` states must name the tests that check it.
#[test]
fn invariants_name_their_tests() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let (_, list) = library.split_once("# What never happens").expect("the list of invariants");
    let list = list.lines().skip(1).take_while(|line| line.starts_with("//!"));
    let list: Vec<&str> = list.map(|line| line.trim_start_matches("//!").trim()).collect();
    let list = list.join(" ");
    let rows: Vec<&str> = list.split(" - ").skip(1).map(str::trim).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    let tests: String =
        texts(&["src", "tests/it"], &["rs"]).into_iter().map(|(_, text)| text).collect();
    for row in rows {
        let (_, named) = row.split_once('(').unwrap_or_else(|| panic!("no test is named: {row}"));
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test is named: {row}");
        for name in names.iter().filter(|name| !name.contains('/')) {
            assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}: {row}");
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    let house = House::read();
    let mut complaints = Vec::new();
    for (file, names) in house.files.iter().zip(&house.names) {
        let (own, code) = (file.room(), code(file));
        let mut allowed = |word: &str, rooms: &[&str]| {
            if !rooms.contains(&own) && code.contains(word) {
                complaints.push(format!("{} uses {word}", file.path));
            }
        };
        allowed("polars", &["load", "store"]);
        allowed("use clap", &["cli"]);
        allowed("indicatif", &["cli"]);
        allowed("io::stdout", &["cli"]);
        allowed("io::stderr", &["cli"]);
        // These rooms read the working directory or the settings of object stores and schedulers.
        allowed(
            "std::env",
            &["cli", "settings", "training", "replay", "run", "main", "system", "remote"],
        );
        allowed("SystemTime", &["load", "remote", "store", "run"]);
        allowed("unsafe", &["linalg"]);
        if code.contains("unsafe {") && !file.path.starts_with("linalg/simd") {
            complaints.push(format!("{} has unsafe code", file.path));
        }
        let prints = ["print", "println", "eprint", "eprintln", "dbg"];
        if own != "cli" && prints.iter().any(|name| names.macros.contains(*name)) {
            complaints.push(format!("{} prints", file.path));
        }
    }
    none(&complaints);
}

#[test]
fn no_panics_on_user_data() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    let house = House::read();
    let files = house.files.iter().filter(|file| !file.is_test());
    let found = files.flat_map(|file| {
        let code = code(file);
        let of = words.iter().filter(move |word| code.contains(**word));
        of.map(move |word| format!("{} calls {word}", file.path))
    });
    none(&found.collect::<Vec<_>>());
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut complaints = Vec::new();
    for file in House::read().files {
        let lines = file.text.lines().count();
        let most = if file.is_test() { TEST_LINES } else { LINES };
        if lines > most {
            complaints.push(format!("{} has {lines} lines, more than {most}", file.path));
        }
        if !file.text.starts_with("//!") && !file.is_test() {
            complaints.push(format!("{} does not start with a //! comment", file.path));
        }
    }
    for (path, text) in texts(&["tests", "benches", "examples"], &["rs"]) {
        let lines = text.lines().count();
        if lines > TEST_LINES {
            complaints.push(format!("{path} has {lines} lines, more than {TEST_LINES}"));
        }
    }
    none(&complaints);
}

#[test]
fn lines_fit_on_a_screen() {
    let mut complaints = Vec::new();
    let documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let documents = documents.into_iter().map(|path| {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    });
    let more =
        texts(&["src", "tests", "benches", "examples", "scripts", "datasets"], &["rs", "md"]);
    for (path, text) in documents.chain(more) {
        let mut fenced = false;
        for (at, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            // Table rows, addresses and program output cannot be broken.
            let whole = Path::new(&path).extension().is_some_and(|e| e == "md")
                && (line.starts_with('|') || fenced)
                || line.trim_start().trim_start_matches("//!").trim_start().starts_with('|')
                || line.split_whitespace().any(|word| word.contains("://") && word.len() > 60);
            if line.chars().count() > COLUMNS && !whole {
                complaints.push(format!("{path}:{} has {} columns", at + 1, line.chars().count()));
            }
        }
    }
    none(&complaints);
}

/// The paths and texts of the files with these extensions below these folders.
fn texts(folders: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|e| endings.contains(&e.to_str().unwrap())) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    found
}

#[test]
fn few_functions_take_tuples() {
    let house = House::read();
    let mut found = BTreeMap::new();
    for (file, names) in house.files.iter().zip(&house.names) {
        if !names.tuple_functions.is_empty() {
            found.insert(&file.path, names.tuple_functions.join(" "));
        }
    }
    let count: usize = house.names.iter().map(|names| names.tuple_functions.len()).sum();
    assert!(count <= TUPLE_FUNCTIONS, "{count} functions take tuples: {found:#?}");
}

#[test]
fn every_unsafe_block_says_why() {
    let mut complaints = Vec::new();
    for file in House::read().files {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let before = &lines[at.saturating_sub(4)..=at];
                if !before.iter().any(|l| l.contains("SAFETY")) {
                    complaints.push(format!("{}:{}", file.path, at + 1));
                }
            }
        }
    }
    none(&complaints);
}
