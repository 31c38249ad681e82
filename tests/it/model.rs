//! Models on disk: their contents, their uses and the detection of damage.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, lacuna, run, sample};

fn train(model: &Path, extra: &[&str]) -> Value {
    json(
        &[&["train", &sample(), "-o", model.to_str().unwrap(), "-k", "6", "-i", "3"], extra]
            .concat(),
    )
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn threads_change_nothing_in_the_files() {
    let dir = TempDir::new().unwrap();
    let files = |threads: &str| {
        let model = dir.path().join(format!("m{threads}"));
        let done = lacuna()
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .args([
                "train",
                &sample(),
                "-o",
                model.to_str().unwrap(),
                "-k",
                "9",
                "-i",
                "3",
                "-j",
                threads,
                "-q",
            ])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        ["user_factors.parquet", "item_factors.parquet", "metrics.json"].map(|f| {
            let bytes = fs::read(model.join(f)).unwrap();
            if f != "metrics.json" {
                return bytes;
            }
            // The metrics contain seconds. Everything else must agree.
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            for point in value["curve"].as_array_mut().unwrap() {
                point.as_object_mut().unwrap().remove("seconds");
            }
            value.to_string().into_bytes()
        })
    };
    let one = files("1");
    for threads in ["2", "3", "8"] {
        assert!(files(threads) == one, "{threads} threads");
    }
}

#[test]
fn the_manifest_says_what_was_done() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let line = train(&model, &[]);
    let manifest = read(&model.join("manifest.json"));
    assert_eq!(manifest["format_version"], 1);
    assert_eq!(manifest["data"]["n_ratings"], 100_000);
    assert_eq!(manifest["split"]["method"], "hash");
    assert_eq!(manifest["split"]["hash"], "sha256-splitmix64");
    let part = |name: &str| manifest["split"][name].as_u64().unwrap();
    assert_eq!(part("n_train") + part("n_holdout"), 100_000);
    assert_eq!(manifest["model"]["k"], 6);
    let product = manifest["model"]["lambda"].as_f64().unwrap()
        * manifest["model"]["scale"].as_f64().unwrap();
    assert!((manifest["model"]["lambda_raw"].as_f64().unwrap() - product).abs() < 1e-12);
    assert_eq!(manifest["metrics"]["holdout_rmse"], line["holdout_rmse"]);
    assert_eq!(manifest["metrics"], read(&model.join("metrics.json")));
    let bytes = fs::read(sample()).unwrap();
    let sha = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    assert_eq!(manifest["inputs"][0]["sha256"], lacuna::load::hex(&sha));
    for output in manifest["outputs"].as_array().unwrap() {
        let path = model.join(output["path"].as_str().unwrap());
        assert_eq!(output["bytes"], fs::metadata(path).unwrap().len());
    }
    // The same inputs and settings give the same version. Another λ gives another version.
    let again = train(&dir.path().join("again"), &["-j", "1"]);
    assert_eq!(again["model_version"], line["model_version"]);
    let other = train(&dir.path().join("other"), &["-r", "0.2"]);
    assert_ne!(other["model_version"], line["model_version"]);
}

#[test]
fn refit_uses_all_ratings_and_keeps_what_was_measured() {
    let dir = TempDir::new().unwrap();
    let plain = train(&dir.path().join("plain"), &["--tol", "0"]);
    let model = dir.path().join("refit");
    let line = train(&model, &["--tol", "0", "--refit"]);
    assert_eq!(line["holdout_rmse"], plain["holdout_rmse"]);
    let manifest = read(&model.join("manifest.json"));
    assert_eq!(manifest["model"]["refit"], true);
    let names: Vec<&str> = manifest["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["path"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"train_user_factors.parquet")
            && names.contains(&"train_item_factors.parquet")
    );
    // Without a holdout there is nothing to refit.
    train(&dir.path().join("none"), &["--holdout", "none", "--refit"]);
    assert_eq!(read(&dir.path().join("none/manifest.json"))["model"]["refit"], false);
}

#[test]
fn patience_keeps_the_best_iteration_of_the_validation_part() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    // With so little regularisation, the fit overfits after a few iterations.
    train(&model, &["-r", "0.001", "-i", "30", "--tol", "0", "--patience", "2"]);
    let metrics = read(&model.join("metrics.json"));
    let curve = metrics["curve"].as_array().unwrap();
    let rmse = |p: &Value| p["validation"].as_f64().unwrap();
    let best = curve.iter().min_by(|a, b| rmse(a).total_cmp(&rmse(b))).unwrap();
    assert_eq!(metrics["iteration"], best["iteration"]);
    assert_eq!(metrics["holdout_rmse"], best["holdout_rmse"]);
    assert_eq!(curve.len() as u64, best["iteration"].as_u64().unwrap() + 2);
    assert!(curve.len() < 30);
    let split = &read(&model.join("manifest.json"))["split"];
    let validation = split["n_validation"].as_u64().unwrap();
    assert!((8500..9500).contains(&validation), "{validation}");
}

#[test]
fn the_other_splits_work_from_the_command_line() {
    let dir = TempDir::new().unwrap();
    let split = |name: &str, extra: &[&str]| {
        train(&dir.path().join(name), extra);
        read(&dir.path().join(name).join("manifest.json"))["split"].clone()
    };
    assert_eq!(split("random", &["--holdout", "random"])["n_holdout"], 10_000);
    let last = split("last", &["--holdout", "last", "--leave-out", "1"]);
    assert_eq!(last["n_holdout"], 1000);
    let time = split("time", &["--holdout", "time", "--split-time", "2015-01-01"]);
    assert!(time["n_holdout"].as_u64().unwrap() > 1000 && time["at"] == 1_420_070_400);
    assert_eq!(split("none", &["--holdout", "none"])["n_holdout"], 0);
    let test = dir.path().join("test.csv");
    fs::write(&test, "userId,movieId,rating\n1,500,3\n1,3,2\n5000,1,4\n").unwrap();
    let file = split("file", &["--test-file", test.to_str().unwrap()]);
    assert_eq!((&file["n_holdout"], &file["n_holdout_cold"]), (&3.into(), &1.into()));
    assert_eq!((&file["n_train"], &file["removed_from_training"]), (&99_998.into(), &2.into()));
}

#[test]
fn predictions_fall_back_and_are_flagged() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    train(&model, &[]);
    let m = model.to_str().unwrap();
    let mean = read(&model.join("manifest.json"))["model"]["global_mean"].as_f64().unwrap();
    let known = json(&["predict", m, "--user", "1", "--item", "1"]);
    assert_eq!((&known["known_user"], &known["known_item"]), (&true.into(), &true.into()));
    let neither = json(&["predict", m, "--user", "x", "--item", "99999"]);
    assert_eq!((&neither["known_user"], &neither["known_item"]), (&false.into(), &false.into()));
    assert_eq!(neither["prediction"], mean);
    let (code, _, err) = run(&["predict", m, "--user", "1", "--item", "99999"]);
    assert!(code == 0 && err.contains("unknown item \"99999\""), "{err}");
    let pairs = dir.path().join("pairs.csv");
    fs::write(&pairs, "n,item_id,user_id\na,1,1\nb,99999,1\nc,2,x\n").unwrap();
    let (code, out, err) = run(&["predict", m, "--pairs", pairs.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "user_id,item_id,prediction,known_user,known_item");
    assert!(lines[1].starts_with("1,1,") && lines[1].ends_with(",true,true"), "{out}");
    assert!(lines[2].ends_with(",true,false") && lines[3].ends_with(",false,true"), "{out}");
    let single: f64 = lines[1].split(',').nth(2).unwrap().parse().unwrap();
    assert!((single - known["prediction"].as_f64().unwrap()).abs() < 1e-9);
}

#[test]
fn the_worked_example_is_reconstructed() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let data = format!("{}/datasets/worked-example.csv", env!("CARGO_MANIFEST_DIR"));
    let m = model.to_str().unwrap();
    json(&[
        "train",
        &data,
        "-o",
        m,
        "-k",
        "2",
        "--holdout",
        "none",
        "-r",
        "0.001",
        "--bias-reg",
        "0.001",
        "-i",
        "200",
        "--tol",
        "0",
    ]);
    let matrix = json_line(&run(&["reconstruct", m, "--json"]).1);
    let want = [[5.0, 3.0, f64::NAN], [4.0, f64::NAN, 1.0], [f64::NAN, 2.0, 5.0]];
    for (row, want) in matrix["ratings"].as_array().unwrap().iter().zip(want) {
        for (cell, want) in row.as_array().unwrap().iter().zip(want) {
            let cell = cell.as_f64().unwrap();
            assert!(want.is_nan() || (cell - want).abs() < 0.05, "{cell} {want}");
        }
    }
    let (code, out, _) = run(&["reconstruct", m]);
    assert_eq!((code, out.lines().count()), (0, 4));
    let large = dir.path().join("large");
    train(&large, &[]);
    let (code, _, err) = run(&["reconstruct", large.to_str().unwrap()]);
    assert!(code == 2 && err.contains("too many to print"), "{err}");
}

fn json_line(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn damaged_models_are_refused() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    train(&model, &[]);
    let predict = || {
        let (code, _, err) =
            run(&["predict", model.to_str().unwrap(), "--user", "1", "--item", "1"]);
        (code, err)
    };
    assert_eq!(predict().0, 0);
    let factors = model.join("item_factors.parquet");
    let good = fs::read(&factors).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&factors, bad).unwrap();
    let (code, err) = predict();
    assert!(code == 3 && err.contains("its checksum differs"), "{err}");
    fs::remove_file(&factors).unwrap();
    let (code, err) = predict();
    assert!(code == 3 && err.contains("the model is incomplete"), "{err}");
    fs::write(&factors, good).unwrap();
    let manifest = model.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"format_version\": 1", "\"format_version\": 9")).unwrap();
    let (code, err) = predict();
    assert!(code == 3 && err.contains("format version 9 is newer"), "{err}");
    fs::write(&manifest, "{").unwrap();
    assert_eq!(predict().0, 3);
    let (code, _, err) = run(&["predict", "no-such-model", "--user", "1", "--item", "1"]);
    assert!(code == 3 && err.contains("no such model directory"), "{err}");
}

/// At default settings, factors reduce the RMSE of biases alone at the same λ by more than 2 %.
#[test]
fn factors_beat_biases_on_movielens() {
    let Some(path) = crate::support::movielens() else { return };
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let line = json(&["train", path.to_str().unwrap(), "-o", model.to_str().unwrap()]);
    let (own, biases) = (&line["holdout_rmse"], &line["baselines"]["bias_only"]["rmse"]);
    let ratio = own.as_f64().unwrap() / biases.as_f64().unwrap();
    assert!(ratio < 0.98, "{ratio}");
}

#[test]
fn weights_count_and_rows_of_weight_zero_are_left_out() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("w.csv");
    // User 1's second rating has weight 0. User 2's first rating has weight 3.
    fs::write(&file, "user,item,rating,w\n1,1,2,1\n1,2,5,0\n2,1,4,3\n2,3,4,1\n").unwrap();
    let model = dir.path().join("m");
    let line = json(&[
        "train",
        file.to_str().unwrap(),
        "-o",
        model.to_str().unwrap(),
        "--weight-col",
        "w",
        "--holdout",
        "none",
        "-k",
        "1",
    ]);
    assert_eq!((&line["n_ratings"], &line["n_items"]), (&3.into(), &2.into()));
    let manifest = read(&model.join("manifest.json"));
    assert_eq!(manifest["data"]["zero_weight"], 1);
    let mean = (2.0 + 3.0 * 4.0 + 4.0) / 5.0;
    assert!((manifest["model"]["global_mean"].as_f64().unwrap() - mean).abs() < 1e-6);
    // The mean number of ratings per user counts ratings, not weights.
    assert_eq!(manifest["model"]["mean_user_ratings"], 1.5);
}

#[test]
fn an_empty_holdout_gives_null_metrics_and_a_warning() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("r.csv");
    fs::write(&file, "user,item,rating\n1,1,2\n1,2,5\n2,1,4\n").unwrap();
    let model = dir.path().join("m");
    let args =
        ["train", file.to_str().unwrap(), "-o", model.to_str().unwrap(), "--test-ratio", "0.0001"];
    let (code, out, err) = run(&args);
    assert_eq!(code, 0);
    assert!(err.contains("warning: the holdout is empty: its metrics are null"), "{err}");
    assert!(out.contains("bayes k=16"), "{out}");
    let metrics = read(&model.join("metrics.json"));
    assert!(
        metrics["holdout_rmse"].is_null() && metrics["baselines"]["bias_only"]["rmse"].is_null()
    );
    assert!(metrics["train_rmse"].is_number());
}

#[test]
fn odd_but_valid_data_trains_without_a_wrong_number() {
    let dir = TempDir::new().unwrap();
    let cases = [
        ("one rating", "user,item,rating\n1,1,2\n"),
        ("one user", "user,item,rating\n1,1,2\n1,2,5\n1,3,4\n"),
        ("all equal", "user,item,rating\n1,1,3\n1,2,3\n2,1,3\n"),
        ("negative and zero", "user,item,rating\n1,1,-3\n1,2,0\n2,1,0\n2,2,1e-3\n"),
        ("huge", "user,item,rating\n1,1,1e30\n1,2,-1e30\n2,1,1e20\n2,2,5\n"),
    ];
    for (name, text) in cases {
        for extra in [
            &[][..],
            &["--no-mean"],
            &["--no-biases"],
            &["-k", "0"],
            &["-r", "0", "--bias-reg", "0"],
        ] {
            let file = dir.path().join("r.csv");
            fs::write(&file, text).unwrap();
            let model = dir.path().join("m");
            let base = [
                "train",
                file.to_str().unwrap(),
                "-o",
                model.to_str().unwrap(),
                "--force",
                "--holdout",
                "none",
            ];
            let (code, _, err) = run(&[&base[..], &["-k", "3"], extra].concat());
            // Squares of 1e30 overflow single precision. Without regularisation, a row with fewer
            // ratings than unknowns has no unique solution.
            let hard = extra.contains(&"0") || (name == "huge" && extra.contains(&"--no-mean"));
            assert!(code == 0 || (code == 6 && hard), "{name} {extra:?}: {err}");
            if code == 0 {
                let rmse = &read(&model.join("metrics.json"))["train_rmse"];
                assert!(rmse.as_f64().is_some_and(f64::is_finite), "{name} {extra:?}: {rmse}");
            }
        }
    }
}

#[test]
fn a_row_without_a_solution_is_named_by_its_id() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("r.csv");
    fs::write(&file, "user,item,rating\nanna,1,2\nanna,2,5\nbert,1,4\n").unwrap();
    let model = dir.path().join("m");
    let args = [
        "train",
        file.to_str().unwrap(),
        "-o",
        model.to_str().unwrap(),
        "-r",
        "0",
        "--holdout",
        "none",
    ];
    let (code, _, err) = run(&args);
    assert!(code == 6 && err.contains("numeric failure at user \"anna\""), "{err}");
    assert!(!model.exists());
}
