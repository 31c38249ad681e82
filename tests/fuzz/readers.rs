//! The readers of bytes that others write: what is fuzzed, and what tests replay the corpora through. Any
//! bytes must give an outcome or an error, never a panic.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use lacuna::load::prepare::{Preparation, prepare};
use lacuna::load::{BadRows, LoadOptions, load};
use lacuna::store::{Manifest, parse_checkpoint};

/// What is fuzzed.
pub const TARGETS: [&str; 7] = ["csv", "dat", "zip", "parquet", "manifest", "checkpoint", "config"];

/// Reads bytes as the target's reader does; `directory` is for the files that readers want. Whether they
/// were good.
pub fn read(target: &str, bytes: &[u8], directory: &Path) -> bool {
    let file = |ending: &str| {
        let path = directory.join(format!("input.{ending}"));
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    };
    match target {
        "csv" | "dat" | "zip" | "parquet" => {
            let path = file(target);
            // As train reads, and as a quarantine does.
            let good = ratings(&path, BadRows::Error);
            ratings(&path, BadRows::Quarantine);
            good
        }
        "manifest" => {
            let path = file("json");
            // Directories of models are read by these two.
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
