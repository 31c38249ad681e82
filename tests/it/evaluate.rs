//! `lacuna evaluate`, and the splits that serve evaluation only.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, lacuna, run, sample};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An evaluation without its durations.
fn evaluation(arguments: &[&str]) -> Value {
    let mut found = json(&[&["evaluate"], arguments].concat());
    assert!(found.as_object_mut().unwrap().remove("durations_s").is_some());
    found
}

/// Whether two numbers are equal within single precision, or both null.
fn close(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[test]
fn evaluation_on_the_holdout_equals_the_training_report() {
    let dir = TempDir::new().unwrap();
    for (name, flags) in [
        ("als", &["-k", "8"][..]),
        ("patience", &["-k", "8", "--patience", "2", "-r", "0.01"]),
        ("refit", &["-k", "8", "--refit"]),
        ("user", &["-k", "8", "--holdout", "user", "--fold-in-ratio", "0.5"]),
        ("time", &["-k", "8", "--holdout", "time", "--split-time", "2006-01-01"]),
        ("ials", &["-k", "8", "-a", "ials"]),
        ("ials-user", &["-k", "8", "-a", "ials", "--holdout", "user"]),
    ] {
        let model = dir.path().join(name);
        let wanted = ["--metrics", "recall@20,ndcg@10,auc,coverage@5"];
        let line = json(&[&["train", &sample(), "-o", path(&model)], &wanted[..], flags].concat());
        let found = evaluation(&[&[path(&model)], &wanted[..]].concat());
        assert!(line["n_holdout"].as_u64().unwrap() > 100, "{name}");
        assert_eq!(found["n_ratings"], line["n_holdout"], "{name}");
        for metric in ["recall@20", "ndcg@10", "auc", "coverage@5"] {
            let (own, again) = (&line["ranking"][metric], &found["ranking"][metric]);
            assert!(close(own, again), "{name} {metric}: {own} {again}");
            let popular = &found["baselines"]["popularity"][metric];
            assert!(close(&line["baselines"]["popularity"][metric], popular), "{name}");
        }
        if name.starts_with("ials") {
            assert!(found["rating"].is_null() && line["holdout_rmse"].is_null());
            continue;
        }
        assert!(close(&found["rating"]["rmse"], &line["holdout_rmse"]), "{name}");
        let interval = &found["rating"]["rmse_interval"];
        let rmse = found["rating"]["rmse"].as_f64().unwrap();
        assert!(interval["low"].as_f64().unwrap() < rmse, "{name}");
        assert!(interval["high"].as_f64().unwrap() > rmse, "{name}");
        for baseline in ["global_mean", "bias_only"] {
            let (own, again) = (&line["baselines"][baseline], &found["baselines"][baseline]);
            assert!(close(&own["rmse"], &again["rmse"]), "{name} {baseline}: {own} {again}");
        }
        // Every test rating is in one segment of each kind, and the squared errors add up.
        for segments in ["by_user_activity", "by_item_popularity"] {
            let (mut count, mut squares) = (0, 0.0);
            for segment in found[segments].as_array().unwrap() {
                let n = segment["n_ratings"].as_u64().unwrap();
                count += n;
                squares += n as f64 * segment["rmse"].as_f64().unwrap().powi(2);
            }
            assert_eq!(count, found["n_ratings"].as_u64().unwrap());
            assert!(((squares / count as f64).sqrt() - rmse).abs() < 1e-9, "{name} {segments}");
        }
    }
}

/// The rows of the sample, as text.
fn rows() -> Vec<String> {
    fs::read_to_string(sample()).unwrap().lines().skip(1).map(str::to_owned).collect()
}

fn write(file: &Path, rows: &[String]) {
    let text = format!("userId,movieId,rating,timestamp\n{}\n", rows.join("\n"));
    fs::write(file, text).unwrap();
}

#[test]
fn other_test_ratings_leave_out_what_was_trained_on() {
    let dir = TempDir::new().unwrap();
    let (train, test) = (dir.path().join("train.csv"), dir.path().join("test.csv"));
    let rows = rows();
    let (first, second): (Vec<_>, Vec<_>) =
        rows.into_iter().enumerate().partition(|(n, _)| n % 10 > 0);
    let rows = |part: Vec<(usize, String)>| part.into_iter().map(|(_, r)| r).collect::<Vec<_>>();
    let (first, mut second) = (rows(first), rows(second));
    write(&train, &first);
    let model = dir.path().join("m");
    let flags = ["-k", "8", "--metrics", "recall@20", "--discard-ratings"];
    let files = ["--test-file", path(&test)];
    write(&test, &second);
    let line = json(&[&["train", path(&train), "-o", path(&model)], &flags[..], &files].concat());
    // Add some training ratings, an unknown user and an unknown item.
    let test = dir.path().join("more.csv");
    second.extend(first.iter().take(25).cloned());
    second.push("987654,1,4.0,1".into());
    second.push("1,987654,4.0,1".into());
    write(&test, &second);
    let found = evaluation(&[path(&model), path(&test), "--metrics", "recall@20"]);
    assert_eq!(found["in_training"], 25);
    assert_eq!(found["ranking"]["unknown_users"], 1);
    assert_eq!(found["n_ratings"].as_u64().unwrap(), second.len() as u64 - 25);
    // Naming the training ratings gives the same result.
    let seen = ["--seen", path(&train)];
    let again =
        evaluation(&[&[path(&model), path(&test), "--metrics", "recall@20"], &seen[..]].concat());
    assert_eq!(found, again);
    assert!(
        (found["rating"]["rmse"].as_f64().unwrap() - line["holdout_rmse"].as_f64().unwrap()).abs()
            < 0.001
    );
    // A changed training file is detected.
    write(&train, &first[1..]);
    let (code, _, err) = run(&["evaluate", path(&model), path(&test)]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("train.csv") && err.contains("--seen"), "{err}");
    // Incomplete training ratings are detected as well.
    let (code, _, err) = run(&["evaluate", path(&model), path(&test), "--seen", path(&train)]);
    assert!(code == 2 && err.contains("was trained on 90000"), "{err}");
}

#[test]
fn training_files_are_found_where_they_went() {
    let dir = TempDir::new().unwrap();
    let of = |name: &str| dir.path().join(name);
    fs::create_dir(of("d")).unwrap();
    fs::copy(sample(), of("d/r.csv")).unwrap();
    let there = |arguments: &[&str]| {
        let output = lacuna().current_dir(of("d")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    there(&["train", "r.csv", "-o", "m", "-k", "4", "-i", "3", "-q", "--discard-ratings"]);
    there(&["train", ".", "-o", "../whole", "-k", "4", "-i", "3", "-q", "--discard-ratings"]);
    let model = of("d/m");
    let wanted = evaluation(&[path(&model)]);
    // The file moved. Its new name gives the same result, and its old name is not found.
    fs::rename(of("d/r.csv"), of("d/s.csv")).unwrap();
    let (code, _, err) = run(&["evaluate", path(&model)]);
    assert!(code == 3 && err.contains("r.csv") && err.contains("--seen"), "{err}");
    assert_eq!(evaluation(&[path(&model), "--seen", path(&of("d/s.csv"))]), wanted);
    // A new file in the directory is detected.
    fs::rename(of("d/s.csv"), of("d/r.csv")).unwrap();
    fs::remove_dir_all(of("d/m")).unwrap();
    evaluation(&[path(&of("whole"))]);
    fs::copy(sample(), of("d/s.csv")).unwrap();
    let (code, _, err) = run(&["evaluate", path(&of("whole"))]);
    assert!(code == 3 && err.contains("s.csv"), "{err}");
    // Standard input is identified by its content.
    let file = fs::File::open(sample()).unwrap();
    let model = of("piped");
    let output = lacuna()
        .args(["train", "-", "-o", path(&model), "-k", "4", "-i", "3", "-q", "--discard-ratings"])
        .stdin(file)
        .output();
    assert!(output.unwrap().status.success());
    let (code, _, err) = run(&["evaluate", path(&model)]);
    assert!(code == 2 && err.contains("--seen"), "{err}");
    let mut found = evaluation(&[path(&model), "--seen", &sample()]);
    for (key, value) in wanted.as_object().unwrap() {
        if key == "model_version" {
            found[key] = value.clone();
        }
    }
    assert_eq!(found, wanted);
}

#[test]
fn folded_in_users_are_those_of_the_files() {
    let dir = TempDir::new().unwrap();
    let of = |name: &str| dir.path().join(name);
    let user = |row: &String| row.split(',').next().unwrap().parse::<u32>().unwrap();
    let rows = rows();
    let new = |row: &&String| user(row).is_multiple_of(5);
    let known: Vec<String> = rows.iter().filter(|r| !new(r)).cloned().collect();
    let theirs: Vec<String> = rows.iter().filter(new).cloned().collect();
    let half =
        |odd: usize| -> Vec<String> { theirs.iter().skip(odd).step_by(2).cloned().collect() };
    write(&of("train.csv"), &known);
    write(&of("given.csv"), &half(0));
    write(&of("test.csv"), &half(1));
    let (train, model) = (of("train.csv"), of("m"));
    json(&["train", path(&train), "-o", path(&model), "-k", "8", "--holdout", "none"]);
    let (test, given) = (of("test.csv"), of("given.csv"));
    let found = evaluation(&[path(&model), path(&test), "--fold-in", path(&given)]);
    let users: std::collections::BTreeSet<u32> = half(1).iter().map(user).collect();
    let counted = found["ranking"]["users"].as_u64().unwrap()
        + found["ranking"]["unknown_users"].as_u64().unwrap();
    assert_eq!(counted as usize, users.len());
    // The ratings from which users are folded in are not test ratings, and neither are the ratings
    // of users who are not folded in.
    write(&of("more.csv"), &[half(1), half(0), known[..500].to_vec()].concat());
    let more = of("more.csv");
    let again = evaluation(&[path(&model), path(&more), "--fold-in", path(&given)]);
    for key in ["rating", "n_ratings", "by_user_activity"] {
        assert_eq!(again[key], found[key], "{key}");
    }
    assert_eq!(again["ranking"]["recall@10"], found["ranking"]["recall@10"]);
    assert_eq!(again["in_training"].as_u64().unwrap() as usize, half(0).len());
    let not_folded_in = again["not_folded_in"].as_u64().unwrap();
    assert_eq!(not_folded_in - found["not_folded_in"].as_u64().unwrap(), 500);
    let rmse = found["rating"]["rmse"].as_f64().unwrap();
    assert!(rmse < found["baselines"]["bias_only"]["rmse"].as_f64().unwrap());
    // Without a fold-in, no user is known.
    let found = evaluation(&[path(&model), path(&test)]);
    assert_eq!(found["ranking"]["users"], 0);
    assert_eq!(found["ranking"]["unknown_users"].as_u64().unwrap() as usize, users.len());
    assert!(found["ranking"]["recall@10"].is_null());
    // The id "007" is not user 7.
    let rows: Vec<String> = [1, 2, 3, 4, 5].map(|i| format!("007,{i},3.0,1")).to_vec();
    write(&of("zeros.csv"), &rows);
    let zeros = of("zeros.csv");
    let found = evaluation(&[path(&model), path(&zeros)]);
    assert_eq!(found["ranking"]["unknown_users"], 1);
    assert!(found["warnings"][0].as_str().unwrap().contains("nothing to rank"));
    // A Gibbs model keeps no posterior to solve rows with, so it rejects a fold-in.
    let gibbs = of("gibbs");
    json(&[
        "train",
        path(&train),
        "-o",
        path(&gibbs),
        "-a",
        "bayes",
        "--burn-in",
        "1",
        "--samples",
        "2",
    ]);
    let (code, _, err) = run(&["evaluate", path(&gibbs), path(&test), "--fold-in", path(&given)]);
    assert!(code == 2 && err.contains("als, ials and bayes"), "{err}");
}

#[test]
fn folds_report_and_leave_the_model_alone() {
    let dir = TempDir::new().unwrap();
    let of = |name: &str| dir.path().join(name);
    let plain = json(&["train", &sample(), "-o", path(&of("a")), "-k", "4"]);
    let folds = json(&["train", &sample(), "-o", path(&of("b")), "-k", "4", "--folds", "3"]);
    assert_eq!(plain["holdout_rmse"], folds["holdout_rmse"]);
    let found = &folds["folds"];
    let each: Vec<f64> =
        found["holdout_rmse"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(each.len(), 3);
    let mean = each.iter().sum::<f64>() / 3.0;
    let deviation = (each.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((found["spread"]["holdout_rmse"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!((found["spread"]["holdout_rmse"]["std"].as_f64().unwrap() - deviation).abs() < 1e-12);
    assert!(mean < found["spread"]["bias_only_rmse"]["mean"].as_f64().unwrap());
    let factors = |name: &str| fs::read(of(name).join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&factors("b")).unwrap();
    assert_eq!(metrics["folds"]["folds"], 3);
}

#[test]
fn iterations_are_measured_as_often_as_asked() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    json(&[
        "train",
        &sample(),
        "-o",
        path(&model),
        "-k",
        "4",
        "-i",
        "7",
        "--tol",
        "0",
        "--eval-every",
        "3",
    ]);
    let metrics: Value =
        serde_json::from_slice(&fs::read(model.join("metrics.json")).unwrap()).unwrap();
    let measured: Vec<bool> = metrics["curve"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["holdout_rmse"].is_number())
        .collect();
    assert_eq!(measured, [false, false, true, false, false, true, false]);
    assert!(metrics["holdout_rmse"].is_number());
    // For implicit feedback, a ranking metric decides. The best measured iteration is kept.
    let model = dir.path().join("i");
    let flags =
        ["-a", "ials", "-k", "16", "-i", "20", "--tol", "0", "-r", "0.0001", "--patience", "2"];
    json(&[&["train", &sample(), "-o", path(&model), "--eval-every", "2"], &flags[..]].concat());
    let metrics: Value =
        serde_json::from_slice(&fs::read(model.join("metrics.json")).unwrap()).unwrap();
    let curve = metrics["curve"].as_array().unwrap();
    let values: Vec<(u64, f64)> = curve
        .iter()
        .filter_map(|p| Some((p["iteration"].as_u64()?, p["validation"].as_f64()?)))
        .collect();
    let best = values.iter().fold((0, 0.0), |best, v| if v.1 > best.1 { *v } else { best });
    assert_eq!(metrics["iteration"].as_u64().unwrap(), best.0);
    assert!(values.iter().all(|(n, v)| n % 2 == 0 && (0.0..1.0).contains(v)));
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    json(&["train", &sample(), "-o", path(&model), "-k", "2", "-i", "1"]);
    let m = path(&model);
    let s = sample();
    // If one of the commands trained, it would not write to the working directory.
    let x = dir.path().join("x");
    let x = path(&x);
    let none = dir.path().join("none");
    let none = path(&none).to_owned();
    json(&["train", &s, "-o", &none, "-k", "2", "-i", "1", "--holdout", "none"]);
    for (arguments, part) in [
        (&["evaluate", m, "--metrics", "recall"][..], "recall@K"),
        (&["evaluate", m, "--metrics", "ndcg@0"], "from 1 to 10000"),
        (&["evaluate", m, "--seen", m], "give test ratings"),
        (&["evaluate", &none], "without a holdout"),
        (&["evaluate", m, "--fold-in", &s], "<RATINGS>"),
        (&["evaluate", m, &s, "--relevant-from", "nan"], "needs a number"),
        (&["evaluate", m, &s, "--sample-users", "0"], "at least 1"),
        (&["train", &s, "-o", x, "--holdout", "user", "-a", "sgd"], "als or ials or bayes"),
        (&["train", &s, "-o", x, "--fold-in-ratio", "0.5"], "--holdout user"),
        (&["train", &s, "-o", x, "--criterion", "ndcg@10"], "--patience"),
        (
            &["train", &s, "-o", x, "--patience", "2", "--criterion", "gini@10"],
            "how lists are composed",
        ),
        (
            &["train", &s, "-o", x, "-a", "ials", "--patience", "2", "--criterion", "rmse"],
            "preferences",
        ),
        (&["train", &s, "-o", x, "--folds", "1"], "from 2 to 100"),
        (&["train", &s, "-o", x, "--eval-every", "0"], "at least 1"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    let (code, _, err) = run(&["evaluate", "no-such-model"]);
    assert!(code == 3 && err.contains("no such model directory"), "{err}");
    // A sample of users is smaller and the same each time.
    let all = evaluation(&[m]);
    let some = evaluation(&[m, "--sample-users", "50"]);
    assert_eq!(some["ranking"]["users"], 50);
    assert!(all["ranking"]["users"].as_u64().unwrap() > 50);
    assert_eq!(some["rating"], all["rating"]);
    assert_eq!(some, evaluation(&[m, "--sample-users", "50", "-j", "1"]));
    // The text for people fits into 80 columns.
    let (_, text, _) = run(&["evaluate", m]);
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    assert!(text.contains("popularity") && text.contains("held-out ratings are of any time"));
}

#[test]
fn the_last_iteration_is_always_compared() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("m");
    let flags = ["-k", "4", "-i", "5", "--tol", "0", "--patience", "2", "--eval-every", "3"];
    let line = json(&[&["train", &sample(), "-o", path(&model)], &flags[..]].concat());
    let metrics: Value =
        serde_json::from_slice(&fs::read(model.join("metrics.json")).unwrap()).unwrap();
    let values: Vec<(u64, f64)> = metrics["curve"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| Some((p["iteration"].as_u64()?, p["validation"].as_f64()?)))
        .collect();
    assert_eq!(values.iter().map(|v| v.0).collect::<Vec<_>>(), [3, 5]);
    let best = if values[1].1 < values[0].1 { 5 } else { 3 };
    assert_eq!(line["iterations"], best);
    // Validation ratings chose the iteration, so they are not test ratings.
    let split: Value =
        serde_json::from_slice(&fs::read(model.join("manifest.json")).unwrap()).unwrap();
    let count = |name: &str| split["split"][name].as_u64().unwrap();
    let found = evaluation(&[path(&model), &sample()]);
    assert_eq!(found["in_training"], count("n_train") + count("n_validation"));
    assert_eq!(found["n_ratings"], count("n_holdout"));
}
