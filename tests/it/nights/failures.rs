//! Nightly runs on a machine where something is wrong with the disk, the clock or the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Nights, ended, gate, same};
use crate::support::{run, skip};

#[test]
fn failures_are_reported_and_nothing_is_lost() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "3"]);
    let before = nights.served().0;
    let fails = |code: i32, extra: &[&str], words: &str| {
        let (found, report, log) = nights.run(extra);
        assert_eq!(found, code, "{extra:?} {report} {log}");
        let reason = report["reason"].as_str().unwrap_or(&log);
        assert!(reason.contains(words), "{extra:?}: {reason}");
        assert_eq!(nights.served().0, before);
        assert!(nights.names("runs/.tmp").is_empty());
    };
    // A missing input, an empty one, a truncated one.
    fs::rename(nights.path("ratings.csv"), nights.path("away.csv")).unwrap();
    fails(3, &[], "ratings.csv");
    fs::write(nights.path("ratings.csv"), "userId,movieId,rating,timestamp\n").unwrap();
    fails(3, &[], "no ratings in this file");
    nights.night(20);
    fails(4, &[], "rows: ");
    nights.ratings(50, |number, line| match number {
        100..400 => line.replace(',', ";"),
        _ => line.to_owned(),
    });
    fails(3, &[], "ratings.csv:");
    fails(4, &["--bad-rows", "quarantine"], "rejected: 300 of");
    // Settings that make no sense, among them standard input as an input.
    fails(2, &["--gate", "rows=fatal"], "rows=fatal");
    fails(2, &["--min-rows", "2"], "--min-rows is above --max-rows");
    let other = nights.text("x.txt");
    fails(2, &["--metrics-file", &other], ".prom");
    assert!(!nights.path("x.txt").exists());
    fails(2, &["--checkpoint-every", "-1"], "whole number");
    fails(2, &["-"], "run reads files");
    nights.night(60);
    fails(4, &["--max-age", "1h"], "freshness: the latest rating is ");
    nights.ratings(55, |number, line| match number % 5 {
        0 => line.replacen(',', ",9", 1),
        _ => line.to_owned(),
    });
    fails(4, &["--gate", "new-items=error"], "items are new");
    nights.night(60);
    fails(5, &["--gate", "bias-only=error", "--min-gain", "0.9", "-i", "3"], "bias-only: ");
    // The published model is damaged. A run stops, because it has nothing to compare with. With
    // --allow-gate-failure, it starts cold and publishes.
    let file = nights.path("runs/latest/item_factors.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 3 && err.contains("checksum"), "{err}");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 3, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("nothing to compare with"), "{report}");
    let report = nights.good(&["-i", "3", "--allow-gate-failure"]);
    assert_eq!(report["lineage"]["cold_because"], "no earlier run can be read");
    assert_ne!(nights.served().0, before);
    // If an earlier run can be read, it stands in for the published one, and the gates apply as
    // usual.
    let served = nights.served().0;
    nights.night(62);
    nights.good(&["-i", "3"]);
    fs::write(nights.path("runs/latest/manifest.json"), "{}").unwrap();
    nights.night(20);
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 4, "{report}");
    assert!(gate(&report, "rows")["message"].as_str().unwrap().contains(&served), "{report}");
    nights.night(60);
    let report = nights.good(&["-i", "3", "--force"]);
    assert!(report["warnings"][0].as_str().unwrap().contains("stands in"), "{report}");
    assert_eq!(report["lineage"]["warm_start_from"], *served);
    // Published runs cannot be changed.
    let latest = nights.text("runs/latest");
    let (code, _, err) =
        run(&["fold-in", &latest, &nights.text("ratings.csv"), "-o", &latest, "--force"]);
    assert!(code == 2 && err.contains("symbolic link"), "{err}");
    let path = format!("{}/runs/{}", nights.text("runs"), nights.served().0);
    let (code, _, err) = run(&["export", &path, "-f", "npy"]);
    assert!(code == 2 && err.contains("stays as it is"), "{err}");
    let model = nights.text("model");
    assert_eq!(
        run(&["train", &nights.text("ratings.csv"), "-o", &model, "-i", "2", "-k", "2"]).0,
        0
    );
    let (code, _, err) = run(&["run", &nights.text("ratings.csv"), "-o", &model]);
    assert!(code == 2 && err.contains("is a model, not a directory of runs"), "{err}");
}

/// Mounts a small file system if the system permits it. Returns whether it is mounted.
fn small_disk(at: &Path, kib: u32) -> bool {
    fs::create_dir_all(at).unwrap();
    let size = format!("size={kib}k");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", &size, "lacuna-test"]).arg(at).output();
    let mounted = mounted.is_ok_and(|output| output.status.success());
    if !mounted {
        skip("a full disk was not tried: cannot mount a tmpfs (this needs root)");
    }
    mounted
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_one() {
    let nights = Nights::of_sample();
    nights.night(50);
    let runs = nights.path("runs");
    if !small_disk(&runs, 900) {
        return;
    }
    let _mounted = Mounted(runs.clone());
    nights.good(&["-i", "3"]);
    let before = nights.served();
    // The remaining space is too small for a run of rank 64 and for its checkpoints.
    fs::write(runs.join("filler"), vec![0; 300 << 10]).unwrap();
    nights.night(55);
    let large = ["-i", "3", "-k", "64", "--checkpoint-every", "0", "--allow-gate-failure"];
    let (code, report, log) = nights.run(&large);
    assert_eq!(code, 7, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("No space left"), "{report}");
    assert!(log.contains("no checkpoint: "), "{log}");
    assert!(nights.served().0 == before.0 && same(&nights.served().1, &before.1));
    assert!(nights.names("runs/.tmp").is_empty());
    // The file system is read-only from here on.
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(&runs).status();
    assert!(remount.unwrap().success());
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 7, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("Read-only"), "{report}");
    assert_eq!(nights.served().0, before.0);
    // A dry run writes nothing.
    let (code, report, _) = nights.run(&["-i", "3", "--dry-run"]);
    assert_eq!((code, &report["result"]), (0, &"valid".into()), "{report}");
}

#[test]
fn a_clock_that_was_set_back_does_no_harm() {
    let nights = Nights::of_sample();
    let at = |seconds: i64, percent: usize| {
        nights.night(percent);
        let mut command = nights.command(&["-i", "3", "--keep-last", "1", "--keep-within", "1day"]);
        ended(command.env("SOURCE_DATE_EPOCH", seconds.to_string()))
    };
    let noon = 1_800_000_000;
    assert_eq!(at(noon, 50).0, 0);
    let first = nights.served().0;
    let (code, report, _) = at(noon - 86_400, 52);
    assert_eq!(code, 0, "{report}");
    assert!(report["warnings"][0].as_str().unwrap().contains("set back"), "{report}");
    let second = nights.served().0;
    assert!(second < first);
    // The first run seems newer but is no longer published. It stays as long as it is needed.
    assert_eq!(report["lineage"]["warm_start_from"], *first);
    assert_eq!(nights.names("runs/runs"), [second.clone(), first.clone()]);
    assert_eq!(at(noon + 3 * 86_400, 54).0, 0);
    let third = nights.served().0;
    assert_eq!(nights.names("runs/runs"), [second, third]);
}

/// The next night may replace the rating files, so a run keeps the ratings that it needs later.
#[test]
fn a_run_is_used_when_its_files_are_gone() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "3", "--patience", "9"]);
    let latest = nights.text("runs/latest");
    let user = nights.lines[0].1.split(',').next().unwrap().to_owned();
    let ask = || {
        let recommended = run(&["recommend", &latest, "--user", &user, "-n", "5", "--json"]);
        let evaluated = run(&["evaluate", &latest, "--json", "--quiet"]);
        assert!(recommended.0 == 0 && evaluated.0 == 0, "{recommended:?} {evaluated:?}");
        [recommended.1, evaluated.1].map(|line| {
            let mut report: Value = serde_json::from_str(&line).unwrap();
            report["durations_s"] = Value::Null;
            report
        })
    };
    let before = ask();
    let metrics = nights.manifest("runs/latest")["metrics"].clone();
    // The vectors were rescaled after they were measured, so the last digits differ.
    let rmse =
        [&before[1]["rating"]["rmse"], &metrics["holdout_rmse"]].map(|v| v.as_f64().unwrap());
    assert!((rmse[0] / rmse[1] - 1.0).abs() < 1e-6, "{rmse:?}");
    fs::remove_file(nights.path("ratings.csv")).unwrap();
    assert_eq!(ask(), before);
    // The manifest has the same deciles with the same counts as evaluate.
    for (own, evaluated) in
        [("by_activity_decile", "by_user_activity"), ("by_popularity_decile", "by_item_popularity")]
    {
        let rows = |of: &Value| -> Vec<(Value, Value)> {
            let segments = of.as_array().unwrap().iter();
            segments.map(|s| (s["decile"].clone(), s["n_ratings"].clone())).collect()
        };
        let (own, evaluated) = (rows(&metrics[own]), rows(&before[1][evaluated]));
        assert!(own.len() >= 10 && own == evaluated, "{own:?} {evaluated:?}");
    }
    nights.night(51);
    let (new, out) = (nights.text("ratings.csv"), nights.text("updated"));
    let (code, _, err) = run(&["update", &latest, &new, "-o", &out, "--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert!(nights.manifest("updated")["run_id"].is_null());
    // With --discard-ratings, a run keeps no ratings.
    nights.good(&["-i", "3", "--discard-ratings"]);
    fs::remove_file(nights.path("ratings.csv")).unwrap();
    let (code, _, err) = run(&["recommend", &latest, "--user", &user]);
    assert!(code == 3 && err.contains("ratings.csv"), "{err}");
}

/// The next run repairs what a killed run or somebody else left incomplete. Foreign files stay.
#[test]
fn published_runs_are_repaired_and_foreign_files_stay() {
    let nights = Nights::of_sample();
    nights.night(40);
    nights.good(&["-i", "2"]);
    nights.night(42);
    nights.good(&["-i", "2"]);
    let (served, first) = (nights.served().0, nights.names("runs/runs")[0].clone());
    let pointer = fs::read_to_string(nights.path("runs/latest.json")).unwrap();
    fs::write(nights.path("runs/latest.json"), pointer.replace(&served, &first)).unwrap();
    let noop = |words: &str| {
        let (code, report, _) = nights.run(&["-i", "2"]);
        assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
        assert!(report["warnings"].to_string().contains(words), "{report}");
        assert_eq!(nights.served().0, served);
    };
    noop("now they do");
    fs::remove_file(nights.path("runs/latest.json")).unwrap();
    noop("now they do");
    fs::remove_file(nights.path("runs/latest")).unwrap();
    noop("now they do");
    noop("");
    // An incomplete published run does not count, so the next run publishes a new one.
    fs::remove_file(nights.path("runs/latest/metrics.json")).unwrap();
    nights.good(&["-i", "2"]);
    assert_ne!(nights.served().0, served);
    // An edited manifest is detected.
    let manifest = nights.path("runs/latest/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"seed\": 42", "\"seed\": 43", 1)).unwrap();
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 3 && err.contains("manifest.json"), "{err}");
    let (_, out, _) = nights.runs(&["list"]);
    assert_eq!(out.lines().count(), 5, "{out}");
    fs::write(&manifest, "broken").unwrap();
    let (code, out, _) = nights.runs(&["list"]);
    assert!(code == 0 && out.contains("damaged"), "{out}");
    assert_eq!(nights.runs(&["rollback", &first]).0, 0);
    assert_eq!(nights.served().0, first);
    // A foreign directory is rejected and stays.
    fs::create_dir_all(nights.path("project/.tmp/mine")).unwrap();
    let (code, _, err) = run(&["run", &nights.text("ratings.csv"), "-o", &nights.text("project")]);
    assert!(code == 2 && err.contains("is neither empty nor a directory of runs"), "{err}");
    assert!(nights.path("project/.tmp/mine").is_dir());
    fs::create_dir_all(nights.path("runs/.tmp/mine")).unwrap();
    fs::create_dir_all(nights.path("runs/.ckpt/mine")).unwrap();
    nights.night(44);
    nights.good(&["-i", "2"]);
    assert!(nights.path("runs/.tmp/mine").is_dir() && nights.path("runs/.ckpt/mine").is_dir());
}
