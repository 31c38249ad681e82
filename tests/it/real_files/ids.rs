//! Ids: several spellings of one, texts that mean none, the header again.

use std::fs;

use super::{Files, inspects, item, stars, table, user, warned};
use crate::support::run;

/// 200 rows, with other cells for the users of some rows.
fn with(odd: &[(usize, &str)]) -> String {
    table("user_id,item_id,rating", |n| {
        let odd = odd.iter().find(|(row, _)| *row == n);
        let user = odd.map_or(user(n).to_string(), |(_, text)| (*text).to_owned());
        format!("{user},{},{}", item(n), stars(n))
    })
}

#[test]
fn a_few_ids_of_another_type_are_named() {
    let files = Files::new();
    for (text, line, flag) in [
        ("112.0", 14, "--id-type int"),
        ("x", 14, "--id-type int"),
        (" 112", 14, "--trim"),
        ("1e2", 14, "--id-type int"),
        ("\u{a0}112", 14, "--id-type int"),
    ] {
        let path = files.write("r.csv", &with(&[(12, text)]));
        let found = files.trains(&[&path]);
        let warning = warned(&found);
        assert!(warning.contains(&format!("r.csv:{line}: the user id")), "{text}: {warning}");
        assert!(warning.contains("1 of 200 rows") && warning.contains(flag), "{text}: {warning}");
        assert!(warned(&inspects(&[&path])).contains("1 of 200 rows"));
        // Who says what is meant hears nothing.
        let said = files.trains(&[&path, "--id-type", "text"]);
        assert!(!warned(&said).contains("integer"), "{said}");
    }
    let path = files.write("r.csv", &with(&[(12, "112.0")]));
    let ints = files.trains(&[&path, "--id-type", "int"]);
    assert_eq!((&ints["n_users"], &warned(&ints)), (&20.into(), &"[]".to_owned()));
    let path = files.write("r.csv", &with(&[(12, "x")]));
    files.fails(&[&path, "--id-type", "int"], 3, &["r.csv:14:", "not an integer"]);
    let path = files.write("r.csv", &with(&[(12, " 112 ")]));
    assert_eq!(files.trains(&[&path, "--trim"])["n_users"], 20);
}

#[test]
fn two_spellings_of_many_ids_are_counted() {
    let files = Files::new();
    let plain = files.write("a.csv", &with(&[]));
    let text =
        table("user_id,item_id,rating", |n| format!("{}.0,{},{}", user(n), item(n) + 50, stars(n)));
    let floats = files.write("b.csv", &text);
    let found = files.trains(&[&plain, &floats]);
    assert_eq!(found["n_users"], 40);
    let warning = warned(&found);
    assert!(warning.contains("20 users have an id in two spellings"), "{warning}");
    assert!(warning.contains("\\\"100\\\" and \\\"100.0\\\""), "{warning}");
    assert_eq!(files.trains(&[&plain, &floats, "--id-type", "int"])["n_users"], 20);
}

#[test]
fn texts_that_mean_no_id_are_named_and_left_out_on_request() {
    let files = Files::new();
    for null in ["NULL", "\\N", "nan", "None", "<NA>", "  "] {
        let path = files.write("r.csv", &with(&[(12, null), (32, null)]));
        let found = files.trains(&[&path]);
        let warning = warned(&found);
        assert!(warning.contains("r.csv:14: the user id"), "{null}: {warning}");
        assert!(warning.contains("2 of 200 rows") && warning.contains("--null-ids"), "{warning}");
        let kept = files.trains(&[&path, "--null-ids", null.trim()]);
        assert_eq!((&kept["n_ratings"], &warned(&kept)), (&198.into(), &"[]".to_owned()), "{null}");
        assert_eq!(kept["n_users"], 20);
    }
    // Several texts, and cells without any.
    let path = files.write("r.csv", &with(&[(12, "NULL"), (32, "nan"), (52, "")]));
    let kept = files.trains(&[&path, "--null-ids", "NULL,nan"]);
    assert_eq!(kept["n_ratings"], 197);
    let (_, shown, _) = run(&["inspect", &path, "--null-ids", "NULL,nan"]);
    assert!(shown.contains("3 rows left out"), "{shown}");
}

#[test]
fn ids_that_a_server_would_reject_are_not_exported() {
    let files = Files::new();
    let long = "x".repeat(513);
    let path = files.write("r.csv", &with(&[(12, &long)]));
    files.trains(&[&path]);
    let out = files.path("out");
    for format in ["elasticsearch", "opensearch"] {
        let export = ["export", &files.path("model"), "--format", format, "-o", &out];
        let (code, _, err) = run(&export);
        assert!(code == 2 && err.contains("513 bytes") && err.contains("512"), "{err}");
        assert!(!fs::exists(&out).unwrap());
    }
    let (code, _, err) = run(&["export", &files.path("model"), "--format", "npy", "-o", &out]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn the_header_again_is_a_bad_row() {
    let files = Files::new();
    for header in ["user_id,item_id", "user_id,item_id,rating"] {
        let cells = |n: usize| match header.len() {
            15 => format!("u{},i{}", user(n), item(n)),
            _ => format!("u{},i{},{}", user(n), item(n), stars(n)),
        };
        let text = table(header, cells);
        let again = files.write("r.csv", &format!("{text}{text}"));
        files.fails(&[&again], 3, &["r.csv:202:", "the header again"]);
        let kept = files.trains(&[&again, "--bad-rows", "quarantine", "-a", "ials"]);
        assert_eq!(kept["n_users"], 20, "{kept}");
    }
}
