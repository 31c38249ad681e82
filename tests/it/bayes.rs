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
    // The last iterations of the curve are errors of the running mean.
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

    // Nothing is known of an unknown item.
    assert_eq!(lines.next().unwrap().split(',').nth(3), Some(""));

    // A sample that was changed is noticed.
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
fn what_makes_no_sense_is_refused() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m").to_str().unwrap().to_owned();
    for (extra, part) in [
        (&["--samples", "0"][..], "at least 1"),
        (&["--burn-in", "-1"], "at least 0"),
        (&["--samples", "3", "--keep-samples", "4"], "--samples"),
        (&["--keep-samples", "1"], "2 or more"),
        (&["--burn-in", "4294967295"], "too many"),
        (&["-r", "0.1"], "--regularization goes with"),
        (&["-k", "0"], "at least 1"),
        (&["--patience", "3"], "--patience goes with"),
    ] {
        let base = ["train", &sample(), "-o", &model, "-a", "bayes"];
        let (code, _, err) = run(&[&base[..], extra].concat());
        assert!(code == 2 && err.contains(part), "{extra:?}: {err}");
    }
    json(&["train", &sample(), "-o", &model, "-k", "2", "-i", "1"]);
    let (code, _, err) = run(&["predict", &model, "--user", "1", "--item", "1", "--interval"]);
    assert!(code == 2 && err.contains("--keep-samples"), "{err}");
}
