//! The readers of untrusted bytes. The fuzzing program fuzzes them, and a test replays the corpora.
//!
//! Any input must give a result or an error, never a panic.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use lacuna::load::prepare::{Preparation, prepare};
use lacuna::load::{BadRows, LoadOptions, load};
use lacuna::store::{Manifest, parse_checkpoint};

/// The names of the fuzz targets.
pub const TARGETS: [&str; 8] =
    ["csv", "dat", "jsonl", "zip", "parquet", "manifest", "checkpoint", "config"];

/// Reads `bytes` with the reader of `target` and returns whether they were valid.
///
/// `directory` holds the files that the readers open.
pub fn read(target: &str, bytes: &[u8], directory: &Path) -> bool {
    let file = |ending: &str| {
        let path = directory.join(format!("input.{ending}"));
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    };
    match target {
        "csv" | "dat" | "jsonl" | "zip" | "parquet" => {
            let path = file(target);
            // Bad rows are an error by default. A quarantine sets them aside.
            let good = ratings(&path, BadRows::Error);
            ratings(&path, BadRows::Quarantine);
            good
        }
        "manifest" => {
            let path = file("json");
            // These two functions read model directories.
            let whole = Manifest::read(&path).is_ok();
            std::fs::rename(&path, directory.join("manifest.json")).expect("renames");
            lacuna::serving::verify_files(directory, None).is_ok() || whole
        }
        "checkpoint" => parse_checkpoint(bytes).is_ok(),
        "config" => {
            let path = file("toml");
            let check = |command: &[&str]| {
                let arguments = command.iter().map(Into::into);
                let file = ["--config".into(), path.clone().into_os_string()];
                let all = ["lacuna".into()].into_iter().chain(arguments).chain(file);
                lacuna::cli::check(all.collect()).is_ok()
            };
            check(&["config", "show"]) | check(&["train"])
        }
        other => panic!("no target {other}"),
    }
}

fn ratings(path: &Path, bad_rows: BadRows) -> bool {
    let options = LoadOptions { bad_rows, max_bad_rows: 100, ..LoadOptions::default() };
    let stop = AtomicBool::new(false);
    let files = [path.to_str().expect("a path of ours").to_owned()];
    let read = load(&files, &[], &options, &stop, &|_, _| {});
    read.and_then(|ratings| prepare(ratings, &Preparation::default(), &stop)).is_ok()
}
