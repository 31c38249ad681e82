//! Implicit feedback from files to models.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, run, sample};

fn manifest(model: &str) -> Value {
    serde_json::from_slice(&fs::read(format!("{model}/manifest.json")).unwrap()).unwrap()
}

#[test]
fn events_without_ratings_are_counted() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (events, counts) = (path("events.csv"), path("counts.csv"));
    let (mut e, mut c) =
        (String::from("user_id,item_id\n"), String::from("user_id,item_id,plays\n"));
    for user in 0..30 {
        for item in (0..20).filter(|item| (user * 7 + item * 3) % 5 < 2) {
            let times = (user + item) % 3;
            (0..times).for_each(|_| e.push_str(&format!("{user},{item}\n")));
            c.push_str(&format!("{user},{item},{times}\n"));
        }
    }
    fs::write(&events, e).unwrap();
    fs::write(&counts, c).unwrap();
    let train = |input: &str, model: &str| {
        json(&[
            "train",
            input,
            "-o",
            model,
            "-a",
            "ials",
            "-k",
            "4",
            "-i",
            "3",
            "--confidence",
            "log",
        ])
    };
    let (a, b) = (path("a"), path("b"));
    let (report, other) = (train(&events, &a), train(&counts, &b));
    assert_eq!(report["n_ratings"], other["n_ratings"]);
    assert!(report["holdout_rmse"].is_null() && report["train_rmse"].is_null());
    assert!(report["n_holdout"].as_u64().unwrap() > 0);
    let (a, b) = (manifest(&a), manifest(&b));
    assert_eq!(a["outputs"][0]["rows"], b["outputs"][0]["rows"]);
    assert_eq!(a["data"]["duplicates_policy"], "sum");
    // Every third count is 0. The events have no zero counts.
    assert!(b["data"]["zero_counts"].as_u64().unwrap() > 0 && a["data"]["zero_counts"] == 0);
    assert_eq!(
        (&a["model"]["algorithm"], &a["model"]["scores"]),
        (&"ials".into(), &"preferences".into())
    );
    assert!(a["model"]["objective"].as_str().unwrap().contains("ln(1 + r / epsilon)"));
    assert_eq!(a["model"]["unobserved_weight"], 1.0);
    assert_eq!(a["metrics"]["curve"].as_array().unwrap().len(), 3);
    // The same counts give the same objective.
    let vectors = |m: &Value| m["metrics"]["curve"][2]["objective"].as_f64().unwrap();
    assert!((vectors(&a) / vectors(&b) - 1.0).abs() < 1e-6);
}

#[test]
fn scores_are_preferences() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m").to_str().unwrap().to_owned();
    json(&["train", &sample(), "-o", &model, "--algorithm", "ials", "-k", "8", "-i", "4"]);
    let score = |user: &str, item: &str| {
        json(&["predict", &model, "--user", user, "--item", item])["prediction"].as_f64().unwrap()
    };
    // An unknown user has no preference.
    assert_eq!(score("-1", "1"), 0.0);
    let (code, _, err) = run(&["predict", &model, "--user", "1", "--item", "1", "--clip"]);
    assert!(code == 2 && err.contains("preferences"), "{err}");
    let ratings = fs::read_to_string(sample()).unwrap();
    let (mut seen, mut n) = (0.0, 0.0);
    for line in ratings.lines().skip(1).take(40) {
        let mut cells = line.split(',');
        seen += score(cells.next().unwrap(), cells.next().unwrap());
        n += 1.0;
    }
    assert!(seen / n > 0.1, "{}", seen / n);
}

#[test]
fn negative_counts_and_foreign_settings_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, model) = (path("r.csv"), path("m"));
    fs::write(&input, "user,item,rating\n1,1,2\n1,2,-3\n2,1,1\n").unwrap();
    let (code, _, err) = run(&["train", &input, "-o", &model, "-a", "ials"]);
    assert!(code == 3 && err.contains("r.csv:3") && err.contains("negative count"), "{err}");
    for (extra, part) in [
        (&["-a", "ials", "--no-biases"][..], "--algorithm als"),
        (&["--alpha", "2"], "--algorithm ials"),
        (&["-a", "ials", "--alpha", "2"], "--confidence"),
        (&["-a", "ials", "-k", "0"], "als or sgd"),
        (&["-a", "ials", "--confidence", "raw", "--alpha", "0"], "--alpha 0"),
        (&["--block", "0"], "at least 1"),
        (&["--block", "8"], "--solver subspace"),
        (&["-a", "ials", "--lambda", "-1"], "at least 0"),
        (&["--nonnegative", "--solver", "cg"], "--nonnegative"),
        (&["-a", "imf"], "possible values"),
        (&["-a", "bayes", "--patience", "2"], "--patience needs"),
    ] {
        let (code, _, err) = run(&[&["train", &input, "-o", &model], extra].concat());
        assert!(code == 2 && err.contains(part), "{extra:?}: {code} {err}");
    }
    fs::write(&input, "user,item,rating\n1,1,0\n1,2,0\n").unwrap();
    let (code, _, err) = run(&["train", &input, "-o", &model, "-a", "ials"]);
    assert!(code == 3 && err.contains("counts of 0"), "{err}");
    assert!(!dir.path().join("m").exists());
}

#[test]
fn every_solver_trains_from_files() {
    let dir = TempDir::new().unwrap();
    for algorithm in ["als", "ials"] {
        for (number, solver) in
            [&["--solver", "cg"][..], &["--solver", "subspace", "--block", "4"], &["--nonnegative"]]
                .into_iter()
                .enumerate()
        {
            let model = dir.path().join(format!("{algorithm}{number}"));
            let model = model.to_str().unwrap();
            json(
                &[
                    &["train", &sample(), "-o", model, "-k", "10", "-i", "4", "-a", algorithm],
                    solver,
                ]
                .concat(),
            );
            let config = &manifest(model)["config"];
            assert_eq!(config["algorithm"], algorithm);
            assert_eq!(config["cg_steps"].is_null(), number != 0);
            if number == 2 {
                assert_eq!(manifest(model)["model"]["biases"], false);
            }
            json(&["evaluate", model]);
        }
    }
}
