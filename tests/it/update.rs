//! New ratings for a stored model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use lacuna::model::{Embedding, Model};
use lacuna::store::read_model;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, run, sample};

struct Case {
    dir: TempDir,
    /// The earlier lines of the sample, sorted by time. The model is trained on them.
    old: Vec<String>,
    /// The later lines of the sample, sorted by time.
    new: Vec<String>,
}

const HEADER: &str = "userId,movieId,rating,timestamp\n";

impl Case {
    /// Trains a model on all but the last `percent` percent of the ratings.
    fn new(percent: usize, extra: &[&str]) -> Self {
        let text = fs::read_to_string(sample()).unwrap();
        let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines.sort_by_key(|line| line.rsplit_once(',').unwrap().1.parse::<i64>().unwrap());
        let new = lines.split_off(lines.len() * (100 - percent) / 100);
        let case = Self { dir: TempDir::new().unwrap(), old: lines, new };
        case.write("old.csv", &case.old);
        case.write("new.csv", &case.new);
        let (ratings, model) = (case.path("old.csv"), case.path("m"));
        let algorithm: &[&str] = if extra.contains(&"-a") { &[] } else { &["-a", "als"] };
        let flags = ["train", &ratings, "-o", &model, "-k", "8", "-i", "10"];
        json(&[&flags, algorithm, extra].concat());
        case
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write<'l>(&self, name: &str, lines: impl IntoIterator<Item = &'l String>) {
        let mut text = HEADER.to_owned();
        for line in lines {
            text += line;
            text.push('\n');
        }
        fs::write(self.path(name), text).unwrap();
    }

    fn update(&self, extra: &[&str], to: &str) -> Value {
        json(&[&["update", &self.path("m")], extra, &["-o", &self.path(to)]].concat())
    }

    fn model(&self, name: &str) -> Model {
        read_model(&self.dir.path().join(name)).unwrap().0
    }
}

fn field(line: &str, at: usize) -> &str {
    line.split(',').nth(at).unwrap()
}

/// The bits of every vector and its bias, by id.
fn rows(ids: &lacuna::ids::Ids, side: &Embedding) -> BTreeMap<String, Vec<u32>> {
    let row = |at: usize| {
        let values = side.vectors.row(at).iter().chain([&side.biases[at]]);
        (ids.get(at).to_string(), values.map(|v| v.to_bits()).collect())
    };
    (0..ids.len()).map(row).collect()
}

/// An update is three half-sweeps over the touched rows: users, items, users. Fold-ins of their
/// complete histories in this order give the same model.
#[test]
fn touched_rows_are_solved_from_their_full_history_and_others_stay() {
    for algorithm in [&["-a", "als"][..], &["-a", "ials", "--confidence", "linear"]] {
        let case = Case::new(1, &[algorithm, &["--holdout", "none"]].concat());
        let report = case.update(&[&case.path("new.csv"), "--add"], "updated");
        let users: BTreeSet<&str> = case.new.iter().map(|line| field(line, 0)).collect();
        let items: BTreeSet<&str> = case.new.iter().map(|line| field(line, 1)).collect();
        assert_eq!(report["users"], users.len());
        assert_eq!(report["items"], items.len());
        assert_eq!(report["changed_ratings"], case.new.len());
        assert!(report["new_users"].as_u64().unwrap() > 0, "{report}");
        let all = || case.old.iter().chain(&case.new);
        case.write("users.csv", all().filter(|line| users.contains(field(line, 0))));
        case.write("items.csv", all().filter(|line| items.contains(field(line, 1))));
        // An update with the users' complete histories gives the same model.
        case.update(&[&case.path("users.csv")], "complete");
        assert!(case.model("complete") == case.model("updated"), "{algorithm:?}");
        let fold = |from: &str, side: &str, file: &str, to: &str| {
            let (from, file, to) = (case.path(from), case.path(file), case.path(to));
            json(&["fold-in", &from, &file, "--side", side, "-o", &to]);
        };
        fold("m", "user", "users.csv", "a");
        fold("a", "item", "items.csv", "b");
        fold("b", "user", "users.csv", "c");
        assert!(case.model("c") == case.model("updated"), "{algorithm:?}");
        let (before, after) = (case.model("m"), case.model("updated"));
        let of = |model: &Model| {
            let users = rows(&model.users.ids, &model.factors.users);
            (users, rows(&model.items.ids, &model.factors.items))
        };
        let ((users_before, items_before), (users_after, items_after)) = (of(&before), of(&after));
        for (before, after, touched) in
            [(users_before, users_after, users), (items_before, items_after, items)]
        {
            let stayed = |(id, row): &(&String, &Vec<u32>)| before.get(*id) == Some(row);
            let changed: BTreeSet<&str> =
                after.iter().filter(|row| !stayed(row)).map(|(id, _)| id.as_str()).collect();
            assert_eq!(changed, touched, "{algorithm:?}");
        }
    }
}

#[test]
fn updates_follow_each_other_and_say_when_to_train_again() {
    let case = Case::new(6, &["--refit", "-r", "0.2"]);
    let middle = case.new.len() / 2;
    case.write("first.csv", &case.new[..middle]);
    case.write("second.csv", &case.new[middle..]);
    let first = case.update(&[&case.path("first.csv"), "--add"], "one");
    assert!(first["retrain"].is_null() && first["held_out"] == 0, "{first}");
    let (one, two, second) = (case.path("one"), case.path("two"), case.path("second.csv"));
    let report = json(&["update", &one, &second, "--add", "-o", &two]);
    let share = report["changed_share"].as_f64().unwrap();
    assert!((share - 6.0 / 94.0).abs() < 0.002, "{report}");
    assert!(report["retrain"].as_str().unwrap().contains("a full training is due"), "{report}");
    // One update with both files touches the same rows. The vectors differ, because the rows of the
    // first file were solved once more.
    case.update(&[&case.path("new.csv"), "--add"], "both");
    assert!(case.model("both").users == case.model("two").users);
    // Items with new ratings are not recommended. The updated model predicts unseen ratings better.
    let user = field(&case.new[middle + 5], 0);
    let rated = |lines: &[String]| -> BTreeSet<String> {
        lines.iter().filter(|l| field(l, 0) == user).map(|l| field(l, 1).to_owned()).collect()
    };
    let seen: BTreeSet<String> = rated(&case.old).union(&rated(&case.new)).cloned().collect();
    let report = json(&["recommend", &two, "--user", user, "-n", "100"]);
    let listed = report["lists"][0]["items"].as_array().unwrap();
    assert!(listed.iter().all(|row| !seen.contains(&row["item_id"].to_string())), "{report}");
    let errors = |model: &str, file: &str| {
        let (model, file) = (case.path(model), case.path(file));
        let pairs = case.path("p.csv");
        json(&["predict", &model, "--pairs", &file, "-o", &pairs, "--force"]);
        let text = fs::read_to_string(pairs).unwrap();
        let truth = fs::read_to_string(&file).unwrap();
        let squares = text.lines().zip(truth.lines()).skip(1).map(|(p, t)| {
            let prediction: f64 = p.rsplit(',').nth(2).unwrap().parse().unwrap();
            (prediction - field(t, 2).parse::<f64>().unwrap()).powi(2)
        });
        squares.sum::<f64>()
    };
    assert!(errors("one", "second.csv") < errors("m", "second.csv"));
    let manifest: Value =
        serde_json::from_slice(&fs::read(case.dir.path().join("two/manifest.json")).unwrap())
            .unwrap();
    let folded = manifest["folded"].as_array().unwrap();
    assert_eq!(folded.len(), 2);
    assert!(
        folded.iter().all(|entry| entry["items"].as_u64().is_some_and(|n| n > 0)),
        "{folded:?}"
    );
}

#[test]
fn new_ratings_of_known_pairs_count_as_duplicates() {
    let case = Case::new(1, &["-a", "ials", "--confidence", "linear", "--holdout", "none"]);
    // One more event for a known pair adds to its count.
    let line = case.old.iter().find(|line| field(line, 2) == "3.0").unwrap();
    case.write("more.csv", [line]);
    let report = case.update(&[&case.path("more.csv"), "--add"], "updated");
    assert_eq!(report["changed_ratings"], 1, "{report}");
    let (user, item) = (field(line, 0), field(line, 1));
    let mut whole: Vec<String> =
        case.old.iter().filter(|l| field(l, 0) == user && field(l, 1) != item).cloned().collect();
    whole.push(line.replacen(",3.0,", ",6.0,", 1));
    case.write("whole.csv", &whole);
    let other = case.update(&[&case.path("whole.csv")], "whole");
    assert!(case.model("whole") == case.model("updated"));
    // Ratings from a file without times count as later than the known ratings.
    let case = Case::new(1, &["--holdout", "none"]);
    let line = &case.old[7];
    let rating = if field(line, 2) == "5.0" { "1.0" } else { "5.0" };
    let bare = format!("userId,movieId,rating\n{},{},{rating}\n", field(line, 0), field(line, 1));
    fs::write(case.path("bare.csv"), bare).unwrap();
    let report = case.update(&[&case.path("bare.csv"), "--add"], "later");
    assert_eq!(report["changed_ratings"], 1, "{report}");
    // Another operation gives another version. An update with nothing new is not an error.
    assert_ne!(report["model_version"], other["model_version"]);
    let case = Case::new(1, &["--holdout", "none"]);
    case.write("known.csv", [&case.old[5]]);
    let report = case.update(&[&case.path("known.csv"), "--add"], "same");
    assert_eq!((&report["changed_ratings"], &report["items"]), (&0.into(), &0.into()), "{report}");
    assert!(report["warnings"][0].as_str().unwrap().contains("known already"), "{report}");
}

#[test]
fn what_is_held_out_stays_held_out() {
    let case = Case::new(3, &[]);
    let report = case.update(&[&case.path("new.csv"), "--add"], "updated");
    let held_out = report["held_out"].as_f64().unwrap();
    // The same hash holds out a tenth of the new ratings.
    assert!((held_out / case.new.len() as f64 - 0.1).abs() < 0.02, "{report}");
    let evaluated = json(&["evaluate", &case.path("updated")]);
    assert!(evaluated["n_ratings"].as_u64().is_some_and(|n| n > 0), "{evaluated}");
}

#[test]
fn impossible_updates_are_rejected() {
    let case = Case::new(3, &["--discard-ratings"]);
    let (model, new) = (case.path("m"), case.path("new.csv"));
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let (found, _, err) = run(arguments);
        assert!(found == code && err.contains(words), "{arguments:?}: {found} {err}");
    };
    refused(&["update", &model, &new, "--add", "-o", &model], 2, "exists");
    refused(&["update", &case.path("none"), &new, "-o", &case.path("x")], 3, "no such model");
    refused(&["update", &model, &case.path("none.csv"), "-o", &case.path("x")], 3, "none.csv");
    let bayes = case.path("bayes");
    json(&["train", &case.path("old.csv"), "-o", &bayes, "-a", "sgd", "-k", "4", "-i", "2"]);
    refused(
        &["update", &bayes, &new, "--add", "-o", &case.path("x")],
        2,
        "one of bayes, als or ials",
    );
    // The training ratings have moved or changed.
    fs::rename(case.path("old.csv"), case.path("moved.csv")).unwrap();
    refused(&["update", &model, &new, "--add", "-o", &case.path("x")], 3, "old.csv");
    let moved = case.path("moved.csv");
    json(&["update", &model, &new, "--add", "--seen", &moved, "-o", &case.path("x")]);
    fs::copy(&new, case.path("old.csv")).unwrap();
    refused(
        &["update", &model, &new, "--add", "-o", &case.path("y")],
        3,
        "not those that the model",
    );
    assert!(!fs::exists(case.path("y")).unwrap());
}
