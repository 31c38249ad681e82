//! The behaviour without settings, as a newcomer sees it.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, movielens, run, sample};

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// Clicks of 300 users. Each user mostly clicks on one of six groups of forty items.
fn clicks() -> String {
    let mut rows = String::from("user,item\n");
    let mix = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    for user in 0..300_u64 {
        for nth in 0..20_u64 {
            let draw = mix(user * 1000 + nth);
            let group = if draw % 10 < 8 { user % 6 } else { draw % 6 };
            rows += &format!("{user},{}\n", group * 40 + mix(draw) % 40);
        }
    }
    rows
}

#[test]
fn without_a_rating_column_rows_are_events() {
    let place = Place::new();
    let events = place.file("clicks.csv", &clicks());
    let line = json(&["train", &events, "-o", &place.path("m")]);
    let warnings = line["warnings"].to_string();
    assert!(
        warnings.contains("ials is trained") && warnings.contains("--rating-col"),
        "{warnings}"
    );
    let manifest = place.read("m/manifest.json");
    assert_eq!(manifest["model"]["algorithm"], "ials");
    // The chosen regularisation is in the manifest, and the model beats popularity.
    assert!(manifest["model"]["lambda"].as_f64().unwrap() > 0.0);
    assert!(manifest["model"]["unobserved_weight"].as_f64().unwrap() > 0.0);
    let value = |path: &str| line.pointer(path).and_then(Value::as_f64).unwrap();
    assert!(value("/ranking/ndcg@10") > 1.5 * value("/baselines/popularity/ndcg@10"), "{line}");
    // Its scores are relevance, so there is no other score to rank by.
    for command in ["recommend", "evaluate"] {
        let (code, _, err) = run(&[command, &place.path("m"), "--rank-by", "rating"]);
        assert!(code == 2 && err.contains("--rank-by goes with"), "{command}: {err}");
    }
    let (code, text, _) = run(&["inspect", &events]);
    assert!(code == 0 && text.contains("train uses ials"), "{text}");
    // If an algorithm for ratings is requested, the error names ials.
    let (code, _, err) = run(&["train", &events, "-o", &place.path("x"), "-a", "als"]);
    assert!(code == 3 && err.contains("-a ials"), "{err}");
}

#[test]
fn a_column_of_counts_is_taken_for_counts() {
    let place = Place::new();
    let text: String = clicks()
        .lines()
        .enumerate()
        .map(|(n, line)| match n {
            0 => format!("{line},plays\n"),
            n => format!("{line},{}\n", 1 + n % 3),
        })
        .collect();
    let counts = place.file("plays.csv", &text);
    json(&["train", &counts, "-o", &place.path("m"), "-i", "3"]);
    assert_eq!(place.read("m/manifest.json")["model"]["algorithm"], "ials");
    assert!(place.read("m/manifest.json")["data"]["rating_max"].as_f64().unwrap() >= 3.0);
}

#[test]
fn high_ratings_become_events() {
    let place = Place::new();
    let line =
        json(&["train", &sample(), "-o", &place.path("m"), "--positive-from", "4", "-i", "3"]);
    let manifest = place.read("m/manifest.json");
    assert_eq!(manifest["model"]["algorithm"], "ials");
    let high = fs::read_to_string(sample()).unwrap();
    let high = high
        .lines()
        .skip(1)
        .filter(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap() >= 4.0);
    assert_eq!(line["n_ratings"].as_u64(), Some(high.count() as u64));
    for (extra, part) in [
        (&["--positive-from", "4", "-a", "als"][..], "--positive-from needs"),
        (&["--positive-from", "-1"], "0 or more"),
        (&["--positive-from", "99"], "--positive-from 99"),
    ] {
        let base = ["train", &sample(), "-o", &place.path("x")];
        let (code, _, err) = run(&[&base[..], extra].concat());
        assert!(code > 1 && err.contains(part), "{extra:?}: {code} {err}");
    }
}

#[test]
fn a_too_strong_regularisation_gives_a_warning() {
    let place = Place::new();
    let events = place.file("clicks.csv", &clicks());
    let strong = ["-a", "ials", "-r", "30", "--unobserved-weight", "0.5"];
    let line = json(&[&["train", &events, "-o", &place.path("m")], &strong[..]].concat());
    let warnings = line["warnings"].to_string();
    assert!(warnings.contains("vectors have vanished"), "{warnings}");
    // A nightly run is rejected and says why.
    let (code, out, _) =
        run(&[&["run", &events, "-o", &place.path("runs"), "--json"], &strong[..]].concat());
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["result"]), (5, &"rejected".into()), "{report}");
    assert!(report["reason"].as_str().unwrap().contains("collapsed"), "{report}");
    // Without this regularisation, the run is published. All reports show its ranking alongside
    // that of popularity.
    let runs = place.path("runs");
    let good =
        json(&["run", &events, "-o", &runs, "-a", "ials", "--metrics-file", &place.path("m.prom")]);
    assert!(
        good["ranking"]["ndcg@10"]["model"].as_f64()
            > good["ranking"]["ndcg@10"]["popularity"].as_f64()
    );
    let prom = fs::read_to_string(place.path("m.prom")).unwrap();
    assert!(prom.contains("lacuna_ranking{metric=\"ndcg@10\",kind=\"popularity\"}"), "{prom}");
    let (_, text, _) = run(&["runs", "list", &runs]);
    assert!(text.contains("ndcg@10") && text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let list = json(&["runs", "list", &runs]);
    let measured = &list.as_array().unwrap().last().unwrap()["measured"];
    assert!(measured["ranking"]["ndcg@10"].is_f64() && measured["popularity"]["ndcg@10"].is_f64());
    let (_, text, _) = run(&["runs", "show", &runs, "latest"]);
    assert!(text.contains("ndcg@10") && text.contains("popularity"), "{text}");
    // A run without new input keeps the figures.
    let again =
        json(&["run", &events, "-o", &runs, "-a", "ials", "--metrics-file", &place.path("m.prom")]);
    assert_eq!(again["result"], "noop");
    let kept = fs::read_to_string(place.path("m.prom")).unwrap();
    let line =
        |text: &str| text.lines().find(|l| l.starts_with("lacuna_ranking{")).map(str::to_owned);
    assert!(line(&kept).is_some() && line(&kept) == line(&prom));
}

#[test]
fn values_that_are_not_ratings_give_a_warning() {
    let place = Place::new();
    let write = |name: &str, value: &dyn Fn(usize) -> String| {
        let mut rows = vec!["user,item,value".to_owned()];
        rows.extend(clicks().lines().skip(1).enumerate().map(|(n, l)| format!("{l},{}", value(n))));
        place.file(name, &(rows.join("\n") + "\n"))
    };
    let said = |file: &str| {
        json(&["train", file, "-o", &place.path("m"), "--force", "-i", "2"])["warnings"].to_string()
    };
    let tail = |n: usize| if n.is_multiple_of(50) { "400".into() } else { (1 + n % 4).to_string() };
    assert!(said(&write("counts.csv", &tail)).contains("look like counts"));
    assert!(said(&write("ones.csv", &|_| "1".into())).contains("every row is an event"));
    let none = said(&write("stars.csv", &|n| format!("{}", 1 + n % 5)));
    assert!(!none.contains("ials"), "{none}");
}

/// By default, the lists of a model of ratings hold items that people choose, hardly any rare ones.
#[test]
fn lists_of_ratings_hold_few_rare_items() {
    let Some(ratings) = movielens() else { return };
    let place = Place::new();
    let text = fs::read_to_string(&ratings).unwrap();
    let mut counts = std::collections::HashMap::<i64, u32>::new();
    for line in text.lines().skip(1) {
        *counts.entry(line.split(',').nth(1).unwrap().parse().unwrap()).or_default() += 1;
    }
    for algorithm in ["bayes", "als", "sgd"] {
        let model = place.path(algorithm);
        let line = json(&["train", ratings.to_str().unwrap(), "-o", &model, "-a", algorithm]);
        let value = |path: &str| line.pointer(path).and_then(Value::as_f64).unwrap();
        assert!(value("/ranking/ndcg@10") > value("/baselines/popularity/ndcg@10"), "{line}");
        let out = place.path("all.csv");
        json(&["recommend", &model, "-o", &out, "--force"]);
        let rows = fs::read_to_string(&out).unwrap();
        let items = rows.lines().skip(1).map(|l| l.split(',').nth(1).unwrap().parse().unwrap());
        let items: Vec<i64> = items.collect();
        let rare = items.iter().filter(|item| counts[item] <= 3).count();
        assert!(items.len() > 6000 && rare * 20 <= items.len(), "{algorithm}: {rare}");
    }
}

#[test]
fn a_model_stands_alone() {
    let place = Place::new();
    let (input, model) = (place.path("r.csv"), place.path("m"));
    fs::copy(sample(), &input).unwrap();
    let flags = ["-k", "8", "-i", "4"];
    json(&[&["train", &input, "-o", &model], &flags[..]].concat());
    let listed = |model: &str| json(&["recommend", model, "--user", "17"])["lists"].clone();
    let (before, measured) = (listed(&model), json(&["evaluate", &model])["rating"].clone());
    // The file grows, then disappears.
    let grown = fs::read_to_string(&input).unwrap() + "17,95,1.0,1\n";
    fs::write(&input, grown).unwrap();
    assert_eq!(listed(&model), before);
    fs::remove_file(&input).unwrap();
    assert_eq!(listed(&model), before);
    assert_eq!(json(&["evaluate", &model])["rating"], measured);
    let new = place.file("new.csv", "userId,movieId,rating,timestamp\n17,95,1.0,1\n");
    json(&["update", &model, &new, "--add", "-o", &place.path("next")]);
    assert!(!listed(&place.path("next")).to_string().contains("\"item_id\":95,"));
    // With --discard-ratings, the model does not keep the ratings.
    fs::copy(sample(), &input).unwrap();
    let bare = place.path("bare");
    json(&[&["train", &input, "-o", &bare, "--discard-ratings"], &flags[..]].concat());
    assert!(!fs::exists(format!("{bare}/training_ratings.parquet")).unwrap());
    fs::remove_file(&input).unwrap();
    let (code, _, err) = run(&["recommend", &bare, "--user", "17"]);
    assert!(code == 3 && err.contains("--seen"), "{err}");
}

#[test]
fn bayes_folds_in_updates_explains_and_has_intervals() {
    let place = Place::new();
    let model = place.path("m");
    json(&["train", &sample(), "-o", &model, "-k", "8"]);
    let new = place.file("new.csv", "userId,movieId,rating,timestamp\n9001,95,5,1\n9001,3,1,1\n");
    let report = json(&["fold-in", &model, &new, "-o", &place.path("f")]);
    assert_eq!((&report["added"], &report["ratings"]), (&1.into(), &2.into()));
    let next = json(&["fold-in", &place.path("f"), &new, "-o", &place.path("g")]);
    assert_eq!(next["replaced"], 1, "a fold-in must also work on a folded model");
    let score = |model: &str, user: &str| {
        json(&["predict", &place.path(model), "--user", user, "--item", "129", "--interval"])
    };
    // A prediction for a user with two ratings is less certain than for a user with many.
    let deviation = |found: &Value| found["deviation"].as_f64().unwrap();
    assert!(deviation(&score("f", "9001")) > deviation(&score("f", "17")));
    let (code, text, err) = run(&["recommend", &model, "--user", "17", "--explain"]);
    assert!(code == 0 && text.contains(", rated "), "{err}");
    json(&["update", &model, &new, "--add", "-o", &place.path("u")]);
    assert_eq!(score("u", "9001")["known_user"], true);
    // A model without its posterior rejects a fold-in and says why.
    let gibbs = place.path("s");
    json(&["train", &sample(), "-o", &gibbs, "-k", "4", "--burn-in", "1", "--samples", "2"]);
    let (code, _, err) = run(&["fold-in", &gibbs, &new, "-o", &place.path("x")]);
    assert!(code == 2 && err.contains("--inference vb"), "{err}");
}

#[test]
fn auto_says_what_it_chose_for_every_algorithm() {
    let place = Place::new();
    for algorithm in ["als", "sgd", "ials"] {
        let model = place.path(algorithm);
        let flags = ["-a", algorithm, "-r", "auto", "-k", "8", "-i", "4"];
        json(&[&["train", &sample(), "-o", &model], &flags[..]].concat());
        let manifest = place.read(&format!("{algorithm}/manifest.json"));
        let chosen = manifest["model"]["lambda"].as_f64().unwrap();
        assert!(chosen > 0.0 && chosen < 10.0, "{algorithm}: {chosen}");
        assert_eq!(manifest["config"]["regularization"], "auto");
    }
    let (code, _, err) =
        run(&["train", &sample(), "-o", &place.path("x"), "-a", "bayes", "-r", "auto"]);
    assert!(code == 2 && err.contains("--regularization needs"), "{err}");
}

#[test]
fn the_rank_follows_the_density_and_stays_over_nights() {
    let place = Place::new();
    let all = fs::read_to_string(sample()).unwrap();
    let (runs, ratings) = (place.path("runs"), place.path("ratings.csv"));
    let night = |rows: usize, more: &[&str], keeps: bool| {
        let step = all.lines().count() / rows;
        let few: Vec<&str> =
            all.lines().enumerate().filter(|(n, _)| n % step == 0).map(|(_, line)| line).collect();
        fs::write(&ratings, few.join("\n") + "\n").unwrap();
        let line = json(&[&["run", &ratings, "-o", &runs, "--allow-gate-failure"], more].concat());
        let warnings = line["warnings"].to_string();
        assert_eq!(warnings.contains("vectors keep"), keeps, "{warnings}");
        let manifest = place.read("runs/latest/manifest.json");
        manifest["model"]["k"].as_u64().unwrap()
    };
    let full = all.lines().count() - 1;
    // Start with sparse ratings. The automatically chosen rank does not count as a new setting.
    assert_eq!(night(full / 16, &[], false), 16);
    let again = json(&["run", &ratings, "-o", &runs]);
    assert_eq!(again["result"], "noop", "{again}");
    // The next night has sixteen times as many ratings, and the vectors keep their width.
    assert_eq!(night(full, &[], true), 16);
    assert_eq!(night(full, &["-k", "24"], false), 24);
    // A directory of runs that starts with all ratings gets a higher rank.
    json(&["run", &ratings, "-o", &place.path("others")]);
    assert_eq!(place.read("others/latest/manifest.json")["model"]["k"], 32);
}

/// A nightly run of the default algorithm starts from the distributions of the previous run.
///
/// From the means alone, the runs would become worse every night.
#[test]
fn warm_nights_of_bayes_stay_as_good() {
    let place = Place::new();
    let Some(ratings) = movielens() else { return };
    let ratings = ratings.to_str().unwrap();
    let runs = place.path("runs");
    let night = || json(&["run", ratings, "-o", &runs, "--force"]);
    let value = |line: &Value, path: &str| line.pointer(path).and_then(Value::as_f64).unwrap();
    let first = night();
    for _ in 0..3 {
        let next = night();
        assert!(next["lineage"]["warm_start_from"].is_string(), "{next}");
        assert!(value(&next, "/iterations") <= 2.0, "{next}");
        let ratio = value(&next, "/rmse/holdout") / value(&first, "/rmse/holdout");
        assert!(ratio < 1.004, "{ratio}");
        let gates = next["gates"].as_array().unwrap();
        let cosine = gates.iter().find(|gate| gate["name"] == "item-cosine").unwrap();
        assert!(cosine["observed"].as_f64().unwrap() > 0.99, "{cosine}");
    }
    // A fit with one covariance per row always starts cold and says so.
    let own = json(&["run", ratings, "-o", &runs, "--covariance", "own", "--allow-gate-failure"]);
    assert!(own["lineage"]["warm_start_from"].is_null(), "{own}");
    assert!(own["lineage"].to_string().contains("--covariance own"), "{own}");
}

/// An update solves rows from all their ratings except the holdout.
///
/// The holdout stays the test set, and its ratings stay known.
#[test]
fn an_update_keeps_the_holdout() {
    let place = Place::new();
    let model = place.path("m");
    json(&["train", &sample(), "-o", &model, "-i", "4"]);
    let before = json(&["evaluate", &model, "--metrics", "ndcg@10"]);
    let user = fs::read_to_string(sample()).unwrap().lines().nth(1).unwrap().to_owned();
    let user = user.split(',').next().unwrap().to_owned();
    let lists = |model: &str| {
        let line = json(&["recommend", model, "--user", &user, "-n", "10000"]);
        line["lists"][0]["items"].as_array().unwrap().len()
    };
    let added =
        place.file("new.csv", &format!("userId,movieId,rating,timestamp\n{user},999999,4,1\n"));
    let known = lists(&model);
    let updated = place.path("u");
    json(&["update", &model, &added, "--add", "-o", &updated]);
    let after = json(&["evaluate", &updated, "--metrics", "ndcg@10"]);
    assert_eq!(before["n_ratings"], after["n_ratings"], "{before} {after}");
    // The user has rated the new item, and no other item becomes a candidate.
    assert_eq!(lists(&updated), known);
}

#[test]
fn a_setting_of_als_selects_als_with_a_warning() {
    let place = Place::new();
    for (more, said) in [
        (&["--patience", "3"][..], "--patience is a setting of als"),
        (&["--patience", "3", "-a", "als"], ""),
        (&["--positive-from", "4", "--patience", "3"], ""),
    ] {
        let model = place.path("m");
        let base = ["train", &sample(), "-o", &model, "--force", "-k", "4", "-i", "4"];
        let line = json(&[&base[..], more].concat());
        let warnings = line["warnings"].to_string();
        let told = warnings.contains("a setting of als");
        assert!(told != said.is_empty() && warnings.contains(said), "{warnings}");
    }
}
