//! Tables of items and pairs to predict, in the forms of rating files.

use std::fs;
use std::io::Write as _;

use super::{Files, item, stars, table, user};
use crate::support::run;

fn model(files: &Files) -> String {
    let text = table("user_id,item_id,rating", |n| format!("{},{},{}", user(n), item(n), stars(n)));
    let path = files.write("r.csv", &text);
    files.trains(&[&path]);
    files.path("model")
}

#[test]
fn titles_are_read_in_any_form() {
    let files = Files::new();
    let model = model(&files);
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let latin = b"10|Caf\xe9 T10 (1995)|01-Jan-1995||u|0|1\n11|T11|01-Jan-1995||u|0|1\n".to_vec();
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        (
            "t.jsonl",
            b"{\"item_id\": 10, \"title\": \"T10\"}\n{\"item_id\": 11, \"title\": \"x\"}".to_vec(),
            &[],
        ),
        ("t.csv", b"sep=;\r\nmovieId;title\r\n10;T10\r\n11;T11\r\n".to_vec(), &[]),
        ("u.item", latin, &[]),
        ("t.csv", b"movieId;title\n10;T10\n11;\"T11; x\"\n".to_vec(), &[]),
        ("t.tsv", b"item_id\ttitle\n10\tT10 \"live\n11\tT11\n".to_vec(), &[]),
        ("t.dat", b"10::T10::Drama\n11::T11::Comedy\n".to_vec(), &[]),
        ("t.csv", b"10,T10\n11,T11\n".to_vec(), &[]),
        ("t.csv", b"x,T10,10\ny,T11,11\n".to_vec(), &["--table-id-col", "3", "--title-col", "2"]),
        (
            "t.csv",
            b"key,what\n10,T10\n11,T11\n".to_vec(),
            &["--table-id-col", "key", "--title-col", "what"],
        ),
        ("t.csv.gz", gzip("movieId,title\n10,T10\n11,T11\n"), &[]),
        ("t.csv", b"movieId,title\n10,\"T10 \"\"so\"\" \nand\"\n11,T11\n".to_vec(), &[]),
    ];
    for (name, bytes, flags) in cases {
        let path = files.path(name);
        fs::write(&path, &bytes).unwrap();
        let similar = ["similar", &model, "--item", "11", "--item-names", &path];
        let (code, out, err) = run(&[&similar, flags].concat());
        let shown = String::from_utf8_lossy(&bytes);
        assert!(code == 0 && out.contains("T10"), "{name} {shown}: {out}{err}");
    }
    let path = files.write("t.csv", "key,what\nx,y\n");
    let (code, _, err) =
        run(&["similar", &model, "--item", "11", "--item-names", &path, "--title-col", "which"]);
    assert!(code == 3 && err.contains("--title-col"), "{err}");
    // Another library's advice would only confuse.
    assert!(!err.contains("has_headers") && !err.contains("flexible"), "{err}");
}

#[test]
fn pairs_are_read_in_any_form() {
    let files = Files::new();
    let model = model(&files);
    for (name, text, flags) in [
        ("p.csv", "user_id,item_id\n101,10\n102,11\n", &[][..]),
        ("p.csv", "user_id;item_id\n101;10\n102;11\n", &[]),
        ("p.tsv", "101\t10\n102\t11\n", &[]),
        ("p.csv", "item_id,when,user_id\n10,x,101\n11,y,102\n", &[]),
        ("p.csv", "x,101,10\ny,102,11\n", &["--user-col", "2", "--item-col", "3"]),
        (
            "p.jsonl",
            "{\"user_id\": 101, \"item_id\": 10}\n{\"item_id\": 11, \"user_id\": 102}\n",
            &[],
        ),
    ] {
        let path = files.write(name, text);
        let out = files.path("out.csv");
        let predict = ["predict", &model, "--pairs", &path, "-o", &out, "--force"];
        let (code, _, err) = run(&[&predict, flags].concat());
        assert_eq!(code, 0, "{text}: {err}");
        assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 3, "{text}");
    }
}
