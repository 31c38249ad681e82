//! The command line: settings in layers, help, output, signals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{PROGRAM, json, lacuna, run, sample};

#[test]
fn help_has_examples() {
    for command in ["train", "inspect", "predict", "reconstruct", "generate", "completions"] {
        let text = run(&[command, "--help"]).1;
        assert!(text.contains("Example"), "{text}");
    }
    let (code, out, _) = run(&["--help"]);
    assert!(code == 0 && out.contains("Exit codes"));
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out), (0, format!("lacuna {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn typing_mistakes_get_a_suggestion() {
    let (code, out, err) = run(&["trian"]);
    assert!(code == 2 && out.is_empty() && err.contains("train"), "{err}");
    let (code, _, err) = run(&["train", "x.csv", "--factros", "3"]);
    assert!(code == 2 && err.contains("--factors"), "{err}");
    for (flag, value, expected) in [
        ("--factors", "-1", "a whole number from 0 to 4096"),
        ("--factors", "1.5", "a whole number from 0 to 4096"),
        ("--iterations", "0", "a whole number of at least 1"),
        ("--regularization", "-1", "a number of at least 0"),
        ("--regularization", "nan", "a number of at least 0"),
        ("--test-ratio", "1", "a number between 0 and 1"),
        ("--reg-exponent", "3", "a number from 0 to 2"),
        ("--since", "yesterday", "is not a date"),
        ("--threads", "100000", "a whole number from 1 to 1024"),
    ] {
        let (code, _, err) = run(&["train", "x.csv", "-o", "m", &format!("{flag}={value}")]);
        assert!(code == 2 && err.contains(expected), "{flag}: {err}");
    }
}

/// Trains and returns the rank and the seed in the manifest.
fn trained(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> (u64, u64) {
    let model = dir.path().join("m");
    let output = lacuna()
        .args(["train", "--json", "--quiet", "--force", "-i", "1"])
        .args(args)
        .envs(env.iter().copied())
        .env("LACUNA_OUTPUT", &model)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(model.join("manifest.json")).unwrap()).unwrap();
    (manifest["model"]["k"].as_u64().unwrap(), manifest["seed"].as_u64().unwrap())
}

#[test]
fn flags_go_before_environment_before_file_before_defaults() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("train.toml");
    fs::write(
        &file,
        format!("input = [\"{}\"]\nfactors = 3\nseed = 7\nno_header = false\n", sample()),
    )
    .unwrap();
    let config = ["--config", file.to_str().unwrap()];
    assert_eq!(trained(&dir, &[&sample()], &[]), (32, 42));
    assert_eq!(trained(&dir, &config, &[]), (3, 7));
    assert_eq!(trained(&dir, &config, &[("LACUNA_FACTORS", "4")]), (4, 7));
    assert_eq!(
        trained(&dir, &[&config[..], &["-k", "5"]].concat(), &[("LACUNA_FACTORS", "4")]),
        (5, 7)
    );
    let by_variable = [("LACUNA_CONFIG", file.to_str().unwrap()), ("LACUNA_SEED", "9")];
    assert_eq!(trained(&dir, &[], &by_variable), (3, 9));
}

#[test]
fn configuration_mistakes_are_located() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("c.toml");
    for (text, message) in [
        ("factor = 3", "unknown key \"factor\"; did you mean \"factors\"?"),
        ("holdout-salt = \"x\"", "unknown key \"holdout-salt\"; did you mean \"holdout_salt\"?"),
        ("factors = -3", "a whole number from 0 to 4096"),
        ("holdout = \"hsh\"", "invalid value 'hsh'"),
        ("refit = 3", "key \"refit\" needs true or false"),
        ("factors = [1]", "key \"factors\": array is not allowed here"),
        ("factors = ", "line 1, column 11: string values must be quoted"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, _, err) = run(&["train", "--config", file.to_str().unwrap()]);
        assert!(code == 2 && err.contains("c.toml: ") && err.contains(message), "{text}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let (code, _, err) = run(&["train", "--config", "nowhere.toml"]);
    assert!(code == 2 && err.contains("nowhere.toml: cannot read the configuration"), "{err}");
    let output = lacuna().args(["train", "x"]).env("LACUNA_FACTRS", "3").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && err.contains("did you mean \"LACUNA_FACTORS\"?"),
        "{err}"
    );
    let output = lacuna().args(["train", "x"]).env("LACUNA_FACTORS", "many").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && err.contains("environment variable LACUNA_FACTORS: "),
        "{err}"
    );
}

#[test]
fn the_summary_is_short_and_narrow() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let (code, out, err) =
        run(&["train", &sample(), "-o", model.to_str().unwrap(), "-k", "2", "-i", "2"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().count() <= 15, "{out}");
    for line in out.lines().filter(|l| !l.starts_with("wrote")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(
        out.contains("bias-only") && out.contains("global mean") && out.contains("bayes k=2"),
        "{out}"
    );
    assert!(err.contains("iteration 2/2: objective"), "{err}");
    let (_, out, err) = run(&[
        "train",
        &sample(),
        "-o",
        model.to_str().unwrap(),
        "--force",
        "-k",
        "2",
        "-i",
        "1",
        "-q",
    ]);
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
}

#[test]
fn inspect_describes_the_sample() {
    let found = json(&["inspect", &sample()]);
    assert_eq!(
        (&found["users"], &found["items"], &found["ratings"]),
        (&1000.into(), &500.into(), &100_000.into())
    );
    assert_eq!(found["histogram"].as_array().unwrap().len(), 10);
    assert!(found["cost"]["seconds_per_iteration"].as_f64().unwrap() >= 0.0);
    let (code, out, _) = run(&["inspect", &sample()]);
    assert_eq!(code, 0);
    assert!(out.lines().all(|l| l.chars().count() <= 80 || l.contains('/')), "{out}");
}

#[test]
fn generated_ratings_are_the_same_for_any_number_of_threads() {
    let dir = TempDir::new().unwrap();
    let make = |name: &str, threads: &str| {
        let path = dir.path().join(name);
        let (code, _, err) = run(&[
            "generate",
            path.to_str().unwrap(),
            "--users",
            "700",
            "--items",
            "60",
            "--ratings",
            "9000",
            "-j",
            threads,
        ]);
        assert_eq!(code, 0, "{err}");
        path
    };
    let (one, three) = (make("1.csv", "1"), make("3.csv", "3"));
    assert_eq!(fs::read(&one).unwrap(), fs::read(three).unwrap());
    let parquet = make("p.parquet", "2");
    let count =
        |path: &std::path::Path| json(&["inspect", path.to_str().unwrap()])["ratings"].clone();
    assert_eq!((count(&one), count(&parquet)), (9000.into(), 9000.into()));
    let (code, _, err) = run(&["generate", one.to_str().unwrap()]);
    assert!(code == 2 && err.contains("exists"), "{err}");
    let (code, _, err) = run(&[
        "generate",
        dir.path().join("x.csv").to_str().unwrap(),
        "--users",
        "9",
        "--ratings",
        "5",
    ]);
    assert!(code == 2 && err.contains("do not fit"), "{err}");
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell]);
        assert!(code == 0 && out.contains("lacuna") && out.contains("factors"));
    }
}

#[test]
fn signals_end_cleanly_and_leave_nothing() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let dir = TempDir::new().unwrap();
        let model = dir.path().join("m");
        let mut child = Command::new(PROGRAM)
            .args([
                "train",
                &sample(),
                "-o",
                model.to_str().unwrap(),
                "-k",
                "512",
                "-i",
                "10000",
                "--tol",
                "0",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Once the program has begun to fit, it must stop cleanly. The training itself would take
        // hours.
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("iteration")));
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files were left behind");
    }
}

#[test]
fn what_is_not_ours_is_never_replaced() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let (code, _, err) = run(&["generate", &path("pipe"), "--force"]);
    assert!(code == 2 && err.contains("is not a regular file, so it is not replaced"), "{err}");
    // A foreign file in the model directory prevents its replacement.
    let model = path("m");
    let train = || run(&["train", &sample(), "-o", &model, "-k", "1", "-i", "1", "-q", "--force"]);
    assert_eq!(train().0, 0);
    assert_eq!(train().0, 0);
    fs::write(dir.path().join("m/predictions.csv"), "mine").unwrap();
    let (code, _, err) = train();
    assert!(
        code == 2 && err.contains("holds something that is not lacuna's (predictions.csv)"),
        "{err}"
    );
    fs::rename(&model, path("real")).unwrap();
    std::os::unix::fs::symlink(path("real"), &model).unwrap();
    let (code, _, err) = train();
    assert!(code == 2 && err.contains("is a symbolic link"), "{err}");
}

#[test]
fn a_closed_reader_does_not_stop_the_work() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let mut train = Command::new(PROGRAM);
    train.args(["train", &sample(), "-o", model.to_str().unwrap(), "-k", "1", "-i", "3"]);
    let mut child = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The readers end before the training does.
    drop(child.stdout.take());
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty() && child.wait().unwrap().success(), "{line}");
    assert!(model.join("manifest.json").exists());
    let pairs = dir.path().join("p.csv");
    let lines: String = (0..200_000)
        .map(|n| [n % 999 + 1, n % 499 + 1].map(|v| v.to_string()).join(",") + "\n")
        .collect();
    fs::write(&pairs, format!("user_id,item_id\n{lines}\n")).unwrap();
    let script = format!(
        "{{ {} predict {} --pairs {}; echo $? >&2; }} | head -1",
        PROGRAM,
        model.display(),
        pairs.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err.trim(), "0");
}

#[test]
fn a_higher_layer_hides_what_belongs_to_it_below() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("c.toml");
    fs::write(
        &file,
        "holdout = \"time\"\nsplit_time = \"2015-01-01\"\nrefit = true\nverbose = true\n",
    )
    .unwrap();
    let config = ["--config", file.to_str().unwrap(), "-k", "2"];
    let data = sample();
    trained(&dir, &[&config[..], &[&data, "--holdout", "hash"]].concat(), &[]);
    let manifest = |name: &str| -> serde_json::Value {
        let text = fs::read(dir.path().join("m").join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(manifest("manifest.json")["split"]["method"], "hash");
    assert_eq!(manifest("manifest.json")["model"]["refit"], true);
    trained(&dir, &[&config[..], &[&data]].concat(), &[("LACUNA_REFIT", "false")]);
    assert_eq!(manifest("manifest.json")["split"]["method"], "time");
    assert_eq!(manifest("manifest.json")["model"]["refit"], false);
}

#[cfg(not(feature = "cloud"))]
#[test]
fn object_stores_that_were_not_built_in_are_named() {
    for arguments in [
        &["train", "s3://bucket/ratings.csv", "-o", "model"][..],
        &["run", "ratings.csv", "-o", "gs://bucket/models"],
        &["recommend", "az://container/models", "--user", "1"],
        &["runs", "list", "s3://bucket/models"],
    ] {
        let (code, _, err) = run(arguments);
        assert!(code == 2 && err.contains("--features cloud"), "{arguments:?}: {code} {err}");
    }
    assert!(!std::path::Path::new("s3:").exists() && !std::path::Path::new("gs:").exists());
}

#[test]
fn what_is_written_is_on_this_machine() {
    for arguments in [
        &["train", "ratings.csv", "-o", "s3://bucket/model"][..],
        &["generate", "s3://bucket/ratings.csv"],
        &["recommend", "model", "-o", "s3://bucket/lists.parquet"],
        &["fold-in", "model", "new.csv", "-o", "https://host/model"],
    ] {
        let (code, _, err) = run(arguments);
        assert!(code == 2 && err.contains("is a file or directory of this machine"), "{err}");
    }
}
