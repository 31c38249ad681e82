//! Helpers that several test modules share.

#[cfg(feature = "files")]
use std::io::Write;
use std::ops::ControlFlow;
#[cfg(feature = "files")]
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lacuna::error::Result;
use lacuna::ids::Ids;
use lacuna::linalg::simd::Kernels;
use lacuna::model::Factors;
use lacuna::ratings::{Cell, Ratings};
use lacuna::train::{Algorithm, Fit, Iteration, Problem, Start};

/// Fits with the keys of the ids 0, 1, 2, ... for the rows.
pub(crate) fn fit(
    algorithm: &dyn Algorithm,
    ratings: &Ratings,
    start: Option<&Factors>,
    observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>,
) -> Result<Fit> {
    let keys = |n: usize, domain| Ids::range(n).keys(domain);
    fit_with_keys(
        algorithm,
        ratings,
        start,
        (&keys(ratings.users(), "user"), &keys(ratings.items(), "item")),
        observer,
    )
}

/// Fits with the specified keys for the rows.
pub(crate) fn fit_with_keys(
    algorithm: &dyn Algorithm,
    ratings: &Ratings,
    start: Option<&Factors>,
    (user_keys, item_keys): (&[u64], &[u64]),
    observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>,
) -> Result<Fit> {
    let stop = AtomicBool::new(false);
    let problem = Problem {
        ratings,
        moments: &ratings.moments(),
        user_keys,
        item_keys,
        start: start.map_or(Start::Random, Start::Factors),
        stop: &stop,
        kernels: Kernels::detect(),
    };
    algorithm.fit(&problem, observer)
}

/// A cell of weight 1.
pub(crate) fn cell(user: u32, item: u32, value: f32) -> Cell {
    Cell { user, item, value, weight: 1.0, time: 0 }
}

#[cfg(feature = "files")]
/// The path of `ratings.csv` of ml-latest-small.
///
/// If the file is missing, reports that the test is skipped.
pub(crate) fn movielens() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let places = [
        std::env::var_os("MOVIELENS_DIR").map(PathBuf::from),
        Some(root.join("datasets/movielens")),
        Some(root.join("../shared/data")),
    ];
    let found = places
        .into_iter()
        .flatten()
        .map(|p| p.join("ml-latest-small/ratings.csv"))
        .find(|p| p.is_file());
    if found.is_none() {
        skip("ml-latest-small/ratings.csv does not exist (scripts/fetch-movielens latest-small)");
    }
    found
}

/// Says that the current test is skipped, and why.
///
/// The line also goes to `target/skipped.txt`, from which scripts/check prints one line at its end.
#[cfg(feature = "files")]
pub(crate) fn skip(why: &str) {
    // Write to standard error directly: the test harness hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    let list = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("skipped.txt");
    let list = std::fs::File::options().create(true).append(true).open(list);
    let _ = list.and_then(|mut list| writeln!(list, "{why}"));
}

/// The bits of all vectors and biases.
pub(crate) fn bits(factors: &Factors) -> Vec<u32> {
    let sides = [&factors.users, &factors.items];
    let all = sides.iter().flat_map(|s| s.vectors.padded().iter().chain(&s.biases));
    all.map(|v| v.to_bits()).collect()
}

/// The path of the program.
#[cfg(feature = "cli")]
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lacuna");

/// The program, without settings from the environment.
#[cfg(feature = "cli")]
pub(crate) fn lacuna() -> std::process::Command {
    let mut command = std::process::Command::new(PROGRAM);
    for (name, _) in std::env::vars() {
        if name.starts_with("LACUNA_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program and returns its exit code, standard output and standard error.
#[cfg(feature = "cli")]
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = lacuna().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a command that must succeed and returns its JSON line.
#[cfg(feature = "cli")]
pub(crate) fn json(arguments: &[&str]) -> serde_json::Value {
    let (code, out, err) = run(&[arguments, &["--json", "--quiet"]].concat());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    serde_json::from_str(&out).unwrap()
}

/// The path of the repository's sample ratings.
#[cfg(feature = "cli")]
pub(crate) fn sample() -> String {
    format!("{}/datasets/sample.csv", env!("CARGO_MANIFEST_DIR"))
}
