//! Fold-in, export and verification: the commands that write or check model files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Served, predictions, rated};
use crate::support::{PROGRAM, json, lacuna, sample};

/// A fold-in gives a new model version with its own record and leaves the other rows unchanged.
#[test]
fn users_and_items_are_folded_in() {
    let served = Served::new(&["--holdout", "none"]);
    let (model, next) = (served.path("m"), served.path("next"));
    // User 17's ratings under the same id and under a new one, and an item unknown to the model.
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
    // The same ratings give the same vector. Other users keep their vectors.
    assert_eq!(
        predictions(&served, "next", 17, &items),
        predictions(&served, "next", 70017, &items)
    );
    assert_eq!(predictions(&served, "next", 18, &items), predictions(&served, "m", 18, &items));
    // A fold-in is the half-sweep of one more iteration, so the predictions hardly change.
    let (new17, old17) =
        (predictions(&served, "next", 17, &items), predictions(&served, "m", 17, &items));
    assert!(new17.iter().zip(&old17).all(|(a, b)| (a - b).abs() < 0.3));
    assert_ne!(new17, old17);
    // Items that a folded-in user has rated are not recommended.
    let listed = json(&["recommend", &next, "--user", "70017", "-n", "500"]);
    let rated = &rated(&sample())[&17];
    let ids = listed["lists"][0]["items"].as_array().unwrap();
    assert!(ids.iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())) && !ids.is_empty());
    // A fold-in can replace its own model. Items fold in as well. Text ids are rejected here.
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
    // The next night, the same file holds other users. The model keeps the earlier ratings.
    fs::write(&new, "userId,movieId,rating\n70019,2,3\n").unwrap();
    json(&["fold-in", &next, &new, "-o", &next, "--force"]);
    let listed = json(&["recommend", &next, "--user", "70017", "--user", "70019", "-n", "500"]);
    let ids = |list: usize| listed["lists"][list]["items"].as_array().unwrap();
    assert!(ids(0).iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())));
    assert!(ids(1).iter().all(|i| i["id"] != 2) && ids(1).len() == 499);
    assert!(served.manifest("next")["folded"].as_array().unwrap().len() == 3);
}

/// A folded-in row has seen its own holdout, so an evaluation leaves that holdout out.
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
    // Only --force repeats an export. Other exports stay.
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
    // An export to its own directory has its own manifest.
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
    // Export through a symbolic link, then replace a model with exports by a new training.
    std::os::unix::fs::symlink(&model, served.dir.path().join("latest")).unwrap();
    json(&["export", &served.path("latest"), "--format", "resp"]);
    assert!(served.dir.path().join("latest").is_symlink());
    served.train("m", &sample(), &["--force"]);
    assert!(!served.dir.path().join("m/exports").exists());
    // Misleading combinations are rejected before anything is read.
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
    // A foreign file in the directory prevents an export.
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

/// A limit on the size of files simulates a full disk.
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
    // A closed reader of standard output is not a failure.
    let mut child = lacuna()
        .args(["recommend", &model, "-n", "400", "--quiet"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
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

/// An export does not replace a model, and a model does not replace an export.
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

/// Concurrent exports are all listed, whichever finishes first.
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
    // A deleted export is dropped from the manifest and can be written again.
    fs::remove_dir_all(Path::new(&model).join("exports/csv-raw")).unwrap();
    json(&["export", &model, "--format", "csv", "--layout", "dot"]);
    json(&["export", &model, "--format", "csv"]);
    assert_eq!(served.manifest("m")["flavors"].as_object().unwrap().len(), 5);
    // Export from within the model directory.
    let inside =
        lacuna().current_dir(&model).args(["export", ".", "-f", "fbin", "-q"]).status().unwrap();
    assert!(inside.success() && Path::new(&model).join("exports/fbin-raw").is_dir());
}

/// An evaluation uses the factors fitted without the holdout, which a fold-in does not change.
#[test]
fn a_refitted_model_is_measured_as_before_after_a_fold_in() {
    let served = Served::new(&["--refit"]);
    let (model, next) = (served.path("m"), served.path("next"));
    let new = served.file("new.csv", "userId,movieId,rating\n1,1,5\n1,2,1\n2,999999,5\n");
    let done = json(&["fold-in", &model, &new, "-o", &next]);
    assert_eq!((&done["replaced"], &done["left_out"]), (&1.into(), &1.into()));
    let of = |model: &str| json(&["evaluate", model])["rating"]["rmse"].clone();
    assert_eq!(of(&model), of(&next));
    // The fold-in left user 2 out. The model still knows the items that this user has rated.
    let rated = &rated(&sample())[&2];
    let listed = json(&["recommend", &next, "--user", "2", "-n", "500"]);
    let ids = listed["lists"][0]["items"].as_array().unwrap();
    assert!(ids.iter().all(|i| !rated.contains(&i["id"].as_i64().unwrap())));
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
    let words = ["2 of 7", "item_embeddings.csv", "metrics.json"];
    served.fails(&["verify", &model], 3, &words);
    fs::write(Path::new(&apart).join("mine"), "").unwrap();
    assert_eq!(json(&["verify", &apart])["unlisted"][0], "mine");
    served.fails(&["verify", &served.path("nowhere")], 3, &["manifest.json"]);
}
