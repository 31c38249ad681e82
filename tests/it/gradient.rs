//! Gradient methods from files to models.

use std::fs;

use tempfile::TempDir;

use crate::support::{json, run, sample};

#[test]
fn both_train_from_files() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let train = |name: &str, extra: &[&str]| {
        json(&[&["train", &sample(), "-o", &path(name), "-a"], extra].concat())
    };
    let sgd = train("a", &["sgd", "-k", "8"]);
    assert_eq!(sgd["iterations"], 20);
    let (own, bias) = (&sgd["holdout_rmse"], &sgd["baselines"]["bias_only"]["rmse"]);
    assert!(own.as_f64().unwrap() < bias.as_f64().unwrap() * 1.02, "{own} {bias}");
    train("b", &["sgd", "-k", "8", "--schedule", "decay", "--learning-rate", "0.02", "--refit"]);
    let gd = train("c", &["gd", "-k", "3", "-i", "50"]);
    assert_eq!(gd["iterations"], 50);
    let model = path("c");
    let item = fs::read_to_string(sample()).unwrap().lines().nth(1).unwrap().to_owned();
    let mut cells = item.split(',');
    let (user, item) = (cells.next().unwrap(), cells.next().unwrap());
    let (code, out, err) = run(&["predict", &model, "--user", user, "--item", item]);
    assert!(code == 0 && out.trim().parse::<f64>().is_ok(), "{out} {err}");
}

#[test]
fn divergence_and_foreign_settings_are_errors() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m").to_str().unwrap().to_owned();
    let base = ["train", &sample(), "-o", &model];
    let (code, _, err) = run(&[&base[..], &["-a", "gd", "--learning-rate", "90"]].concat());
    assert!(code == 6 && err.contains("--learning-rate"), "{err}");
    for (extra, part) in [
        (&["-a", "sgd", "--learning-rate", "0"][..], "above 0"),
        (&["-a", "gd", "-r", "0.1"], "--regularization needs"),
        (&["-a", "sgd", "--solver", "cg"], "--solver needs"),
        (&["--learning-rate", "0.1"], "--algorithm sgd or gd"),
        (&["-a", "gd", "--schedule", "decay"], "--schedule needs"),
    ] {
        let (code, _, err) = run(&[&base[..], extra].concat());
        assert!(code == 2 && err.contains(part), "{extra:?}: {err}");
    }
    assert!(!dir.path().join("m").exists());
}
