//! Snapshots of the texts that users see, the settings' checksums and the manifest's keys.
//!
//! They change on purpose only. `INSTA_UPDATE=always cargo test --release snapshots` rewrites them.
//! Review the difference before you commit it.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{lacuna, run, sample};

/// The commands that `lacuna --help` lists.
fn commands() -> Vec<String> {
    let (_, help, _) = run(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let name = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.lines().map(name).collect()
}

/// Replaces numbers, ids, checksums and times by 9: they depend on the machine and the time.
fn without_numbers(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = bare.chars().all(|c| c.is_ascii_digit() || "TZ".contains(c));
        let id = bare.len() >= 6 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let time = bare.len() == 16 && bare.ends_with('Z');
        match number || id || time {
            true if !bare.is_empty() => shown += &format!("9{}", &word[bare.len()..]),
            _ => shown += word,
        }
    }
    // Thousands separators.
    while shown.contains("9,9") {
        shown = shown.replace("9,9", "9");
    }
    shown
}

#[test]
fn help_of_every_command() {
    assert_snapshot!("help", run(&["--help"]).1);
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        for flag in ["-h", "--help"] {
            let output = lacuna().args([&*command, flag]).env("COLUMNS", "80").output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{command}");
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{command} {flag}: {line}");
            }
            let name =
                format!("help-{command}{}", flag.replace("--help", "-long").replace("-h", ""));
            assert_snapshot!(name, text);
        }
    }
}

#[test]
fn summaries() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let seen = |arguments: &[&str]| {
        let (code, out, err) = run(arguments);
        assert_eq!(code, 0, "{err}");
        // The lines in the log of a run depend on the machine.
        let err = if arguments[0] == "run" { "" } else { &err };
        let text = format!("{out}{err}").replace(dir.path().to_str().unwrap(), "DIR");
        // The speed of an iteration decides the unit in its line.
        let lines = text.lines().filter(|line| !line.starts_with("iteration "));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        without_numbers(&text.replace(&sample(), "sample.csv"))
    };
    let (model, runs) = (path("model"), path("runs"));
    for (name, arguments) in [
        ("train", &["train", &sample(), "-o", &model, "-i", "3"][..]),
        ("train-ials", &["train", &sample(), "-o", &path("i"), "-a", "ials", "-i", "3"]),
        ("inspect", &["inspect", &sample()]),
        ("evaluate", &["evaluate", &model]),
        ("run", &["run", &sample(), "-o", &runs, "-i", "3"]),
        ("runs-list", &["runs", "list", &runs]),
        ("runs-show", &["runs", "show", &runs]),
        ("verify", &["verify", &model]),
    ] {
        assert_snapshot!(format!("summary-{name}"), seen(arguments));
    }
}

#[test]
fn errors() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("bad.csv"), "user,item,rating\n1,2,3\n1,3,x\n").unwrap();
    fs::write(path("empty.csv"), "user,item,rating\n").unwrap();
    fs::create_dir(path("mine")).unwrap();
    fs::write(path("mine/letter.txt"), "dear reader").unwrap();
    let mut texts = String::new();
    for arguments in [
        &["train"][..],
        &["trian"],
        &["train", &path("nothing.csv"), "-o", &path("m")],
        &["train", &path("bad.csv"), "-o", &path("m")],
        &["train", &path("empty.csv"), "-o", &path("m")],
        &["train", &sample(), "-o", &path("mine"), "--force"],
        &["train", &sample(), "-o", &path("m"), "--factros", "3"],
        &["train", &sample(), "-o", &path("m"), "--test-ratio", "1"],
        &["train", &sample(), "-o", &path("m"), "-a", "bayes", "--regularization", "1"],
        &["recommend", &path("m"), "--user", "1"],
        &["export", &path("m"), "--format", "npz"],
        &["runs", "list", &path("m")],
    ] {
        let (code, out, err) = run(arguments);
        assert!(code == 2 || code == 3, "{code} {arguments:?}");
        assert!(out.is_empty(), "{out}");
        let shown = format!("lacuna {}\n{err}exit code {code}\n\n", arguments.join(" "));
        texts +=
            &shown.replace(dir.path().to_str().unwrap(), "DIR").replace(&sample(), "sample.csv");
    }
    assert_snapshot!("errors", texts);
}

/// A run compares the checksum of its settings to decide whether it has anything new to do.
///
/// The checksum may change only when the meaning of a setting changes. The test also pins the keys
/// of the manifest.
#[test]
fn settings_keep_their_checksums_and_manifests_their_keys() {
    let dir = TempDir::new().unwrap();
    let gibbs = ["--inference", "gibbs", "--burn-in", "1", "--samples", "2"];
    let mut checksums = String::new();
    for (name, more) in [
        ("default", &[][..]),
        ("als", &["-a", "als"]),
        ("ials", &["-a", "ials"]),
        ("bayes", &["-a", "bayes"]),
        ("gibbs", &gibbs),
        ("sgd", &["-a", "sgd"]),
        ("gd", &["-a", "gd"]),
    ] {
        let runs = dir.path().join(name);
        let few = ["run", &sample(), "-o", runs.to_str().unwrap(), "--allow-gate-failure"];
        let short = ["-i", "2"];
        let short = if name == "gibbs" { &[][..] } else { &short };
        let (code, _, err) = run(&[&few[..], more, short].concat());
        assert_eq!(code, 0, "{name}: {err}");
        let manifest = fs::read(runs.join("latest/manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let mut config = manifest["config"].clone();
        for key in ["input", "output"] {
            config[key] = "...".into();
        }
        let config = serde_json::to_string_pretty(&config).unwrap();
        checksums += &format!("{name} {}\n{config}\n", manifest["config_sha256"].as_str().unwrap());
        if name == "als" || name == "bayes" {
            let mut keys = Vec::new();
            schema(&manifest, "", &mut keys);
            assert_snapshot!(format!("manifest-{name}"), keys.join("\n"));
        }
    }
    assert_snapshot!("config-sha256", checksums);
}

/// Lists the keys below a value with the types of their values. A list counts by its first element.
fn schema(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                schema(value, &format!("{at}.{key}"), found);
            }
        }
        Value::Array(values) => match values.first() {
            Some(first) => schema(first, &format!("{at}[]"), found),
            None => found.push(format!("{at}: empty list")),
        },
        Value::Null => found.push(format!("{at}: null")),
        Value::Bool(_) => found.push(format!("{at}: bool")),
        Value::Number(_) => found.push(format!("{at}: number")),
        Value::String(_) => found.push(format!("{at}: text")),
    }
}
