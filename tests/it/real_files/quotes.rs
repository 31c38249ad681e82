//! Quotation marks.

use std::fmt::Write as _;
use std::fs;

use super::{Files, rows};
use crate::support::run;

#[test]
fn stray_quotes_take_no_rows_along() {
    let files = Files::new();
    for odd in ["\"heroes (live)", "\"", "\"a\"b", "say \"hi\"", "\"weird al\" x"] {
        // TSV without header has no quotes.
        let (count, text) = rows("\t", odd);
        let tsv = files.write("r.tsv", &text);
        assert_eq!(files.trains(&[&tsv])["n_ratings"], count, "{odd}");
        let (count, text) = rows(",", odd);
        let csv = files.write("r.csv", &format!("user_id,item_id,rating\n{text}"));
        let none = files.trains(&[&csv, "--quote", "none"]);
        assert_eq!((&none["n_ratings"], &none["n_items"]), (&count.into(), &20.into()), "{odd}");
        let unclosed = matches!(odd, "\"heroes (live)" | "\"");
        if unclosed {
            files.fails(&[&csv], 3, &["r.csv:", "quote"]);
            let kept = files.trains(&[&csv, "--bad-rows", "quarantine"]);
            let bad = text.lines().filter(|line| line.contains(odd)).count();
            let rejected = fs::read_to_string(files.path("model/rejected_rows.csv")).unwrap();
            assert_eq!(rejected.lines().count(), bad + 1, "{odd}: {rejected}");
            assert_eq!(kept["n_ratings"], count - bad, "{odd}");
        } else {
            assert_eq!(files.trains(&[&csv])["n_ratings"], count, "{odd}");
            let (_, out, _) = run(&["similar", &files.path("model"), "--item", odd, "--json"]);
            assert!(out.contains("item "), "the id keeps its marks: {odd} {out}");
        }
    }
}

#[test]
fn quotes_in_columns_that_are_not_used_take_no_rows_along() {
    let files = Files::new();
    let mut text = String::from("user_id,item_id,title,rating\n");
    for n in 0..200 {
        let title = if n % 50 == 20 { "\"live" } else { "fine" };
        writeln!(text, "{},{},{title},{}", n % 20, n / 10, n % 5 + 1).unwrap();
    }
    for (name, text) in [("r.csv", text.clone()), ("r.tsv", text.replace(',', "\t"))] {
        let path = files.write(name, &text);
        for flags in [&[][..], &["--quote", "none"], &["--bad-rows", "quarantine"]] {
            let found = files.trains(&[&[&*path], flags].concat());
            assert_eq!(found["n_ratings"], 200, "{name} {flags:?}");
        }
    }
    // A row that is not good without its marks is an error.
    let both = files.write("both.csv", &text.replace("\"live,", "\"live, at last,"));
    files.fails(&[&both], 3, &["both.csv:22:", "quote"]);
    let kept = files.trains(&[&both, "--bad-rows", "quarantine"]);
    assert_eq!(kept["n_ratings"], 196);
}

#[test]
fn proper_quotes_are_read_with_any_mark() {
    let files = Files::new();
    let mut text = String::from("user_id,item_id,note,rating\n");
    for n in 0..60 {
        writeln!(text, "{},'it''s, {n}','two\nlines, {n}',{}", n % 6, n % 5 + 1).unwrap();
    }
    let csv = files.write("r.csv", &text);
    let found = files.trains(&[&csv, "--quote", "'"]);
    assert_eq!((&found["n_ratings"], &found["n_items"]), (&60.into(), &60.into()));
    // A specified mark is trusted, even if a cell holds what looks like a row.
    let text = text.replace('\'', "\"").replace("lines, ", "1,2,").replace("\"\"", "'");
    let csv = files.write("r.csv", &text);
    files.fails(&[&csv], 3, &["r.csv:2:", "--quote none", "--quote '\"'"]);
    assert_eq!(files.trains(&[&csv, "--quote", "\""])["n_ratings"], 60);
    files.fails(&[&csv, "--quote", "ab"], 2, &["--quote", "one mark"]);
}
