//! Records of nightly runs: lists, retention, logs, metrics and configuration files.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{Nights, ended};
use crate::support::{PROGRAM, run, sample};

#[test]
fn old_runs_go_and_earlier_ones_can_be_served_again() {
    let nights = Nights::of_sample();
    for (night, percent) in [40, 42, 44, 46].into_iter().enumerate() {
        nights.night(percent);
        let time = (1_700_000_000 + 86_400 * night as i64).to_string();
        let mut command = nights.command(&["-i", "2", "--allow-gate-failure"]);
        assert_eq!(ended(command.env("SOURCE_DATE_EPOCH", time)).0, 0);
    }
    let all = nights.names("runs/runs");
    assert_eq!(all.len(), 4);
    let (code, out, _) = nights.runs(&["list"]);
    assert!(
        code == 0 && out.lines().count() == 6 && out.contains(&format!("* {}", all[3])),
        "{out}"
    );
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (code, out, _) = nights.runs(&["show", "latest"]);
    assert!(code == 0 && out.contains(&all[3]) && out.contains("warm start"), "{out}");
    let (code, out, _) = nights.runs(&["diff", &all[0], &all[1]]);
    assert!(code == 0 && out.contains("n_ratings") && !out.contains("nothing changed"), "{out}");
    let (code, _, err) = nights.runs(&["show", "2023"]);
    assert!(code == 2 && err.contains("4 runs begin with 2023"), "{err}");
    let (code, _, err) = nights.runs(&["show", "x"]);
    assert!(code == 2 && err.contains("no run x"), "{err}");
    // Roll back one night, then to the first night.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    assert_eq!(nights.served().0, all[2]);
    assert_eq!(nights.runs(&["rollback", &all[0]]).0, 0);
    assert_eq!(nights.served().0, all[0]);
    let (code, _, err) = nights.runs(&["rollback"]);
    assert!(code == 2 && err.contains("there is no earlier run"), "{err}");
    // A rollback to a damaged run is rejected.
    fs::write(nights.path("runs/runs").join(&all[1]).join("metrics.json"), "{}").unwrap();
    let (code, _, err) = nights.runs(&["rollback", &all[1]]);
    assert!(code == 3 && err.contains("metrics.json"), "{err}");
    assert_eq!(nights.served().0, all[0]);
    // The published run stays, however old it is.
    let prune = ["prune", "--keep-last", "1", "--keep-within", "0s"];
    let (code, out, _) = nights.runs(&[&prune[..], &["--dry-run"]].concat());
    assert!(
        code == 0 && out.contains("would remove") && nights.names("runs/runs").len() == 4,
        "{out}"
    );
    assert_eq!(nights.runs(&prune).0, 0);
    assert_eq!(nights.names("runs/runs"), [all[0].clone(), all[3].clone()]);
    let (code, _, err) = run(&["runs", "list", &nights.text("nowhere")]);
    assert!(code == 3 && err.contains("not a directory of runs"), "{err}");
}

#[test]
fn the_log_has_stable_names_and_the_metrics_can_be_read() {
    let nights = Nights::of_sample();
    nights.night(50);
    let prom = nights.text("lacuna.prom");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let settings =
        ["-i", "4", "--export", "npy", "--metrics-file", &prom, "--checkpoint-every", "0"];
    let (code, report, log) = ended(nights.command(&settings).env("TRACEPARENT", trace));
    assert_eq!(code, 0, "{log}");
    let events = |log: &str| -> BTreeSet<String> {
        let event = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            for key in ["ts", "level", "event", "run_id", "phase", "msg"] {
                assert!(line[key].is_string(), "{key} in {line}");
            }
            assert_eq!(line["run_id"], report["run_id"]);
            assert_eq!(line["traceparent"], trace);
            line["event"].as_str().unwrap().to_owned()
        };
        log.lines().map(event).collect()
    };
    let names = [
        "run_start",
        "input_scanned",
        "csr_built",
        "sweep",
        "checkpoint_saved",
        "eval",
        "gate",
        "exported",
        "published",
        "run_end",
    ];
    let found = events(&log);
    assert!(names.iter().all(|name| found.contains(*name)), "{found:?}");
    let kept = fs::read_to_string(nights.path("runs/latest/log.jsonl")).unwrap();
    assert!(events(&kept).contains("exported"));
    let manifest = nights.manifest("runs/latest");
    assert_eq!(manifest["trigger"]["traceparent"], trace);
    let metric = |name: &str| -> f64 {
        let text = fs::read_to_string(nights.path("lacuna.prom")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let success = metric("lacuna_last_success_timestamp_seconds");
    assert!(success > 1.7e9 && metric("lacuna_last_run_exit_code") == 0.0);
    assert_eq!(metric("lacuna_rmse{split=\"holdout\"}"), report["rmse"]["holdout"]);
    assert_eq!(metric("lacuna_gate_passed{gate=\"finite\"}"), 1.0);
    // The metrics report a failure along with the time of the last success.
    nights.night(10);
    assert_eq!(nights.run(&settings).0, 4);
    assert_eq!(metric("lacuna_last_run_exit_code"), 4.0);
    assert_eq!(metric("lacuna_last_success_timestamp_seconds"), success);
    assert_eq!(metric("lacuna_gate_passed{gate=\"rows\"}"), 0.0);
    // The log for people, on request.
    let (code, _, text) =
        nights.run(&["--log-format", "text", "--force", "--allow-gate-failure", "-q"]);
    assert!(code == 0 && text.lines().all(|line| line.starts_with("warning: ")), "{text}");
    let output = nights.command(&["--log-format", "text", "-i", "4"]).output().unwrap();
    assert!(output.stdout.len() < 4096 && output.stdout.ends_with(b"}\n"));
}

#[test]
fn validate_and_dry_run_write_nothing() {
    let nights = Nights::of_sample();
    nights.night(50);
    let validate = |extra: &[&str]| {
        let (ratings, runs) = (nights.text("ratings.csv"), nights.text("runs"));
        run(&[&["validate", &ratings, "-o", &runs, "--json"], extra].concat())
    };
    let (code, out, log) = validate(&[]);
    assert_eq!(code, 0, "{log}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["result"], "valid");
    assert!(report["estimate"]["train_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    assert!(!nights.path("runs").exists());
    assert_eq!(validate(&["--memory-limit", "1MB"]).0, 2);
    nights.good(&["-i", "3"]);
    let before = (nights.names("runs"), nights.names("runs/runs"));
    nights.night(20);
    assert_eq!(validate(&[]).0, 4);
    let (code, report, log) = nights.run(&["--dry-run", "--gate", "rows=warn"]);
    assert_eq!(code, 0, "{log}");
    assert!(report["lineage"]["warm_start_from"].is_string(), "{report}");
    assert_eq!((nights.names("runs"), nights.names("runs/runs")), before);
    assert!(nights.names("runs/rejected").is_empty() && nights.names("runs/.ckpt").is_empty());
}

#[test]
fn one_file_serves_all_commands_and_says_where_values_come_from() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nightly.toml");
    let (code, example, _) = run(&["config", "example"]);
    assert_eq!(code, 0);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/nightly/nightly.toml");
    assert_eq!(fs::read_to_string(kept).unwrap(), example, "made by lacuna config example");
    // With every value uncommented, the example is a configuration file that changes nothing.
    let key = |line: &str| line.split(' ').next().unwrap().to_owned();
    let is_key = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut all = String::new();
    for line in example.lines() {
        let value = line.strip_prefix("# ").filter(|rest| rest.contains(" = "));
        all += value.filter(|rest| is_key(&key(rest))).unwrap_or(line);
        all.push('\n');
    }
    fs::write(&path, &all).unwrap();
    let file = path.to_str().unwrap();
    let (code, shown, err) = run(&["config", "show", "--config", file]);
    assert_eq!(code, 0, "{err}");
    fs::write(&path, "input = [\"ratings.csv\"]\noutput = \"runs\"\n").unwrap();
    assert_eq!(run(&["config", "show", "--config", file]).1, shown);
    // The order of precedence is flags, environment, file, defaults.
    let text =
        "input = [\"a.csv\"]\noutput = \"runs\"\nfactors = 16\nseed = 3\nkeep_within = \"7days\"\n";
    fs::write(&path, text).unwrap();
    let output = Command::new(PROGRAM)
        .args(["config", "show", "--config", file, "--origin", "--seed", "5"])
        .env("LACUNA_FACTORS", "32")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        let line =
            shown.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("factors"), "factors = 32 # LACUNA_FACTORS");
    assert_eq!(line("seed"), "seed = 5 # command line");
    assert_eq!(line("keep_within"), format!("keep_within = \"7days\" # {file}"));
    assert_eq!(line("test_ratio"), "test_ratio = 0.1 # default");
    // train accepts a file with keys that only run knows. Every command rejects unknown keys.
    fs::write(
        &path,
        format!(
            "keep_last = 3\ninput = [\"{}\"]\noutput = \"{}\"\n",
            sample(),
            dir.path().join("m").display()
        ),
    )
    .unwrap();
    let (code, _, err) = run(&["train", "--config", file, "-i", "1", "-k", "2"]);
    assert_eq!(code, 0, "{err}");
    fs::write(&path, "keep_lats = 3\n").unwrap();
    for command in [&["run"][..], &["train"], &["config", "show"], &["validate"]] {
        let (code, _, err) = run(&[command, &["--config", file]].concat());
        assert!(
            code == 2 && err.contains("unknown key \"keep_lats\"; did you mean \"keep_last\"?"),
            "{err}"
        );
    }
}
