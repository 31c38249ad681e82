//! Recommendations and neighbours.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::{Served, predictions, rated, rows};
use crate::support::{json, movielens, run, sample};

#[test]
fn lists_hold_the_best_of_what_a_user_has_not_rated() {
    let served = Served::new(&[]);
    let (model, out) = (served.path("m"), served.path("all.csv"));
    // Rank by predicted rating, because `predict` gives the same scores.
    let report = json(&["recommend", &model, "-n", "15", "-o", &out, "--rank-by", "rating"]);
    let rated = rated(&sample());
    let all: BTreeSet<i64> = rated.values().flatten().copied().collect();
    assert_eq!(report["users"], rated.len());
    let found = rows(&out);
    assert_eq!(report["rows"], found.len());
    let header = fs::read_to_string(&out).unwrap();
    assert!(header.starts_with("user_id,item_id,rank,score\n"));
    for user in [1, 17, 500, 1000] {
        let own: Vec<_> = found.iter().filter(|r| r.0 == user).collect();
        assert_eq!(own.iter().map(|r| r.2).collect::<Vec<_>>(), (1..=15).collect::<Vec<_>>());
        // The predictions for every item that the user has not rated, best first.
        let items: Vec<i64> = all.difference(&rated[&user]).copied().collect();
        let scores = predictions(&served, "m", user, &items);
        let mut order: Vec<(f64, i64)> = scores.into_iter().zip(items).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (row, (score, item)) in own.iter().zip(order) {
            // Both are sums in single precision, in different orders.
            assert!((row.3 - score).abs() < 1e-5, "{row:?} {item} {score}");
        }
        assert!(own.iter().all(|r| !rated[&user].contains(&r.1)));
    }
    // The other formats and a single requested user give the same rows.
    let parquet = served.path("all.parquet");
    json(&["recommend", &model, "-n", "15", "-o", &parquet, "-j", "1", "--rank-by", "rating"]);
    assert!(fs::read(&parquet).unwrap().starts_with(b"PAR1"));
    let (code, ndjson, _) = run(&[
        "recommend",
        &model,
        "--rank-by",
        "rating",
        "-n",
        "15",
        "--format",
        "ndjson",
        "--quiet",
    ]);
    assert_eq!((code, ndjson.lines().count()), (0, found.len()));
    for (line, row) in ndjson.lines().zip(&found) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["user_id"], row.0);
        assert_eq!(line["item_id"], row.1);
        assert_eq!(line["rank"], row.2);
        assert_eq!(line["score"].as_f64(), Some(row.3));
    }
    let one = json(&["recommend", &model, "--rank-by", "rating", "--user", "17", "-n", "15"]);
    let listed = one["lists"][0]["items"].as_array().unwrap();
    let own: Vec<_> = found.iter().filter(|r| r.0 == 17).collect();
    assert_eq!(listed.len(), own.len());
    for (listed, row) in listed.iter().zip(own) {
        assert_eq!(listed["id"], row.1);
    }
    // Include rated items.
    let seen = json(&["recommend", &model, "--user", "17", "-n", "500", "--include-seen"]);
    assert_eq!(seen["lists"][0]["items"].as_array().unwrap().len(), all.len());
    assert_eq!(seen["short_users"], u64::from(all.len() < 500));
}

#[test]
fn rules_hold_and_short_lists_and_unknown_users_are_counted() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let items = "movieId,title,genres\n1,One,A|B\n2,Two,A\n3,Three,B\n\
                 4,Four,(no genres listed)\n5,Five,A\n";
    let items = served.file("items.csv", items);
    let allow = served.file("allow.txt", "1\n2\n3\n4\n5\n99999\n");
    let deny = served.file("deny.csv", "item_id,why\n3,old\n");
    let users = served.file("users.csv", "userId\n1\n424242\n2\n1\n");
    let base = ["recommend", &model, "--allow", &allow, "--include-seen", "--item-names", &items];
    let listed = |extra: &[&str]| json(&[&base, extra].concat());
    let found = listed(&["--user", "1", "--user", "424242", "--deny", &deny]);
    assert_eq!(found["candidates"], 4);
    assert_eq!(
        (&found["users"], &found["fallback_users"], &found["short_users"]),
        (&2.into(), &1.into(), &2.into())
    );
    let titles = |list: usize, found: &Value| -> Vec<String> {
        let items = found["lists"][list]["items"].as_array().unwrap().clone();
        items.iter().map(|i| i["title"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!titles(0, &found).contains(&"Three".to_owned()));
    assert_eq!(found["lists"][0]["fallback"], false);
    assert_eq!(found["lists"][1]["fallback"], true);
    // An unknown user gets the items with the most ratings, in descending order.
    let rated = rated(&sample());
    let count = |item: i64| rated.values().filter(|own| own.contains(&item)).count();
    let ids: Vec<i64> = found["lists"][1]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].as_i64().unwrap())
        .collect();
    let counts: Vec<usize> = ids.iter().map(|&i| count(i)).collect();
    // The order counts training ratings only, while `count` includes the holdout.
    assert!(counts.windows(2).all(|w| w[0] + 30 > w[1]), "{counts:?}");
    // At most one item of each category, and the item without a category.
    let capped = listed(&["--user", "1", "--max-per-category", "1"]);
    let capped = titles(0, &capped);
    let of = |title: &str| match title {
        "One" => vec!["A", "B"],
        "Two" | "Five" => vec!["A"],
        "Three" => vec!["B"],
        _ => vec![],
    };
    let all: Vec<&str> = capped.iter().flat_map(|t| of(t)).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{capped:?}");
    assert!(capped.contains(&"Four".to_owned()));
    // Users come from a file, each counts once, and items have the minimum support.
    let out = served.path("some.csv");
    let report = json(&[
        "recommend",
        &model,
        "--users",
        &users,
        "-n",
        "3",
        "-o",
        &out,
        "--min-support",
        "150",
    ]);
    assert_eq!(report["users"], 3);
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("user_id,item_id,rank,score,fallback\n"), "{text}");
    assert_eq!(text.lines().filter(|l| l.ends_with(",true")).count(), 3);
    assert!(rows(&out).iter().all(|r| count(r.1) >= 150));
    // The table for people.
    let (code, text, _) = run(&[&base[..], &["--user", "1", "-q"]].concat());
    assert_eq!(code, 0);
    assert!(text.starts_with("items for user 1\n") && text.contains("title"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn scores_are_explained_by_ratings() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let found = json(&["recommend", &model, "--user", "17", "-n", "3", "--explain=2"]);
    let own = &rated(&sample())[&17];
    for item in found["lists"][0]["items"].as_array().unwrap() {
        let because = item["because"].as_array().unwrap();
        assert!(!because.is_empty() && because.len() <= 2);
        let shares: Vec<f64> = because.iter().map(|b| b["share"].as_f64().unwrap()).collect();
        assert!(shares.iter().all(|s| *s > 0.0) && shares.windows(2).all(|w| w[0] >= w[1]));
        assert!(because.iter().all(|b| own.contains(&b["id"].as_i64().unwrap())));
    }
    served.train("b", &sample(), &["-a", "sgd", "-i", "2"]);
    served.fails(&["recommend", &served.path("b"), "--user", "17", "--explain"], 2, &["sgd"]);
}

#[test]
fn neighbours_are_found_or_refused() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let found = json(&["similar", &model, "--item", "1", "-n", "4"]);
    let items = found["lists"][0]["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    assert!(items.iter().all(|i| i["id"] != 1 && i["score"].as_f64().unwrap() <= 1.0 + 1e-6));
    let out = served.path("near.csv");
    let all = json(&["similar", &model, "--all", "--side", "user", "-n", "2", "-o", &out]);
    assert_eq!(all["rows"], 2000);
    assert!(fs::read_to_string(&out).unwrap().starts_with("user_id,similar_user_id,rank,score\n"));
    served.fails(&["similar", &model, "--item", "abc"], 2, &["unknown item \"abc\""]);
    // A model of rank 0 has no vectors to compare.
    json(&["train", &sample(), "-o", &served.path("k0"), "-k", "0"]);
    served.fails(&["similar", &served.path("k0"), "--item", "1"], 2, &["no vectors"]);
    served.fails(&["export", &served.path("k0"), "--format", "npy"], 2, &["no vectors"]);
    served.fails(&["similar", &model, "--side", "user", "--item", "1"], 2, &["--side"]);
    assert_eq!(json(&["recommend", &served.path("k0"), "--user", "1", "-n", "2"])["rows"], 2);
}

/// A MovieLens list shows the titles of real films.
#[test]
fn movielens_is_recommended_with_titles() {
    let Some(ratings) = movielens() else { return };
    let served = Served { dir: TempDir::new().unwrap() };
    served.train("m", ratings.to_str().unwrap(), &["-k", "16"]);
    let movies = ratings.parent().unwrap().join("movies.csv");
    let (code, out, err) = run(&[
        "recommend",
        &served.path("m"),
        "--user",
        "42",
        "--item-names",
        movies.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 12, "{out}");
    // A long title is truncated before its year.
    let titled = |line: &str| line.contains("(1") || line.contains("(2") || line.contains('…');
    assert!(out.lines().skip(2).all(titled), "{out}");
}

/// The output rows are sorted by the score as written, then by id.
#[test]
fn written_rows_are_in_order() {
    let served = Served::new(&[]);
    let out = served.path("all.csv");
    json(&["recommend", &served.path("m"), "-n", "400", "-o", &out]);
    let rows = rows(&out);
    for pair in rows.windows(2).filter(|w| w[0].0 == w[1].0) {
        let (a, b) = (pair[0], pair[1]);
        assert!(a.3 > b.3 || (a.3 == b.3 && a.1 < b.1), "{pair:?}");
    }
}

/// A user's rated items are not recommended, even if training left out their ratings.
#[test]
fn ratings_that_training_left_out_are_not_recommended() {
    let served = Served::new(&["--since", "2010-01-01", "--min-user-ratings", "50"]);
    assert!(served.manifest("m")["data"]["below_minimum"].as_u64().unwrap() > 0);
    let (model, out) = (served.path("m"), served.path("all.csv"));
    let users: String = (1..=1000).map(|u| u.to_string() + "\n").collect();
    let users = served.file("users.txt", &users);
    json(&["recommend", &model, "--users", &users, "-n", "20", "-o", &out]);
    let rated = rated(&sample());
    assert!(rows(&out).iter().all(|r| !rated[&r.0].contains(&r.1)));
}

#[test]
fn invalid_lists_are_rejected() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let strange = served.file("strange.csv", "id,reason\n1,adult\n");
    for flag in ["--deny", "--allow", "--users"] {
        let arguments = ["recommend", &model, flag, &strange, "-n", "1"];
        served.fails(&arguments, 3, &["line 1", "id,reason"]);
    }
    let unknown = served.file("unknown.txt", "777777\n");
    served.fails(&["recommend", &model, "--deny", &unknown], 3, &["no item in it"]);
    let seen = served.file("seen.csv", "userId,movieId,rating\nann,x,5\n");
    served.fails(&["recommend", &model, "--user", "1", "--seen", &seen], 3, &["--seen"]);
    served.fails(&["recommend", &model, "-o", &served.path("x.tsv")], 2, &["--format"]);
}
