//! Using a stored model: recommend, similar, fold-in, export.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PROGRAM, json, lacuna, movielens, run, sample};

struct Served {
    dir: TempDir,
}

impl Served {
    fn new(extra: &[&str]) -> Self {
        let served = Self { dir: TempDir::new().unwrap() };
        served.train("m", &sample(), extra);
        served
    }

    fn train(&self, name: &str, ratings: &str, extra: &[&str]) {
        let model = self.path(name);
        let algorithm: &[&str] = if extra.contains(&"-a") { &[] } else { &["-a", "als"] };
        let flags = ["train", ratings, "-o", &model, "-k", "6", "-i", "4"];
        json(&[&flags, algorithm, extra].concat());
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.dir.path().join(name), content).unwrap();
        self.path(name)
    }

    fn manifest(&self, name: &str) -> Value {
        let path = self.dir.path().join(name).join("manifest.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// Everything below the directory with its content.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(at: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.dir.path(), &mut found);
        found
    }

    /// Runs a command that must fail with this exit code and a message with these words, and change nothing.
    fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let before = self.content();
        let (found, out, err) = run(arguments);
        assert_eq!(found, code, "{arguments:?}: {out}{err}");
        for word in words {
            assert!(err.contains(word), "{arguments:?}: {err}");
        }
        assert!(!err.contains("panicked"), "{err}");
        assert!(before == self.content(), "{arguments:?} changed files");
    }
}

/// Rated items of each user of a ratings file.
fn rated(path: &str) -> BTreeMap<i64, BTreeSet<i64>> {
    let text = fs::read_to_string(path).unwrap();
    let mut rated: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        rated.entry(fields[0].parse().unwrap()).or_default().insert(fields[1].parse().unwrap());
    }
    rated
}

/// Rows of a CSV file: user, item, rank, score.
fn rows(path: &str) -> Vec<(i64, i64, usize, f64)> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        (f[0].parse().unwrap(), f[1].parse().unwrap(), f[2].parse().unwrap(), f[3].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

/// What `predict` says of all pairs of a user.
fn predictions(served: &Served, model: &str, user: i64, items: &[i64]) -> Vec<f64> {
    let mut pairs = "user_id,item_id\n".to_owned();
    for item in items {
        pairs += &format!("{user},{item}\n");
    }
    let pairs = served.file("pairs.csv", &pairs);
    let out = served.path("predicted.csv");
    json(&["predict", &served.path(model), "--pairs", &pairs, "-o", &out, "--force"]);
    let text = fs::read_to_string(out).unwrap();
    text.lines().skip(1).map(|l| l.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

#[test]
fn lists_hold_the_best_of_what_a_user_has_not_rated() {
    let served = Served::new(&[]);
    let (model, out) = (served.path("m"), served.path("all.csv"));
    // By predicted ratings, which `predict` gives, too.
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
        // What `predict` says of every item the user has not rated, best first.
        let items: Vec<i64> = all.difference(&rated[&user]).copied().collect();
        let scores = predictions(&served, "m", user, &items);
        let mut order: Vec<(f64, i64)> = scores.into_iter().zip(items).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (row, (score, item)) in own.iter().zip(order) {
            // Both in single precision, summed in different orders.
            assert!((row.3 - score).abs() < 1e-5, "{row:?} {item} {score}");
        }
        assert!(own.iter().all(|r| !rated[&user].contains(&r.1)));
    }
    // The same rows in the other forms, and for users who are listed.
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
    // With rated items, too.
    let seen = json(&["recommend", &model, "--user", "17", "-n", "500", "--include-seen"]);
    assert_eq!(seen["lists"][0]["items"].as_array().unwrap().len(), all.len());
    assert_eq!(seen["short_users"], u64::from(all.len() < 500));
}

#[test]
fn rules_hold_and_short_lists_and_unknown_users_are_counted() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let items = "movieId,title,genres\n1,One,A|B\n2,Two,A\n3,Three,B\n4,Four,(no genres listed)\n5,Five,A\n";
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
    // An unknown user gets the most rated items, best first.
    let rated = rated(&sample());
    let count = |item: i64| rated.values().filter(|own| own.contains(&item)).count();
    let ids: Vec<i64> = found["lists"][1]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].as_i64().unwrap())
        .collect();
    let counts: Vec<usize> = ids.iter().map(|&i| count(i)).collect();
    // Counts of training ratings follow those of all but for what is held out.
    assert!(counts.windows(2).all(|w| w[0] + 30 > w[1]), "{counts:?}");
    // One item of each category, and the item without any.
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
    // Users from a file, each once, and minimum support.
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
    // A table that a person understands.
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
    // Without vectors there is no direction.
    json(&["train", &sample(), "-o", &served.path("k0"), "-k", "0"]);
    served.fails(&["similar", &served.path("k0"), "--item", "1"], 2, &["no vectors"]);
    served.fails(&["export", &served.path("k0"), "--format", "npy"], 2, &["no vectors"]);
    served.fails(&["similar", &model, "--side", "user", "--item", "1"], 2, &["--side"]);
    assert_eq!(json(&["recommend", &served.path("k0"), "--user", "1", "-n", "2"])["rows"], 2);
}

/// A version with rows folded in: others are untouched, identity and record are new.
#[test]
fn users_and_items_are_folded_in() {
    let served = Served::new(&["--holdout", "none"]);
    let (model, next) = (served.path("m"), served.path("next"));
    // User 17 again under another id, and unchanged; an item that the model does not know.
    let text = fs::read_to_string(sample()).unwrap();
    let own: Vec<&str> = text.lines().filter(|l| l.starts_with("17,")).collect();
    let mut new = vec!["userId,movieId,rating,timestamp".to_owned()];
    new.extend(own.iter().map(|l| (*l).to_owned()));
    new.extend(own.iter().map(|l| l.replacen("17,", "70017,", 1)));
    new.push("70017,88888,5,0".into());
    new.push("70018,88888,5,0".into());
    let new = served.file("new.csv", &(new.join("\n") + "\n"));
    let done = json(&["fold-in", &model, &new, "-o", &next]);
    assert_eq!(
        (&done["added"], &done["replaced"], &done["left_out"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(done["unknown_ratings"], 2);
    assert_eq!(done["ratings"], 2 * own.len());
    let (before, after) = (served.manifest("m"), served.manifest("next"));
    assert_ne!(before["model_version"], after["model_version"]);
    assert_eq!(after["folded"][0]["model_version"], before["model_version"]);
    assert_eq!(after["inputs"], before["inputs"]);
    let items: Vec<i64> = (1..=40).collect();
    // The same ratings, the same vector; other users as they were.
    assert_eq!(
        predictions(&served, "next", 17, &items),
        predictions(&served, "next", 70017, &items)
    );
    assert_eq!(predictions(&served, "next", 18, &items), predictions(&served, "m", 18, &items));
    // The half-sweep of one more iteration would give nearly what training ended with.
    let (new17, old17) =
        (predictions(&served, "next", 17, &items), predictions(&served, "m", 17, &items));
    assert!(new17.iter().zip(&old17).all(|(a, b)| (a - b).abs() < 0.3));
    assert_ne!(new17, old17);
    // What a folded-in user has rated is not recommended.
    let listed = json(&["recommend", &next, "--user", "70017", "-n", "500"]);
    let rated = &rated(&sample())[&17];
    let ids = listed["lists"][0]["items"].as_array().unwrap();
    assert!(ids.iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())) && !ids.is_empty());
    // Again onto itself; items, too; and text is no integer.
    json(&["fold-in", &next, &new, "-o", &next, "--force"]);
    assert_eq!(served.manifest("next")["folded"].as_array().unwrap().len(), 2);
    let items = served.file("items.csv", "userId,movieId,rating\n1,4242,5\n2,4242,1\n");
    let done = json(&["fold-in", &next, &items, "-o", &served.path("items"), "--side", "item"]);
    assert_eq!((&done["added"], &done["ratings"]), (&1.into(), &2.into()));
    let strange = served.file("strange.csv", "userId,movieId,rating\nann,1,5\n");
    let out = served.path("x");
    served.fails(&["fold-in", &model, &strange, "-o", &out], 3, &["\"ann\"", "integers"]);
    let unknown = served.file("unknown.csv", "userId,movieId,rating\n1,77777,5\n");
    served.fails(&["fold-in", &model, &unknown, "-o", &out], 3, &["unknown users or items"]);
    served.fails(&["fold-in", &model, &new, "-o", &next], 2, &["--force"]);
    served.train("s", &sample(), &["-a", "sgd"]);
    served.fails(&["fold-in", &served.path("s"), &new, "-o", &out], 2, &["sgd"]);
    // The next night has other users in the same file: what was folded in before is kept in the model.
    fs::write(&new, "userId,movieId,rating\n70019,2,3\n").unwrap();
    json(&["fold-in", &next, &new, "-o", &next, "--force"]);
    let listed = json(&["recommend", &next, "--user", "70017", "--user", "70019", "-n", "500"]);
    let ids = |list: usize| listed["lists"][list]["items"].as_array().unwrap();
    assert!(ids(0).iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())));
    assert!(ids(1).iter().all(|i| i["id"] != 2) && ids(1).len() == 499);
    assert!(served.manifest("next")["folded"].as_array().unwrap().len() == 3);
}

/// Rows that were folded in have seen their own holdout: it does not count.
#[test]
fn the_holdout_of_folded_rows_is_left_out() {
    let served = Served::new(&[]);
    let text = fs::read_to_string(sample()).unwrap();
    let own: Vec<&str> =
        text.lines().filter(|l| l.starts_with("17,") || l.starts_with("userId")).collect();
    let new = served.file("new.csv", &(own.join("\n") + "\n"));
    let (model, next) = (served.path("m"), served.path("next"));
    json(&["fold-in", &model, &new, "-o", &next]);
    let (before, after) = (json(&["evaluate", &model]), json(&["evaluate", &next]));
    let left_out = after["in_training"].as_u64().unwrap();
    assert!(left_out > 0);
    assert_eq!(
        before["n_ratings"].as_u64().unwrap() - left_out,
        after["n_ratings"].as_u64().unwrap()
    );
}

#[test]
fn exports_are_listed_with_their_checksums() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let done = json(&["export", &model, "--format", "npy", "--layout", "mips"]);
    assert_eq!(done["width"], 8);
    let manifest = served.manifest("m");
    let norm = manifest["model"]["mips_norm"].as_f64().unwrap();
    assert_eq!(manifest["flavors"]["npy-mips"]["mips_norm"].as_f64(), Some(norm));
    let listed = |manifest: &Value| -> BTreeSet<String> {
        let outputs = manifest["outputs"].as_array().unwrap().clone();
        outputs.iter().map(|o| o["path"].as_str().unwrap().to_owned()).collect()
    };
    let own = "exports/npy-mips/item_embeddings.npy";
    assert!(listed(&manifest).contains(own));
    // Twice only by force; others stay.
    served.fails(&["export", &model, "--format", "npy", "--layout", "mips"], 2, &["--force"]);
    json(&["export", &model, "--format", "csv"]);
    json(&["export", &model, "--format", "npy", "--layout", "mips", "--force", "--side", "item"]);
    let manifest = served.manifest("m");
    assert!(listed(&manifest).contains("exports/csv-raw/user_embeddings.csv"));
    assert!(!listed(&manifest).contains("exports/npy-mips/user_embeddings.npy"));
    let on_disk = served.content();
    for entry in manifest["outputs"].as_array().unwrap() {
        let path = served.dir.path().join("m").join(entry["path"].as_str().unwrap());
        assert_eq!(on_disk[&path].len() as u64, entry["bytes"].as_u64().unwrap());
    }
    assert_eq!(
        on_disk.keys().filter(|p| p.starts_with(served.dir.path().join("m"))).count(),
        manifest["outputs"].as_array().unwrap().len() + 1
    );
    // A directory of its own, with a manifest.
    let apart = served.path("apart");
    json(&[
        "export", &model, "--format", "fbin", "--layout", "dot", "--dtype", "f16", "-o", &apart,
    ]);
    let own = served.manifest("apart");
    assert_eq!(
        (&own["format"], &own["layout"], &own["dtype"]),
        (&"fbin".into(), &"dot".into(), &"f16".into())
    );
    assert!(served.dir.path().join("apart/item_embeddings.hbin").is_file());
    // Through a link, and a new training over a model with exports.
    std::os::unix::fs::symlink(&model, served.dir.path().join("latest")).unwrap();
    json(&["export", &served.path("latest"), "--format", "resp"]);
    assert!(served.dir.path().join("latest").is_symlink());
    served.train("m", &sample(), &["--force"]);
    assert!(!served.dir.path().join("m/exports").exists());
    // What would mislead is refused before anything is read.
    for (format, layout, dtype, word) in [
        ("word2vec", "dot", "f32", "mips"),
        ("vespa", "mips", "f32", "--layout dot"),
        ("csv", "raw", "f16", "npy"),
        ("spark-als", "raw", "f32", "--layout dot"),
    ] {
        let arguments =
            ["export", &model, "--format", format, "--layout", layout, "--dtype", dtype];
        served.fails(&arguments, 2, &[word]);
    }
    served.fails(&["export", &model, "--format", "npx"], 2, &["no such format", "safetensors"]);
    // A file of somebody else's keeps the directory as it is.
    fs::write(served.dir.path().join("m/notes.txt"), "mine").unwrap();
    served.fails(&["export", &model, "--format", "npy"], 2, &["notes.txt"]);
}

#[test]
fn damage_and_wrong_tables_are_said_once_and_change_nothing() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let out = served.path("out.csv");
    let keyless = served.file("keyless.csv", "key,title\n1,x\n");
    served.fails(
        &["recommend", &model, "--user", "1", "--item-names", &keyless],
        3,
        &["keyless.csv", "--table-id-col"],
    );
    served.fails(
        &["recommend", &model, "--item-names", "nowhere.csv", "-o", &out],
        3,
        &["nowhere.csv"],
    );
    served.fails(
        &["recommend", &model, "--max-per-category", "2", "-o", &out],
        2,
        &["--item-table"],
    );
    served.fails(&["recommend", &model, "--user", "abc"], 2, &["\"abc\"", "integer"]);
    let nothing = served.file("nothing.txt", "\n");
    served.fails(&["recommend", &model, "--allow", &nothing, "-o", &out], 2, &["--allow"]);
    served.fails(&["recommend", &model, "--format", "parquet"], 2, &["--output"]);
    served.fails(&["similar", &model], 2, &["--item"]);
    served.fails(&["recommend", &served.path("nowhere"), "--user", "1"], 3, &["no such model"]);
    let table = Path::new(&model).join("item_factors.parquet");
    let whole = fs::read(&table).unwrap();
    let manifest = fs::read_to_string(Path::new(&model).join("manifest.json")).unwrap();
    let damages: [(&str, &dyn Fn()); 4] = [
        ("checksum", &|| fs::write(&table, &whole[..whole.len() - 9]).unwrap()),
        ("incomplete", &|| fs::remove_file(&table).unwrap()),
        ("newer", &|| {
            let newer = manifest.replacen("\"format_version\": 1", "\"format_version\": 2", 1);
            fs::write(Path::new(&model).join("manifest.json"), newer).unwrap();
        }),
        ("vectors of 6 numbers", &|| {
            let wrong = manifest.replacen("\"k\": 6", "\"k\": 7", 1);
            fs::write(Path::new(&model).join("manifest.json"), wrong).unwrap();
        }),
    ];
    for (word, damage) in damages {
        damage();
        let new = served.file("new.csv", "userId,movieId,rating\n1,1,5\n");
        let next = served.path("next");
        served.fails(&["recommend", &model, "-o", &out], 3, &[word]);
        served.fails(&["similar", &model, "--all", "-o", &out], 3, &[word]);
        served.fails(&["fold-in", &model, &new, "-o", &next], 3, &[word]);
        served.fails(&["export", &model, "--format", "npy"], 3, &[word]);
        fs::write(&table, &whole).unwrap();
        fs::write(Path::new(&model).join("manifest.json"), &manifest).unwrap();
    }
}

/// Files that may not grow beyond some blocks stand for a full disk.
#[test]
fn a_full_disk_leaves_what_was_there() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let new = served.file("new.csv", "userId,movieId,rating\n1,1,5\n");
    let old = served.file("old.csv", "precious\n");
    let next = served.path("next");
    for arguments in [
        vec!["recommend", &model, "-n", "100", "-o", &old, "--force"],
        vec!["similar", &model, "--all", "-n", "100", "-o", &old, "--force"],
        vec!["fold-in", &model, &new, "-o", &next],
        vec!["fold-in", &model, &new, "-o", &model, "--force"],
        vec!["export", &model, "--format", "csv"],
        vec!["export", &model, "--format", "parquet", "-o", &next],
        vec!["export", &model, "--format", "npz"],
    ] {
        let before = served.content();
        let limited = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", PROGRAM])
            .args(&arguments)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&limited.stderr);
        assert_eq!(limited.status.code(), Some(7), "{arguments:?}: {err}");
        assert!(err.contains("cannot write"), "{err}");
        assert!(before == served.content(), "{arguments:?} changed files");
    }
    // A reader that has gone away is no failure.
    let mut child = lacuna()
        .args(["recommend", &model, "-n", "400", "--quiet"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// Titles of real films.
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
    // A long title is cut before its year.
    let titled = |line: &str| line.contains("(1") || line.contains("(2") || line.contains('…');
    assert!(out.lines().skip(2).all(titled), "{out}");
}

#[test]
fn what_a_manifest_lists_lies_in_its_directory() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let victim = served.file("victim.txt", "precious");
    let path = Path::new(&model).join("manifest.json");
    let manifest = fs::read_to_string(&path).unwrap();
    for name in ["../victim.txt", &victim, "item_factors.parquet"] {
        let mut value: Value = serde_json::from_str(&manifest).unwrap();
        let mut entry = value["outputs"][0].clone();
        entry["path"] = name.into();
        value["outputs"].as_array_mut().unwrap().push(entry);
        fs::write(&path, value.to_string()).unwrap();
        served.fails(&["export", &model, "--format", "npy"], 3, &["it lists", name]);
    }
}

/// An export does not replace a model, nor a model an export.
#[test]
fn one_kind_of_directory_does_not_replace_another() {
    let served = Served::new(&[]);
    let (model, apart) = (served.path("m"), served.path("apart"));
    let export = ["export", &model, "--format", "npy", "--force", "-o"];
    served.fails(&[&export[..], &[&model]].concat(), 2, &["is a model, not an export"]);
    json(&[&export[..], &[&apart]].concat());
    json(&[&export[..], &[&apart]].concat());
    served.fails(&["train", &sample(), "-o", &apart, "--force"], 2, &["is an export, not a model"]);
    served.fails(&["recommend", &apart, "--user", "1"], 3, &["manifest.json"]);
}

/// Both are listed, whichever comes first.
#[test]
fn exports_at_the_same_time_wait_for_each_other() {
    let served = Served::new(&[]);
    let model = served.path("m");
    let formats = ["npy", "csv", "ndjson", "resp"];
    let children: Vec<_> = formats
        .iter()
        .map(|f| lacuna().args(["export", &model, "--format", f, "--quiet"]).spawn().unwrap())
        .collect();
    assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
    let flavors = served.manifest("m")["flavors"].as_object().unwrap().clone();
    assert_eq!(
        flavors.keys().collect::<Vec<_>>(),
        ["csv-raw", "ndjson-raw", "npy-raw", "resp-raw"]
    );
    // One that somebody deleted is forgotten, and can be made again.
    fs::remove_dir_all(Path::new(&model).join("exports/csv-raw")).unwrap();
    json(&["export", &model, "--format", "csv", "--layout", "dot"]);
    json(&["export", &model, "--format", "csv"]);
    assert_eq!(served.manifest("m")["flavors"].as_object().unwrap().len(), 5);
    // From within the directory.
    let inside =
        lacuna().current_dir(&model).args(["export", ".", "-f", "fbin", "-q"]).status().unwrap();
    assert!(inside.success() && Path::new(&model).join("exports/fbin-raw").is_dir());
}

/// Rows of the output are ordered by the score as it is written, then by id.
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

/// A rating that training left out is a rating all the same.
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

/// Measured are the factors fitted without the holdout, to which nothing was folded in.
#[test]
fn a_refitted_model_is_measured_as_before_after_a_fold_in() {
    let served = Served::new(&["--refit"]);
    let (model, next) = (served.path("m"), served.path("next"));
    let new = served.file("new.csv", "userId,movieId,rating\n1,1,5\n1,2,1\n2,999999,5\n");
    let done = json(&["fold-in", &model, &new, "-o", &next]);
    assert_eq!((&done["replaced"], &done["left_out"]), (&1.into(), &1.into()));
    let of = |model: &str| json(&["evaluate", model])["rating"]["rmse"].clone();
    assert_eq!(of(&model), of(&next));
    // User 2 was left out: what the user has rated is still known.
    let rated = &rated(&sample())[&2];
    let listed = json(&["recommend", &next, "--user", "2", "-n", "500"]);
    let ids = listed["lists"][0]["items"].as_array().unwrap();
    assert!(ids.iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())));
}

#[test]
fn lists_that_are_none_are_refused() {
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

#[test]
fn a_stop_leaves_no_export() {
    let served = Served::new(&[]);
    let before = served.content();
    let config = lacuna::serving::ExportConfig {
        model: served.path("m").into(),
        format: "csv".parse().unwrap(),
        layout: lacuna::model::Layout::Dot,
        dtype: lacuna::export::Dtype::F32,
        side: None,
        output: None,
        force: false,
    };
    let stopped = std::sync::atomic::AtomicBool::new(true);
    let outcome = lacuna::serving::export(&config, &lacuna::job::Job::new(&stopped, &|_| {}));
    assert!(matches!(outcome, Err(lacuna::error::Error::Stopped)), "{outcome:?}");
    assert!(before == served.content());
}

#[test]
fn models_and_exports_are_verified() {
    let served = Served::new(&[]);
    let (model, apart) = (served.path("m"), served.path("apart"));
    json(&["export", &model, "--format", "csv"]);
    json(&["export", &model, "--format", "npz", "-o", &apart]);
    for path in [&model, &apart] {
        let found = json(&["verify", path]);
        assert_eq!(
            (&found["damaged"], &found["unlisted"]),
            (&Value::Array(vec![]), &Value::Array(vec![]))
        );
    }
    fs::write(Path::new(&model).join("exports/csv-raw/item_embeddings.csv"), "item_id\n").unwrap();
    fs::remove_file(Path::new(&model).join("metrics.json")).unwrap();
    let words = ["2 of 7 files", "item_embeddings.csv", "metrics.json"];
    served.fails(&["verify", &model], 3, &words);
    fs::write(Path::new(&apart).join("mine"), "").unwrap();
    assert_eq!(json(&["verify", &apart])["unlisted"][0], "mine");
    served.fails(&["verify", &served.path("nowhere")], 3, &["manifest.json"]);
}
