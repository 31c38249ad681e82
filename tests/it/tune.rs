//! `lacuna tune`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use polars::prelude::{ParquetReader, SerReader};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, lacuna, run, sample};

const SPACE: &str = "method = \"random\"\ntrials = 5\n[space]\n\
    regularization = { low = 0.02, high = 0.5, log = true }\nfactors = [2, 4]\n";

fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The trials of a report without their durations.
fn ranked(report: &Value) -> Vec<Value> {
    let mut trials = report["ranked"].as_array().unwrap().clone();
    for trial in &mut trials {
        trial.as_object_mut().unwrap().remove("seconds");
    }
    trials
}

#[test]
fn a_search_ranks_its_trials_and_writes_the_best_settings() {
    let dir = TempDir::new().unwrap();
    let (space, out) = (write(&dir, "space.toml", SPACE), dir.path().join("t"));
    let arguments = ["tune", &sample(), "--space", path(&space), "-o", path(&out), "-i", "4"];
    let report = json(&arguments);
    let trials = ranked(&report);
    assert_eq!(trials.len(), 6);
    let values: Vec<f64> = trials.iter().map(|t| t["validation"].as_f64().unwrap()).collect();
    assert!(values.is_sorted() && values[0] < values[5]);
    assert_eq!(report["best"]["number"], trials[0]["number"]);
    // Trial 0 has the settings as passed.
    let given = trials.iter().find(|t| t["number"] == 0).unwrap();
    assert!(given["settings"].as_object().unwrap().is_empty());
    // Training with the best settings gives the holdout error of the report.
    let (best, model) = (out.join("best.toml"), dir.path().join("m"));
    let line = json(&["train", &sample(), "--config", path(&best), "-o", path(&model)]);
    assert_eq!(line["holdout_rmse"], report["chosen"]["metrics"]["holdout_rmse"]);
    assert_eq!(line["iterations"], report["chosen"]["iterations"]);
    let file = fs::File::open(out.join("trials.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    assert_eq!(frame.shape(), (6, 9));
    assert!(frame.column("regularization").unwrap().f64().is_ok());
    // Any number of threads gives the same trials.
    let other = dir.path().join("one");
    let again = json(
        &[
            &["tune", &sample(), "--space", path(&space), "-o", path(&other), "-i", "4"],
            &["-j", "1"][..],
        ]
        .concat(),
    );
    assert_eq!(trials, ranked(&again));
    // The text for people fits into 80 columns.
    let (_, text, _) = run(&arguments);
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn an_interrupted_search_resumes() {
    let dir = TempDir::new().unwrap();
    let space = SPACE.replace("trials = 5", "trials = 40").replace("[2, 4]", "[8, 16]");
    let (space, out) = (write(&dir, "space.toml", &space), dir.path().join("t"));
    let arguments = ["tune", &sample(), "--space", path(&space), "-o", path(&out), "--quiet"];
    let mut child = lacuna().args(arguments).spawn().unwrap();
    let trials = out.join("trials");
    let finished = || {
        fs::read_dir(&trials).map_or(0, |d| {
            d.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "json")).count()
        })
    };
    // Kill the search when some trials are done. It resumes from there, wherever that is.
    while finished() < 3 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The finished trials get a time of their own, which shows that nobody writes them again.
    let kept: Vec<PathBuf> = fs::read_dir(&trials)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|e| e == "json"))
        .collect();
    assert!(kept.len() >= 3, "{kept:?}");
    for file in &kept {
        fs::File::options().write(true).open(file).unwrap().set_modified(UNIX_EPOCH).unwrap();
    }
    let report = json(&arguments[..arguments.len() - 1]);
    assert_eq!(ranked(&report).len(), 41);
    for file in &kept {
        assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), UNIX_EPOCH, "{file:?}");
    }
    // An uninterrupted search gives the same trials.
    let other = dir.path().join("other");
    let alone = json(&["tune", &sample(), "--space", path(&space), "-o", path(&other)]);
    assert_eq!(ranked(&report), ranked(&alone));
    // A search cannot resume with other settings. --force starts it anew.
    let changed = [&arguments[..], &["--bias-reg", "0.3"]].concat();
    let (code, _, err) = run(&changed);
    assert!(code == 2 && err.contains("--force"), "{err}");
    let fewer = write(&dir, "space.toml", SPACE);
    assert_eq!(path(&fewer), path(&space));
    let (code, _, err) = run(&[&changed[..], &["--force", "-i", "1"]].concat());
    assert_eq!(code, 0, "{err}");
    assert_eq!(finished(), 6);
}

#[test]
fn halving_grids_folds_and_implicit_feedback_are_searched_too() {
    let dir = TempDir::new().unwrap();
    let of = |name: &str| dir.path().join(name);
    let halving = SPACE.replace("random", "halving").replace("trials = 5", "trials = 9");
    let halving = write(&dir, "halving.toml", &halving);
    let report = json(&[
        "tune",
        &sample(),
        "--space",
        path(&halving),
        "-o",
        path(&of("h")),
        "-i",
        "36",
        "--tol",
        "0",
    ]);
    // Nine points run for 4 iterations, three for 12, and one for 36. The settings as passed also
    // run for 36.
    assert_eq!(report["trials"], 9 + 3 + 2);
    assert_eq!(ranked(&report).len(), 2);
    assert!(ranked(&report).iter().all(|t| t["rung"] == 2 && t["iterations"] == 36));
    let grid = write(
        &dir,
        "grid.toml",
        "method = \"grid\"\n[space]\nfactors = [2, 3]\n\
         reg_exponent = { low = 0.0, high = 1.0, steps = 2 }\n",
    );
    let report = json(&[
        "tune",
        &sample(),
        "--space",
        path(&grid),
        "-o",
        path(&of("g")),
        "-i",
        "2",
        "--folds",
        "2",
    ]);
    assert_eq!(report["trials"], 5);
    assert!(report["best"]["deviation"].as_f64().unwrap() > 0.0);
    assert!(!report["edges"].as_array().unwrap().is_empty());
    let ials = write(
        &dir,
        "ials.toml",
        "trials = 2\n[space]\nunobserved_weight = { low = 0.01, high = 1.0, log = true }\n",
    );
    let report = json(&[
        "tune",
        &sample(),
        "--space",
        path(&ials),
        "-o",
        path(&of("i")),
        "-i",
        "2",
        "-k",
        "4",
        "-a",
        "ials",
    ]);
    assert_eq!(report["criterion"], "ndcg@10");
    // Without --patience, only tune uses --criterion, so best.toml leaves it out.
    let other = json(&[
        "tune",
        &sample(),
        "--space",
        path(&ials),
        "-o",
        path(&of("c")),
        "-i",
        "2",
        "-k",
        "4",
        "-a",
        "ials",
        "--criterion",
        "recall@20",
    ]);
    assert_eq!(other["criterion"], "recall@20");
    let (config, model) = (of("c").join("best.toml"), of("m"));
    let line = json(&["train", &sample(), "--config", path(&config), "-o", path(&model)]);
    assert_eq!(line["ranking"], other["chosen"]["metrics"]["ranking"]);
    let values: Vec<f64> =
        ranked(&report).iter().map(|t| t["validation"].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b));
    assert!(report["chosen"]["metrics"]["ranking"]["ndcg@10"].is_number());
}

#[test]
fn what_cannot_be_searched_says_why() {
    let dir = TempDir::new().unwrap();
    let space = write(&dir, "space.toml", SPACE);
    let bad = write(&dir, "bad.toml", "[space]\nfactor = [1]\n");
    let halving = write(&dir, "halving.toml", &SPACE.replace("random", "halving"));
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("mine.txt"), "precious").unwrap();
    let out = dir.path().join("t");
    let (s, o) = (sample(), path(&out));
    for (arguments, part) in [
        (&["tune", &s, "--space", path(&space)][..], "no output"),
        (&["tune", &s, "-o", o, "--space", "no.toml"], "cannot read the space"),
        (&["tune", &s, "-o", o, "--space", path(&bad)], "cannot be tuned"),
        (&["tune", &s, "-o", o, "--space", path(&space), "--refit"], "--refit"),
        (&["tune", &s, "-o", o, "--space", path(&space), "-r", "auto"], "auto"),
        (&["tune", &s, "-o", o, "--space", path(&halving), "--patience", "2"], "--patience"),
        (
            &["tune", &s, "-o", path(&foreign), "--space", path(&space)],
            "no directory of lacuna tune",
        ),
        (
            &["tune", &s, "-o", path(&foreign), "--space", path(&space), "--force"],
            "no directory of lacuna tune",
        ),
    ] {
        let (code, stdout, err) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    assert_eq!(fs::read_to_string(foreign.join("mine.txt")).unwrap(), "precious");
    assert!(!out.exists());
}

#[test]
fn incompatible_settings_fail_only_their_own_trial() {
    let dir = TempDir::new().unwrap();
    let text = "method = \"grid\"\n[space]\nno_biases = [true, false]\nfactors = [0, 2]\n\
                iterations = [2, 3]\n";
    let (space, out) = (write(&dir, "space.toml", text), dir.path().join("t"));
    let report = json(&["tune", &sample(), "--space", path(&space), "-o", path(&out)]);
    // Two of the eight combinations have neither biases nor factors.
    assert_eq!((&report["trials"], &report["failed"]), (&Value::from(9), &Value::from(2)));
    let file = fs::File::open(out.join("trials.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    assert!(frame.column("iterations").is_ok() && frame.column("iterations_run").is_ok());
    // Trial 0 is listed with the values that it ran with.
    let iterations = frame.column("iterations").unwrap();
    assert_eq!(iterations.i64().unwrap().get(0), Some(20));
    // A complete search says so. A removed trial is run again.
    let space = write(&dir, "more.toml", SPACE);
    let out = dir.path().join("u");
    let short = ["tune", &sample(), "--space", path(&space), "-o", path(&out), "-i", "4"];
    let whole = json(&short);
    assert_eq!(whole["complete"], true);
    fs::remove_file(out.join("trials/0-00003.json")).unwrap();
    // A file with the settings of another trial is not accepted for this one.
    let other = fs::read_to_string(out.join("trials/0-00004.json")).unwrap();
    fs::write(out.join("trials/0-00005.json"), other.replace("\"number\":4", "\"number\":5"))
        .unwrap();
    assert_eq!(ranked(&json(&short)), ranked(&whole));
}
