//! Other text: JSON lines, decimal commas, encodings, separators, compressions.

use std::fs;

use super::{Files, inspects, item, repeated, stars, table, user, warned};

fn plain() -> String {
    table("user_id,item_id,rating", |n| format!("{},{},{}", user(n), item(n), stars(n)))
}

#[test]
fn json_lines_are_read() {
    let files = Files::new();
    let line = |n: usize| {
        format!(
            "{{\"reviewerID\": \"A{}\", \"asin\": \"B{}\", \"overall\": {}.0, \
             \"reviewText\": \"a, b\", \"unixReviewTime\": {}}}",
            user(n),
            item(n),
            stars(n),
            1_400_000_000 + n
        )
    };
    let all: String = (0..200).map(|n| line(n) + "\n").collect();
    let path = files.write("r.jsonl", &all);
    let found = files.trains(&[&path]);
    assert_eq!((&found["n_ratings"], &found["n_users"]), (&200.into(), &20.into()));
    let layout = inspects(&[&path])["inputs"][0]["layout"].clone();
    assert_eq!(layout, "JSON lines, user=reviewerID item=asin rating=overall time=unixReviewTime");
    // Any name, other roles, missing fields, fields in another order, blank lines.
    let path = files.write("r.txt", &all.replace('}', "}\n"));
    assert_eq!(files.trains(&[&path])["n_ratings"], 200);
    let found = files.trains(&[&path, "--rating-col", "none", "-a", "ials"]);
    assert_eq!(found["n_ratings"], 200);
    let path = files.write("r.jsonl", &format!("{all}{{\"asin\": \"B7\", \"overall\": 3}}\n"));
    files.fails(&[&path], 3, &["r.jsonl:201:", "reviewerID", "empty"]);
    let path = files.write("r.jsonl", &format!("{all}{{\"asin\": \n"));
    files.fails(&[&path], 3, &["r.jsonl:201:", "not a JSON object"]);
    let kept = files.trains(&[&path, "--bad-rows", "quarantine"]);
    assert_eq!(kept["n_ratings"], 200);
    let ints = all.replace("\"A", "").replace("\", \"asin", ", \"asin");
    let path = files.write("ints.jsonl", &ints);
    assert_eq!(inspects(&[&path])["user_ids"], "int");
    let array = files.write("r.json", "[{\"user_id\": 1}]");
    files.fails(&[&array], 3, &["JSON array", "jq -c '.[]'"]);
    let other = files.write("r.json", "{\n  \"user_id\": 1\n}\n");
    files.fails(&[&other], 3, &["looks like JSON", "jq -c ."]);
}

#[test]
fn decimal_commas_are_recognised() {
    let files = Files::new();
    let half = |n: usize| format!("{},{}", stars(n), n % 2 * 5);
    let row = |n: usize| format!("{};{};{}", user(n), item(n), half(n));
    let with = files.write("a.csv", &table("user_id;item_id;rating", row));
    let text = table("user_id;item_id;rating", row);
    let without = files.write("b.csv", text.split_once('\n').unwrap().1);
    for path in [&with, &without] {
        let found = inspects(&[path]);
        assert_eq!((&found["ratings"], &found["users"]), (&200.into(), &20.into()), "{found}");
        let layout = found["inputs"][0]["layout"].to_string();
        assert!(layout.contains("decimal comma"), "{layout}");
        assert_eq!(found["inputs"][0]["values"]["max"], 5.5);
        assert_eq!(files.trains(&[path])["n_ratings"], 200);
        files.fails(&[path, "--decimal", "."], 3, &["not a number"]);
    }
    files.fails(&[&with, "--decimal", "x"], 2, &["--decimal", ". or ,"]);
    // A thousand rows with whole numbers do not show the mark.
    let mut text = String::from("user_id;item_id;rating\n");
    for n in 0..1200 {
        text += &format!("{};{};{}\n", n % 40, n / 40, n % 5 + 1);
    }
    text += "3;99;4,5\n";
    let late = files.write("late.csv", &text);
    files.fails(&[&late], 3, &["late.csv:1202:", "not a number"]);
    assert_eq!(files.trains(&[&late, "--decimal", ","])["n_ratings"], 1201);
}

#[test]
fn separators_are_those_that_fit_all_lines() {
    let files = Files::new();
    for separator in [";", "\t", "|", "::"] {
        let path = files.write("r.txt", &plain().replace(',', separator));
        assert_eq!(files.trains(&[&path])["n_ratings"], 200, "{separator}");
    }
    let said = files.write("said.csv", &format!("sep=;\r\n{}", plain().replace(',', ";")));
    assert_eq!(files.trains(&[&said])["n_ratings"], 200);
    let bad = files.write("bad.csv", &format!("sep=;\n{}x;y;z\n", plain().replace(',', ";")));
    files.fails(&[&bad], 3, &["bad.csv:203:", "not a number"]);
    let blanks: String = repeated(200, |n| format!("{} {} {}\n", user(n), item(n), stars(n)));
    let blanks = files.write("libmf.txt", &blanks);
    assert_eq!(files.trains(&[&blanks])["n_ratings"], 200);
    // A text with commas in every line.
    let titles = table("user_id\titem_id\ttitle\trating", |n| {
        format!("{}\t{}\tOne, two, three\t{}", user(n), item(n), stars(n))
    });
    let titles = files.write("titles.tsv", &titles);
    assert_eq!(files.trains(&[&titles])["n_items"], 10);
    let recbole = table("user_id:token\titem_id:token\trating:float", |n| {
        format!("{}\t{}\t{}", user(n), item(n), stars(n))
    });
    let recbole = files.write("r.inter", &recbole);
    assert_eq!(files.trains(&[&recbole])["n_ratings"], 200);
}

#[test]
fn encodings_and_line_ends_are_named() {
    let files = Files::new();
    let utf16: Vec<u8> = plain().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path = files.path("u.csv");
    for bytes in [utf16.clone(), [&[0xff, 0xfe], &*utf16].concat()] {
        fs::write(&path, bytes).unwrap();
        files.fails(&[&path], 3, &["UTF-16", "iconv"]);
    }
    let latin = table("user_id,item_id,rating", |n| format!("caf\u{e9}{},{},3", user(n), item(n)));
    let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    fs::write(&path, bytes).unwrap();
    files.fails(&[&path], 3, &["u.csv:2:", "not valid UTF-8", "WINDOWS-1252"]);
    let mac = files.write("mac.csv", &plain().replace('\n', "\r"));
    files.fails(&[&mac], 3, &["carriage return", "tr '\\r' '\\n'"]);
    let nul = files.write("nul.csv", &plain().replace("105,", "1\u{0}5,"));
    files.fails(&[&nul], 3, &["line 7 contains a NUL byte", "tr -d"]);
    let mut late = plain().repeat(20).replace("user_id,item_id,rating\n", "");
    late += "\u{0},3,4\n";
    let late = files.write("late.csv", &late);
    files.fails(&[&late], 3, &["NUL byte"]);
    let crlf = files.write("crlf.csv", &plain().replace('\n', "\r\n"));
    assert_eq!(files.trains(&[&crlf])["n_ratings"], 200);
}

#[test]
fn a_long_header_is_read() {
    let files = Files::new();
    let columns: String = repeated(20_000, |n| format!(",feature_{n}"));
    let zeros = ",0".repeat(20_000);
    let mut text = format!("user_id,item_id,rating{columns}\n");
    for n in 0..20 {
        text += &format!("{},{},{}{zeros}\n", n % 5, n / 5, n % 3 + 1);
    }
    let path = files.write("wide.csv", &text);
    assert_eq!(files.trains(&[&path])["n_ratings"], 20);
}

#[test]
fn other_compressions_are_named_with_the_way_out() {
    let files = Files::new();
    for (magic, name, command) in [
        (&b"BZh91AY&SY"[..], "bzip2", "bzip2 -dc"),
        (b"\xfd7zXZ\0\0\x04", "xz", "xz -dc"),
        (b"\x04\x22\x4d\x18\x64", "lz4", "lz4 -dc"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7-Zip", "7z x"),
    ] {
        let path = files.path("r.packed");
        fs::write(&path, [magic, &[7; 600]].concat()).unwrap();
        files.fails(&[&path], 3, &[name, command]);
    }
    let mut tar = vec![0_u8; 1024];
    tar[..9].copy_from_slice(b"r/rat.csv");
    tar[257..262].copy_from_slice(b"ustar");
    fs::write(files.path("r.tar"), tar).unwrap();
    files.fails(&[&files.path("r.tar")], 3, &["tar", "tar -xOf"]);
}

#[test]
fn rows_with_line_ends_are_counted() {
    let files = Files::new();
    let text = table("user_id,item_id,note,rating", |n| {
        let note = if n % 50 == 0 { "\"one\ntwo\"" } else { "one" };
        format!("{},{},{note},{}", user(n), item(n), stars(n))
    });
    let path = files.write("r.csv", &text);
    let found = inspects(&[&path]);
    assert_eq!((&found["ratings"], &found["inputs"][0]["long_rows"]), (&200.into(), &4.into()));
    assert_eq!(warned(&found), "[]");
}
