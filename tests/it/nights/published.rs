//! Nights that are published or rejected.

use std::path::PathBuf;

use lacuna::store::read_model;
use serde_json::Value;

use super::{Nights, gate, same};
use crate::support::{movielens, run, sample};

/// Night one publishes. Night two starts from its factors, is aligned to them and publishes. Later
/// nights have corrupt ratings and are rejected, before the training or after it.
fn three_nights(nights: &Nights) {
    nights.night(70);
    let first = nights.good(&["-i", "20"]);
    assert_eq!(first["lineage"]["cold_because"], "there is no earlier run");
    let one = nights.served();
    assert_eq!(first["run_id"], *one.0);

    nights.night(80);
    let second = nights.good(&["-i", "20"]);
    let two = nights.served();
    assert_eq!(second["lineage"]["warm_start_from"], *one.0);
    assert_eq!(second["lineage"]["aligned_to"], *one.0);
    let moved = &second["lineage"]["alignment"];
    assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.9, "{moved}");
    assert!(moved["shared_items"].as_u64().unwrap() > 100, "{moved}");
    assert_eq!(gate(&second, "previous-model")["passed"], true);
    assert!(gate(&second, "previous-model")["observed"].is_f64());

    // Half of the ratings are on another scale.
    nights.ratings(90, |number, line| match number % 2 {
        0 => line.to_owned(),
        _ => {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            cells[2] = format!("{}", cells[2].parse::<f64>().unwrap() * 10.0);
            cells.join(",")
        }
    });
    let (code, third, _) = nights.run(&["-i", "20"]);
    assert_eq!((code, &third["result"]), (4, &"rejected".into()), "{third}");
    let reason = third["reason"].as_str().unwrap();
    assert!(reason.contains("histogram") && reason.contains("mean-shift"), "{reason}");
    assert_eq!(nights.served().0, two.0);
    let rejected = format!("runs/rejected/{}", third["run_id"].as_str().unwrap());
    assert!(nights.path(&rejected).join("_REJECTED").is_file());
    let (code, text, err) = nights.runs(&["diff"]);
    assert_eq!(code, 0, "{err}");
    let word = |word: &str| assert!(text.contains(word), "{word}: {text}");
    word(&format!("{} -> {}", two.0, third["run_id"].as_str().unwrap()));
    for name in ["status", "rejected", "histogram", "mean-shift", "ratings.csv", "rows"] {
        word(name);
    }

    // The distribution is right, but every rating belongs to somebody else. Only the model's gates
    // detect this.
    let values: Vec<String> =
        nights.lines.iter().map(|(_, line)| line.split(',').nth(2).unwrap().to_owned()).collect();
    nights.ratings(85, |number, line| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        cells[2].clone_from(&values[number * 7919 % (values.len() * 85 / 100)]);
        cells.join(",")
    });
    let (code, fourth, _) = nights.run(&["-i", "20"]);
    assert_eq!((code, &fourth["result"]), (5, &"rejected".into()), "{fourth}");
    assert!(fourth["reason"].as_str().unwrap().contains("bias-only"), "{fourth}");
    let rejected = format!("runs/rejected/{}", fourth["run_id"].as_str().unwrap());
    // The rejected run is complete and can be inspected, but it is not published.
    read_model(&nights.path(&rejected)).unwrap();
    assert_eq!(nights.manifest(&rejected)["status"], "rejected");
    let last = nights.served();
    assert!(last.0 == two.0 && same(&last.1, &two.1));

    // Good ratings with a setting that makes a worse model. Then an operator overrides the gate.
    nights.night(85);
    let worse = ["-i", "20", "--regularization", "50"];
    let (code, fifth, _) = nights.run(&worse);
    assert_eq!(code, 5, "{fifth}");
    assert!(fifth["reason"].as_str().unwrap().contains("previous-model: RMSE "), "{fifth}");
    let fifth = nights.good(&[&worse[..], &["--allow-gate-failure"]].concat());
    assert!(fifth["warnings"][0].as_str().unwrap().contains("previous-model"), "{fifth}");
    let manifest = nights.manifest("runs/latest");
    assert!(manifest["reason"].as_str().unwrap().contains("previous-model"));
    let (code, _, err) = nights.runs(&["rollback"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(nights.served().0, two.0);
}

#[test]
fn a_good_night_is_published_and_a_bad_one_is_not() {
    three_nights(&Nights::of_sample());
    if let Some(ratings) = movielens() {
        three_nights(&Nights::new(&ratings));
    }
}

#[test]
fn a_warm_night_takes_a_third_of_the_iterations() {
    let mut all = vec![PathBuf::from(sample())];
    all.extend(movielens());
    for ratings in all {
        let nights = Nights::new(&ratings);
        nights.night(100);
        let cold = nights.good(&["-i", "60", "-k", "32"]);
        let warm = nights.good(&["-i", "60", "-k", "32", "--force"]);
        let iterations = |report: &Value| report["iterations"].as_f64().unwrap();
        let rmse = |report: &Value| report["rmse"]["holdout"].as_f64().unwrap();
        assert!(iterations(&warm) * 3.0 <= iterations(&cold), "{cold} {warm}");
        assert!((rmse(&warm) / rmse(&cold) - 1.0).abs() < 1e-3, "{cold} {warm}");
        let moved = &warm["lineage"]["alignment"];
        assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.9, "{moved}");
        // Vectors from another start point elsewhere until they are aligned.
        let other = nights.good(&["-i", "60", "-k", "32", "--warm-start", "off", "--seed", "7"]);
        let moved = &other["lineage"]["alignment"];
        let cosine = |key: &str| moved[key].as_f64().unwrap();
        assert!(cosine("median_cosine_before") < 0.5, "{moved}");
        assert!(cosine("median_cosine_after") > cosine("median_cosine_before") + 0.2, "{moved}");
    }
}

#[test]
fn nothing_new_is_nothing_to_do() {
    let nights = Nights::of_sample();
    nights.night(60);
    nights.good(&["-i", "3"]);
    let before = nights.names("runs/runs");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!((code, &report["result"]), (0, &"noop".into()));
    let (code, report, _) = nights.run(&["-i", "3", "--noop-exit-code", "99"]);
    assert_eq!((code, &report["result"], &report["exit_code"]), (99, &"noop".into(), &99.into()));
    assert_eq!(nights.names("runs/runs"), before);
    // Another setting of the training or of the exports counts as new. Another gate does not.
    let (_, report, _) = nights.run(&["-i", "3", "--gate", "rows=off"]);
    assert_eq!(report["result"], "noop");
    for extra in [["-i", "4", "--export", "npy"], ["-i", "3", "--export", "npy:dot"]] {
        nights.good(&extra);
        assert!(nights.path("runs/latest/exports").is_dir());
    }
    let flavors = nights.manifest("runs/latest")["flavors"].clone();
    assert!(flavors["npy-dot"]["files"].as_array().is_some_and(|f| !f.is_empty()), "{flavors}");
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 0 && err.is_empty(), "{err}");
    // The recorded settings are a valid configuration file.
    let settings = nights.text("runs/latest/config.resolved.toml");
    let (code, out, err) = run(&["run", "--config", &settings, "--json"]);
    assert!(code == 0 && out.contains("\"noop\""), "{out} {err}");
}

#[test]
fn every_algorithm_has_its_nights() {
    for (algorithm, extra) in [
        ("als", &["--refit"][..]),
        ("als", &["--solver", "cg"]),
        ("als", &["--nonnegative"]),
        ("ials", &[]),
        ("ials", &["--nonnegative"]),
        ("bayes", &[]),
        ("sgd", &[]),
        ("gd", &["--learning-rate", "0.02"]),
    ] {
        let nights = Nights::of_sample();
        // A few steps of gradient descent need not beat the biases.
        let settings = [&["-a", algorithm, "-i", "6", "--gate", "bias-only=off"], extra].concat();
        nights.night(60);
        nights.good(&settings);
        let one = nights.served();
        nights.night(65);
        let second = nights.good(&settings);
        assert_eq!(second["lineage"]["warm_start_from"], *one.0, "{algorithm}");
        let aligned = !extra.contains(&"--nonnegative");
        assert_eq!(second["lineage"]["aligned_to"].is_string(), aligned, "{algorithm}");
        let previous = gate(&second, "previous-model");
        assert!(previous["observed"].is_f64(), "{algorithm}: {previous}");
        let manifest = nights.manifest("runs/latest");
        assert_eq!(manifest["lineage"]["runs_since_cold"], 1);
        if aligned {
            let moved = &second["lineage"]["alignment"];
            assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.8, "{algorithm} {moved}");
        }
    }
}

#[test]
fn another_kind_of_model_starts_cold_and_says_why() {
    let nights = Nights::of_sample();
    nights.night(60);
    nights.good(&["-i", "3"]);
    let why = |extra: &[&str], words: &str| {
        let (code, report, log) = nights.run(&[extra, &["--allow-gate-failure"]].concat());
        assert_eq!(code, 0, "{report}");
        let because = report["lineage"]["cold_because"].as_str().unwrap_or_default();
        assert!(because.contains(words) && log.contains(words), "{extra:?}: {because}");
        // Roll back, so that the next run compares with the first one again.
        nights.runs(&["rollback", &nights.names("runs/runs")[0]]);
    };
    why(&["-i", "3", "-k", "9"], "the rank is 9 and was 8");
    why(&["-i", "3", "-a", "bayes"], "the algorithm is bayes and was als");
    why(&["-i", "3", "--id-type", "text"], "the user ids are text and were int");
    why(&["-i", "3", "--holdout-salt", "other"], "the holdout was chosen by another rule");
    why(&["-i", "3", "--nonnegative"], "nonnegative");
    why(&["-i", "3", "--no-mean"], "raw ratings");
    why(&["-i", "4", "--warm-start", "off"], "--warm-start off");
    why(&["-i", "5", "--cold-every", "1"], "one run in 1 starts cold");
    // A holdout that changes every night prevents a warm start.
    for _ in 0..2 {
        nights.good(&["-i", "3", "--holdout", "last", "--force", "--allow-gate-failure"]);
    }
    let manifest = nights.manifest("runs/latest");
    let because = manifest["lineage"]["cold_because"].as_str().unwrap();
    assert!(because.contains("changes every night"), "{because}");
    let (code, _, log) = nights.run(&["--nonnegative", "--align", "procrustes"]);
    assert!(code == 2 && log.contains("--align procrustes"), "{log}");
}

/// A run is compared with the factors that were measured, under their own mean of the training
/// ratings, not under the mean of all ratings.
#[test]
fn a_refitted_model_is_compared_as_it_was_measured() {
    let nights = Nights::of_sample();
    // Late ratings are higher, and the time split holds them out.
    let boundary = nights.lines[nights.lines.len() / 2].0;
    nights.ratings(100, |number, line| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if number * 2 >= nights.lines.len() {
            cells[2] = format!("{}", cells[2].parse::<f64>().unwrap() + 1.0);
        }
        cells.join(",")
    });
    let time = format!("@{boundary}");
    let settings =
        ["-i", "5", "--refit", "--holdout", "time", "--split-time", &time, "--warm-start", "off"];
    nights.good(&[&settings[..], &["--allow-gate-failure"]].concat());
    let (_, report, _) = nights.run(&[&settings[..], &["--force"]].concat());
    let observed = |name: &str| gate(&report, name)["observed"].as_f64().unwrap();
    assert!(observed("previous-model").abs() < 1e-6, "{report}");
    assert!(observed("mean-shift").abs() < 1e-6, "{report}");
    // The recorded settings, including dates, can be passed again.
    let file = nights.text("runs/latest/config.resolved.toml");
    let (code, _, err) = run(&["run", "--config", &file, "--json", "-q"]);
    assert!(code != 2, "{err}");
}

#[test]
fn a_cold_start_that_is_rejected_is_not_tried_every_night() {
    let nights = Nights::of_sample();
    let settings = ["-i", "3", "-k", "16", "--tol", "0", "--cold-every", "3", "--force"];
    nights.night(60);
    let mut starts = Vec::new();
    for _ in 0..6 {
        let (code, report, _) = nights.run(&settings);
        starts.push((code, report["lineage"]["warm_start_from"].is_string()));
    }
    // One cold start, two warm ones, a cold one that is worse after three iterations and therefore
    // rejected, then warm ones again.
    let wanted = [(0, false), (0, true), (0, true), (5, false), (0, true), (0, true)];
    assert_eq!(starts, wanted);
}
