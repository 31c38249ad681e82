//! Bayesian models from files to predictions.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, run, sample};

#[test]
fn samples_give_deviations() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (model, pairs, out) = (path("m"), path("pairs.csv"), path("out.csv"));
    let base = ["train", &sample(), "-o", &model, "-a", "bayes", "-k", "4", "--burn-in", "5"];
    let report = json(&[&base[..], &["--samples", "12", "--keep-samples", "4"]].concat());
    assert_eq!(report["iterations"], 17);
    let manifest: Value =
        serde_json::from_slice(&fs::read(format!("{model}/manifest.json")).unwrap()).unwrap();
    let posterior = &manifest["metrics"]["posterior"];
    assert_eq!(
        (&posterior["samples"], &manifest["model"]["kept_samples"]),
        (&12.into(), &4.into())
    );
    let shares = [&posterior["coverage"]["half"], &posterior["coverage"]["nine_tenths"]];
    let [half, most] = shares.map(|share| share.as_f64().unwrap());
    assert!(half > 0.2 && half < most && most <= 1.0, "{half} {most}");
    assert!(manifest["model"]["noise"].as_f64().unwrap() > 0.0);
    // The last iterations of the curve measure the running mean of the samples.
    let curve = manifest["metrics"]["curve"].as_array().unwrap();
    assert_eq!(curve[16]["holdout_rmse"], posterior["holdout_rmse"]);

    let first = fs::read_to_string(sample()).unwrap().lines().nth(1).unwrap().to_owned();
    let mut cells = first.split(',');
    let (user, item) = (cells.next().unwrap(), cells.next().unwrap());
    let one = json(&["predict", &model, "--user", user, "--item", item, "--interval"]);
    let deviation = one["deviation"].as_f64().unwrap();
    assert!(deviation >= manifest["model"]["noise"].as_f64().unwrap());
    let (code, shown, _) = run(&["predict", &model, "--user", user, "--item", item, "--interval"]);
    assert!(code == 0 && shown.contains(" ± "), "{shown}");
    fs::write(&pairs, format!("user_id,item_id\n{user},{item}\n{user},-9\n")).unwrap();
    let (code, _, err) = run(&["predict", &model, "--pairs", &pairs, "-o", &out, "--interval"]);
    assert_eq!(code, 0, "{err}");
    let table = fs::read_to_string(&out).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next().unwrap(), "user_id,item_id,prediction,deviation,known_user,known_item");
    let known: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert!((known[3].parse::<f64>().unwrap() - deviation).abs() < 1e-9);

    // An unknown item has no deviation.
    assert_eq!(lines.next().unwrap().split(',').nth(3), Some(""));

    // A changed sample is detected.
    let file = format!("{model}/sample_002_user_factors.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, _, err) = run(&["predict", &model, "--user", user, "--item", item, "--interval"]);
    assert!(code == 3 && err.contains("sample_002_user_factors.parquet"), "{err}");
    assert_eq!(run(&["predict", &model, "--user", user, "--item", item]).0, 0);
}

#[test]
fn invalid_settings_are_rejected() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m").to_str().unwrap().to_owned();
    for (extra, part) in [
        (&["--samples", "0"][..], "at least 1"),
        (&["--burn-in", "-1"], "at least 0"),
        (&["--samples", "3", "--keep-samples", "4"], "--samples"),
        (&["--keep-samples", "1"], "2 or more"),
        (&["--burn-in", "4294967295"], "too many"),
        (&["-r", "0.1"], "--regularization needs"),
        (&["-k", "0"], "als or sgd"),
        (&["--patience", "3"], "--patience needs"),
    ] {
        let base = ["train", &sample(), "-o", &model, "-a", "bayes"];
        let (code, _, err) = run(&[&base[..], extra].concat());
        assert!(code == 2 && err.contains(part), "{extra:?}: {err}");
    }
    json(&["train", &sample(), "-o", &model, "-a", "als", "-k", "2", "-i", "1"]);
    let (code, _, err) = run(&["predict", &model, "--user", "1", "--item", "1", "--interval"]);
    assert!(code == 2 && err.contains("train it with -a bayes"), "{err}");
}

#[test]
fn variational_inference_publishes_its_means_and_keeps_samples() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let m = model.to_str().unwrap();
    // Variational inference is the default unless samples are requested.
    let flags = ["-a", "bayes", "-k", "6", "-i", "8", "--keep-samples", "15"];
    let line = json(&[&["train", &sample(), "-o", m], &flags[..]].concat());
    let gibbs = dir.path().join("g");
    let g = gibbs.to_str().unwrap();
    let short = ["-a", "bayes", "-k", "6", "--burn-in", "20", "--samples", "40"];
    let sampled = json(&[&["train", &sample(), "-o", g], &short[..]].concat());
    let rmse = |line: &Value| line["holdout_rmse"].as_f64().unwrap();
    // Both approximate the same model.
    assert!((rmse(&line) / rmse(&sampled) - 1.0).abs() < 0.01, "{line} {sampled}");
    assert_eq!(line["iterations"], 8);
    let metrics: Value =
        serde_json::from_slice(&std::fs::read(model.join("metrics.json")).unwrap()).unwrap();
    let coverage = &metrics["posterior"]["coverage"];
    assert!((coverage["half"].as_f64().unwrap() - 0.5).abs() < 0.08, "{coverage}");
    assert!((coverage["nine_tenths"].as_f64().unwrap() - 0.9).abs() < 0.05, "{coverage}");
    assert!(metrics["posterior"]["holdout_rmse"].is_null());
    let found = json(&["predict", m, "--user", "1", "--item", "3", "--interval"]);
    let deviation = found["deviation"].as_f64().unwrap();
    assert!(deviation > metrics["posterior"]["noise"].as_f64().unwrap() && deviation < 3.0);
    for (extra, part) in [
        (&["--inference", "vb", "--samples", "5"][..], "--inference gibbs"),
        (&["--inference", "vb", "--burn-in", "5"], "--inference gibbs"),
        (&["--iterations", "5", "--samples", "5"], "--inference vb"),
        (&["--inference", "map"], "possible values"),
    ] {
        let (code, _, err) =
            run(&[&["train", &sample(), "-o", "x", "-a", "bayes"], extra].concat());
        assert!(code == 2 && err.contains(part), "{extra:?}: {err}");
    }
}
