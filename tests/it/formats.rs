//! The same ratings give the same numbers in every file format.

use std::fs;
use std::io::Write;
use std::path::Path;

use polars::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, lacuna, movielens, run, sample};

/// Rows as (user, item, rating, time).
fn rows(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().skip(1).map(|l| l.split(',').collect()).collect()
}

/// The report of a short training, without the entries that differ between runs.
fn numbers(inputs: &[&str], extra: &[&str]) -> Value {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("model");
    let mut line = json(
        &[&["train", "-o", model.to_str().unwrap(), "-k", "4", "-i", "2"], inputs, extra].concat(),
    );
    let line = line.as_object_mut().unwrap();
    for key in ["output", "durations_s", "peak_rss_bytes", "model_version", "warnings"] {
        line.remove(key);
    }
    serde_json::to_value(line).unwrap()
}

fn write_zip(path: &Path, members: &[(&str, &str)]) {
    let mut zip = ::zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, text) in members {
        zip.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn every_form(csv: &str) {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows = rows(csv);
    let joined = |sep: &str| rows.iter().map(|r| r.join(sep) + "\n").collect::<String>();
    fs::write(path("plain.csv"), csv).unwrap();
    fs::write(path("u.data"), joined("\t")).unwrap();
    fs::write(path("ratings.dat"), joined("::")).unwrap();
    fs::write(path("windows.csv"), csv.replace('\n', "\r\n")).unwrap();
    fs::write(path("bom.csv"), format!("\u{feff}{csv}")).unwrap();
    fs::write(path("no-end.csv"), csv.trim_end()).unwrap();
    let quoted: String = csv
        .lines()
        .map(|l| l.split(',').map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    fs::write(path("quoted.csv"), quoted).unwrap();
    let mut gz = flate2::write::GzEncoder::new(
        fs::File::create(path("r.csv.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    gz.write_all(csv.as_bytes()).unwrap();
    gz.finish().unwrap();
    fs::write(path("r.csv.zst"), zstd::encode_all(csv.as_bytes(), 1).unwrap()).unwrap();
    write_zip(
        &path("ml.zip"),
        &[
            ("ml/README.txt", "see"),
            ("ml/movies.csv", "movieId,title\n1,x\n"),
            ("ml/ratings.csv", csv),
        ],
    );
    let column = |c: usize| rows.iter().map(|r| r[c].parse::<i64>().unwrap()).collect::<Vec<_>>();
    let values: Vec<f64> = rows.iter().map(|r| r[2].parse().unwrap()).collect();
    let times: Vec<i64> = column(3).iter().map(|t| t * 1000).collect();
    let times = Int64Chunked::from_vec("timestamp".into(), times)
        .into_datetime(TimeUnit::Milliseconds, None);
    let mut frame = DataFrame::new(
        rows.len(),
        vec![
            Series::new("userId".into(), column(0).iter().map(|&v| v as i32).collect::<Vec<_>>())
                .into_column(),
            Series::new("movieId".into(), column(1)).into_column(),
            Series::new("rating".into(), values).into_column(),
            times.into_column(),
        ],
    )
    .unwrap();
    ParquetWriter::new(fs::File::create(path("r.parquet")).unwrap()).finish(&mut frame).unwrap();

    let want = numbers(&[path("plain.csv").to_str().unwrap()], &[]);
    assert!(want["holdout_rmse"].as_f64().is_some());
    for name in [
        "u.data",
        "ratings.dat",
        "windows.csv",
        "bom.csv",
        "no-end.csv",
        "quoted.csv",
        "r.csv.gz",
        "r.csv.zst",
        "ml.zip",
        "r.parquet",
    ] {
        assert_eq!(numbers(&[path(name).to_str().unwrap()], &[]), want, "{name}");
    }
    // Two halves as two files, as a directory and through a pattern.
    let half = rows.len() / 2;
    let part = |rows: &[Vec<&str>]| rows.iter().map(|r| r.join(",") + "\n").collect::<String>();
    let split = dir.path().join("split");
    fs::create_dir(&split).unwrap();
    fs::write(split.join("a.csv"), part(&rows[..half])).unwrap();
    fs::write(split.join("b.csv"), part(&rows[half..])).unwrap();
    fs::write(split.join("notes.md"), "no ratings").unwrap();
    let both = [split.join("a.csv"), split.join("b.csv")];
    assert_eq!(numbers(&[both[0].to_str().unwrap(), both[1].to_str().unwrap()], &[]), want);
    assert_eq!(numbers(&[split.to_str().unwrap()], &[]), want);
    assert_eq!(numbers(&[split.join("?.csv").to_str().unwrap()], &[]), want);
    // Standard input, plain and compressed.
    for name in ["plain.csv", "r.csv.gz", "ml.zip", "r.parquet"] {
        let model = dir.path().join(format!("model-{name}"));
        let output = lacuna()
            .args([
                "train",
                "-",
                "-o",
                model.to_str().unwrap(),
                "-k",
                "4",
                "-i",
                "2",
                "--json",
                "--quiet",
            ])
            .stdin(fs::File::open(path(name)).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["holdout_rmse"], want["holdout_rmse"], "{name}");
        let manifest: Value =
            serde_json::from_slice(&fs::read(model.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["inputs"][0]["sha256"].as_str().map(str::len), Some(64));
    }
}

#[test]
fn every_form_of_the_sample_gives_the_same_numbers() {
    every_form(&fs::read_to_string(sample()).unwrap());
}

#[test]
fn every_form_of_movielens_gives_the_same_numbers() {
    if let Some(path) = movielens() {
        every_form(&fs::read_to_string(path).unwrap());
    }
}

#[test]
fn columns_have_any_names_and_ids_come_back_as_they_were() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("r.csv");
    let mut text = String::from("who;what;stars;trust;when\n");
    for (n, user) in ["007", "7", " 7", "Zoë, Ltd", "\u{1F600}"].iter().enumerate() {
        for item in 0..6 {
            text +=
                &format!("{user};{};{};1.5;2019-01-0{}\n", 10_i64.pow(18) + item, n + 1, item + 1);
        }
    }
    fs::write(&file, text).unwrap();
    let model = dir.path().join("m");
    let (code, _, err) = run(&[
        "train",
        file.to_str().unwrap(),
        "-o",
        model.to_str().unwrap(),
        "-k",
        "2",
        "-i",
        "2",
        "--holdout",
        "none",
        "--user-col",
        "who",
        "--item-col",
        "what",
        "--rating-col",
        "stars",
        "--weight-col",
        "trust",
        "--time-col",
        "when",
    ]);
    assert_eq!(code, 0, "{err}");
    let read = |name: &str| {
        ParquetReader::new(fs::File::open(model.join(name)).unwrap()).finish().unwrap()
    };
    let users = read("user_factors.parquet");
    let ids: Vec<&str> = users.column("user_id").unwrap().str().unwrap().iter().flatten().collect();
    assert_eq!(ids, [" 7", "007", "7", "Zoë, Ltd", "\u{1F600}"]);
    let items = read("item_factors.parquet");
    assert_eq!(items.column("item_id").unwrap().i64().unwrap().get(0), Some(10_i64.pow(18)));
    let counts: Vec<i32> =
        items.column("n_ratings").unwrap().i32().unwrap().iter().flatten().collect();
    assert_eq!(counts, [5; 6]);
}

#[test]
fn parquet_of_other_types_is_read_or_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.parquet");
    let write = |users: Series| {
        let rows = users.len();
        let item = Series::new("item_id".into(), (0..rows as u16).collect::<Vec<u16>>());
        let rating =
            Series::new("rating".into(), (0..rows).map(|v| (v % 5) as i8).collect::<Vec<i8>>());
        let mut frame = DataFrame::new(
            rows,
            vec![users.into_column(), item.into_column(), rating.into_column()],
        )
        .unwrap();
        ParquetWriter::new(fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
    };
    let inspect = || run(&["inspect", path.to_str().unwrap(), "--json"]);
    write(Series::new("user_id".into(), vec![3_u64, 9, 3, 9]));
    let (code, out, err) = inspect();
    assert_eq!(code, 0, "{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&found["users"], &found["user_ids"]), (&2.into(), &"int".into()));
    write(Series::new("user_id".into(), vec![u64::MAX, 1]));
    let (code, _, err) = inspect();
    assert!(code == 3 && err.contains("column \"user_id\" holds UInt64, not ids within"), "{err}");
    write(Series::new("user_id".into(), vec![1.5, 2.5]));
    let (code, _, err) = inspect();
    assert!(code == 3 && err.contains("column \"user_id\": not an integer: \"1.5\""), "{err}");
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (from, to) = (sample(), pipe.clone());
    let writer = std::thread::spawn(move || fs::write(to, fs::read(from).unwrap()).unwrap());
    let (code, out, err) = run(&["inspect", pipe.to_str().unwrap(), "--json", "-q"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("\"ratings\":100000"), "{out}");
    writer.join().unwrap();
}
