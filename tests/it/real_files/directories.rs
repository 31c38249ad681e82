//! Directories, patterns, archives and empty parts.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use super::{Files, item, rows, stars, table, user, warned};
use crate::support::run;

#[test]
fn empty_parts_are_left_out_and_named() {
    let files = Files::new();
    let (count, text) = rows(",", "item 7");
    let header = "user_id,item_id,rating\n";
    let good = files.write("parts/a.csv", &format!("{header}{text}"));
    files.write("parts/b.csv", header);
    files.write("parts/c.csv", "");
    files.write("parts/d.csv", "\u{feff}\r\n");
    let found = files.trains(&[&files.path("parts")]);
    assert_eq!(found["n_ratings"], count);
    let warned = found["warnings"].to_string();
    assert!(
        warned.contains("3 of 4 inputs have no ratings: ") && warned.contains("b.csv"),
        "{warned}"
    );
    // Nothing is left.
    files.fails(&[&files.path("parts/b.csv")], 3, &["b.csv: no ratings in this file"]);
    files.fails(&[&files.path("parts/c.csv")], 3, &["c.csv: the file is empty"]);
    let both = [&*files.path("parts/c.csv"), &*files.path("parts/b.csv")];
    files.fails(&both, 3, &["c.csv: the file is empty, and none in the other 1"]);
    files.fails(&[&good, "--test-file", &files.path("parts/b.csv")], 3, &["b.csv: no ratings"]);
}

/// 200 rows, of which every file has some.
fn part(nth: usize) -> String {
    let all = table("user_id,item_id,rating", |n| format!("{},{},{}", user(n), item(n), stars(n)));
    let rows = all.lines().enumerate();
    let own = rows.filter(|(n, _)| *n == 0 || n % 4 == nth).map(|(_, line)| line);
    own.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn what_a_directory_leaves_out_is_said() {
    let files = Files::new();
    files.write("d/a.csv", &part(0));
    for other in ["b.bz2", "c.xz", "notes.md", ".hidden.csv", "_SUCCESS", "a.csv.crc"] {
        files.write(&format!("d/{other}"), &part(1));
    }
    let found = files.trains(&[&files.path("d")]);
    assert_eq!(found["n_ratings"], 50);
    let warning = warned(&found);
    assert!(warning.contains("4 files or directories were not read as ratings"), "{warning}");
    assert!(warning.contains("b.bz2") && !warning.contains("hidden"), "{warning}");
    // Hidden names are no matches of a pattern either.
    files.write("d/_temporary/e.csv", &part(2));
    let found = files.trains(&[&files.path("d/**/*.csv")]);
    assert_eq!(found["n_ratings"], 50);
}

#[test]
fn partitions_are_read_on_request_only() {
    let files = Files::new();
    for (day, nth) in [("day=1", 1), ("day=2", 2), ("day=3", 3)] {
        files.write(&format!("d/{day}/part-0.csv"), &part(nth));
        files.write(&format!("d/{day}/_SUCCESS"), "");
    }
    files.fails(&[&files.path("d")], 3, &["partitioned (day=", "--recursive"]);
    // A file beside the partitions does not hide them.
    files.write("d/stray.csv", &part(0));
    files.fails(&[&files.path("d")], 3, &["partitioned (day=", "--recursive"]);
    assert_eq!(files.trains(&[&files.path("d"), "--recursive"])["n_ratings"], 200);
    assert_eq!(files.trains(&[&files.path("d/day=[12]/*")])["n_ratings"], 100);
}

#[test]
fn a_directory_of_movielens_stands_for_its_ratings() {
    let files = Files::new();
    files.write("ml/ratings.csv", &part(0));
    files.write("ml/links.csv", "movieId,imdbId\n1,2\n");
    files.write("ml/README.txt", "Summary\n=======\n");
    let found = files.trains(&[&files.path("ml")]);
    assert_eq!(found["n_ratings"], 50);
    assert!(warned(&found).contains("links.csv"), "{found}");
}

#[test]
fn tables_with_a_log_are_refused() {
    for (kind, log) in [
        ("Delta", "_delta_log/00000000000000000000.json"),
        ("Hudi", ".hoodie/hoodie.properties"),
        ("Iceberg", "metadata/v1.metadata.json"),
    ] {
        let files = Files::new();
        files.write("t/part-0.csv", &part(0));
        files.write("t/data/part-1.csv", &part(1));
        files.write(&format!("t/{log}"), "{}");
        files.fails(&[&files.path("t")], 3, &["this is a", kind, "its log says"]);
        files.fails(&[&files.path("t"), "--recursive"], 3, &["this is a", kind]);
        files.fails(&[&files.path("t/*.csv")], 3, &["this is a", kind]);
        files.fails(&[&files.path("t/*/part-1.csv")], 3, &["this is a", kind]);
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let files = Files::new();
    files.write("d/a.csv", &part(0));
    let odd = std::ffi::OsStr::from_bytes(b"b-\xff.csv");
    fs::write(files.0.path().join("d").join(odd), part(1)).unwrap();
    for argument in [files.path("d"), files.path("d/*.csv")] {
        files.fails(&[&argument], 3, &["is not UTF-8"]);
    }
    let files = Files::new();
    files.write("d/a.csv", &part(0));
    std::os::unix::fs::symlink("nowhere.csv", files.path("d/b.csv")).unwrap();
    for argument in [files.path("d"), files.path("d/*.csv")] {
        files.fails(&[&argument], 3, &["b.csv"]);
    }
}

#[test]
fn a_file_counts_once() {
    let files = Files::new();
    let a = files.write("d/a.csv", &part(0));
    files.fails(&[&a, &a], 2, &["passed twice"]);
    files.fails(&[&a, &files.path("d")], 2, &["passed twice"]);
    std::os::unix::fs::symlink(&a, files.path("d/b.csv")).unwrap();
    files.fails(&[&files.path("d")], 2, &["are the same file"]);
    files.fails(&[&a, &files.path("d/./a.csv")], 2, &["same file"]);
}

#[test]
fn a_member_of_an_archive_can_be_named() {
    let files = Files::new();
    let path = files.path("two.zip");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, nth) in [("in/a.csv", 0), ("in/b.csv", 1), ("in/c.txt", 2)] {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        archive.write_all(part(nth).as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    files.fails(&[&path], 3, &["exactly one rating file, not 3", "two.zip:MEMBER", "in/b.csv"]);
    let member = format!("{path}:in/b.csv");
    assert_eq!(files.trains(&[&member])["n_ratings"], 50);
    let both = [&*format!("{path}:in/a.csv"), &*member];
    assert_eq!(files.trains(&both)["n_ratings"], 100);
    files.fails(&[&member, &member], 2, &["passed twice"]);
    files.fails(&[&format!("{path}:none.csv")], 3, &["no member \"none.csv\"", "in/a.csv"]);
    // A nightly run takes it as well.
    let runs = files.path("runs");
    let night = ["run", &member, "-o", &runs, "-k", "2", "-i", "1", "--gate", "bias-only=off"];
    let (code, _, err) = run(&night);
    assert_eq!(code, 0, "{err}");
}
