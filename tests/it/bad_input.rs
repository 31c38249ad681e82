//! Every mistake gives one message and its exit code, and leaves nothing behind.

use std::fs;
use std::io::Write;

use polars::prelude::*;
use tempfile::TempDir;

use crate::support::run;

/// A directory with one input file.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new(name: &str, content: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(name), content).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Trains and expects the exit code and the message. Nothing may be written.
    fn fails(&self, input: &str, extra: &[&str], code: i32, message: &str) {
        let model = self.path("model");
        let before = fs::read_dir(self.dir.path()).unwrap().count();
        let (got, out, err) =
            run(&[&["train", &self.path(input), "-o", &model, "-k", "2"], extra].concat());
        let err = err.replace(&self.path(""), "");
        let lines: Vec<&str> = err.lines().filter(|l| !l.starts_with("read ")).collect();
        assert_eq!(lines.len(), 1, "{err}");
        assert_eq!((got, lines[0].trim_start_matches("error: ")), (code, message), "{err}");
        assert_eq!(out, "");
        assert_eq!(
            fs::read_dir(self.dir.path()).unwrap().count(),
            before,
            "files were left behind"
        );
    }
}

/// A good file with one line replaced.
fn with_line(line: &str) -> Case {
    let mut text = String::from("userId,movieId,rating,timestamp\n");
    for n in 0..20 {
        text += &if n == 5 {
            format!("{line}\n")
        } else {
            format!("{},{},{},100\n", n % 4, n, n % 5 + 1)
        };
    }
    Case::new("r.csv", text.as_bytes())
}

#[test]
fn missing_and_empty_files() {
    let case = Case::new("empty.csv", b"");
    case.fails(
        "nothing.csv",
        &[],
        3,
        "cannot read nothing.csv: No such file or directory (os error 2)",
    );
    case.fails("empty.csv", &[], 3, "empty.csv: the file is empty");
    case.fails("*.tsv", &[], 3, "*.tsv: no file matches this pattern");
    let case = Case::new("header.csv", b"userId,movieId,rating\n");
    case.fails("header.csv", &[], 3, "header.csv: no ratings in this file");
    let case = Case::new("x.md", b"");
    let message = ": no rating files (csv, tsv, dat, data, txt, jsonl, \
                   ndjson, parquet, pq, zip) in this directory";
    case.fails("", &[], 3, message);
}

#[test]
fn missing_columns_are_named_with_those_that_are_there() {
    let case = Case::new("r.csv", b"userId,title,rating\n1,x,3\n");
    case.fails(
        "r.csv",
        &[],
        3,
        "r.csv: no item column \"movieid\"; the columns are: userId, title, rating. \
         Use --item-col NAME.",
    );
    case.fails(
        "r.csv",
        &["--item-col", "film"],
        3,
        "r.csv: no item column \"film\"; the columns are: userId, title, rating. \
         Use --item-col NAME.",
    );
    case.fails(
        "r.csv",
        &["--item-col", "title", "--holdout", "last"],
        3,
        "r.csv: no time column \"timestamp\"; the columns are: userId, title, rating. \
         Use --time-col NAME.",
    );
    let case = Case::new("movies.csv", b"movieId,title,genres\n1,Toy Story (1995),Animation\n");
    case.fails(
        "movies.csv",
        &[],
        3,
        "movies.csv: no user column \"userid\"; the columns are: movieId, title, genres. \
         Use --user-col NAME.",
    );
}

#[test]
fn bad_cells_are_located() {
    for (line, message) in [
        ("1,2,good,100", "r.csv:7: column \"rating\": not a number: \"good\""),
        ("1,2,4.5x,100", "r.csv:7: column \"rating\": not a number: \"4.5x\""),
        ("1,2,,100", "r.csv:7: column \"rating\": empty: \"\""),
        ("1,2,NaN,100", "r.csv:7: column \"rating\": not a finite number: \"NaN\""),
        ("1,2,inf,100", "r.csv:7: column \"rating\": not a finite number: \"inf\""),
        ("1,2,1e99,100", "r.csv:7: column \"rating\": not a finite number: \"1e99\""),
        (",2,3,100", "r.csv:7: column \"userId\": empty: \"\""),
        ("1,\"\",3,100", "r.csv:7: column \"movieId\": empty: \"\""),
        ("1,2,3", "r.csv:7: column \"row\": 3 fields where 4 are expected: \"1,2,3\""),
        ("1,2,3,4,5", "r.csv:7: column \"row\": 5 fields where 4 are expected: \"1,2,3,4,5\""),
    ] {
        with_line(line).fails("r.csv", &[], 3, message);
    }
    with_line("x,2,3,100").fails(
        "r.csv",
        &["--id-type", "int"],
        3,
        "r.csv:7: column \"userId\": not an integer (--id-type int): \"x\"",
    );
    for (line, message) in [
        ("1,2,3,soon", "not a time (--time-format names a format): \"soon\""),
        ("1,2,3,", "empty: \"\""),
    ] {
        let message = format!("r.csv:7: column \"timestamp\": {message}");
        with_line(line).fails("r.csv", &["--since", "@1"], 3, &message);
    }
    with_line("1,2,3,-5").fails(
        "r.csv",
        &["--weight-col", "timestamp"],
        3,
        "r.csv:7: column \"timestamp\": negative weight: \"-5\"",
    );
}

#[test]
fn odd_bytes_are_recognised() {
    let case = Case::new("r.csv", &[0xff, 0xfe, b'u', 0, b's', 0]);
    case.fails(
        "r.csv",
        &[],
        3,
        "r.csv: the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW",
    );
    let case = Case::new("r.csv", b"\x7fELF\0\0\0");
    case.fails(
        "r.csv",
        &[],
        3,
        "r.csv: not a rating file: neither text nor Parquet \
         (text may be gzip, zstd or zip compressed)",
    );
    let case = Case::new("r.csv", b"userId,movieId,rating\nab\xff,2,3\n");
    case.fails(
        "r.csv",
        &[],
        3,
        "r.csv:2: column \"userId\": not valid UTF-8 (for Windows-1252: iconv -f WINDOWS-1252 \
         -t UTF-8 FILE > NEW): \"ab\u{fffd}\"",
    );
    let case = Case::new("r.txt", b"hello\nworld\n");
    case.fails(
        "r.txt",
        &[],
        3,
        "r.txt: no separator found in the first line \"hello\"; \
         use comma, tab, semicolon, bar or :: between columns, or pass --separator",
    );
    let case = Case::new("r.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
    let (code, _, err) = run(&["inspect", &case.path("r.csv.gz")]);
    assert!(code == 3 && err.contains("cannot read"), "{err}");
    let case = Case::new("r.zip", b"PK\x03\x04 and no more");
    let (code, _, err) = run(&["inspect", &case.path("r.zip")]);
    assert!(code == 3 && err.contains("not a readable zip archive"), "{err}");
    let case = Case::new("r.parquet", b"PAR1 and no more");
    let (code, _, err) = run(&["inspect", &case.path("r.parquet")]);
    assert!(code == 3 && err.contains("not a readable Parquet file"), "{err}");
}

#[test]
fn filters_that_leave_nothing_say_which() {
    let case = with_line("1,2,3,100");
    case.fails("r.csv", &["--since", "2020-01-01"], 3, "no ratings left after --since and --until");
    case.fails(
        "r.csv",
        &["--min-user-ratings", "100"],
        3,
        "no ratings left after --min-user-ratings and --min-item-ratings",
    );
    case.fails(
        "r.csv",
        &["--holdout", "time", "--split-time", "@50"],
        3,
        "no ratings left after the holdout was split off",
    );
}

#[test]
fn duplicates_can_be_an_error() {
    with_line("0,0,3,100").fails(
        "r.csv",
        &["--duplicates", "error"],
        3,
        "user 0 rated item 0 more than once (1 such cells in all); \
         choose --duplicates last, first, mean, sum or max",
    );
}

#[test]
fn bad_rows_can_be_set_aside_up_to_a_limit() {
    let text = "userId,movieId,rating\n1,1,3\n1,2,x\n2,1,4\n2,,4\n2,2,nan\n3,1,5\n3,3,1\n";
    let case = Case::new("r.csv", text.as_bytes());
    case.fails(
        "r.csv",
        &["--bad-rows", "quarantine", "--max-bad-rows", "2"],
        3,
        "3 bad rows, more than --max-bad-rows 2 allows; the first: \
         r.csv:3: column \"rating\": not a number: \"x\"",
    );
    let model = case.path("model");
    let (code, out, err) = run(&[
        "train",
        &case.path("r.csv"),
        "-o",
        &model,
        "-k",
        "1",
        "--bad-rows",
        "quarantine",
        "--holdout",
        "none",
    ]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("3 bad rows set aside"), "{out}");
    let rejected = fs::read_to_string(format!("{model}/rejected_rows.csv"))
        .unwrap()
        .replace(&case.path(""), "");
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(
        lines,
        [
            "file,line,reason,text",
            "r.csv,3,\"column \"\"rating\"\": not a number\",x",
            "r.csv,5,\"column \"\"movieId\"\": empty\",",
            "r.csv,6,\"column \"\"rating\"\": not a finite number\",nan",
        ]
    );
}

#[test]
fn typed_files_must_agree_on_the_type_of_ids() {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, users: Series| {
        let rows = users.len();
        let columns = vec![
            users.into_column(),
            Series::new("item".into(), (0..rows as i64).collect::<Vec<_>>()).into_column(),
            Series::new("rating".into(), vec![3.0_f32; rows]).into_column(),
        ];
        let mut frame = DataFrame::new(rows, columns).unwrap();
        ParquetWriter::new(fs::File::create(dir.path().join(name)).unwrap())
            .finish(&mut frame)
            .unwrap();
    };
    write("a.parquet", Series::new("user".into(), vec![1_i64, 2]));
    write("b.parquet", Series::new("user".into(), vec!["1", "x"]));
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (code, _, err) = run(&["inspect", &path("a.parquet"), &path("b.parquet")]);
    assert_eq!(code, 3);
    assert!(
        err.contains("the user ids are integers in")
            && err.contains("use --id-type int or --id-type text"),
        "{err}"
    );
    let (code, out, _) =
        run(&["inspect", &path("a.parquet"), &path("b.parquet"), "--id-type", "text", "--json"]);
    assert_eq!(code, 0);
    assert!(out.contains("\"users\":3"), "{out}");
    write("c.parquet", Series::new("user".into(), vec![Some(1_i64), None, Some(3)]));
    let (code, _, err) = run(&["train", &path("c.parquet"), "-o", &path("m")]);
    assert!(code == 3 && err.contains("c.parquet:2: column \"user\": null"), "{err}");
}

#[test]
fn an_archive_needs_one_rating_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.zip");
    let mut zip = ::zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["a.csv", "b.csv"] {
        zip.start_file(name, ::zip::write::SimpleFileOptions::default()).unwrap();
    }
    zip.finish().unwrap();
    let (code, _, err) = run(&["inspect", path.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(err.contains("x.zip:MEMBER; its members: a.csv, b.csv"), "{err}");
}

#[test]
fn malicious_archives_are_rejected() {
    let dir = TempDir::new().unwrap();
    let refused = |name: &str, words: &str| {
        let path = dir.path().join(name);
        let (code, _, err) = run(&["inspect", path.to_str().unwrap()]);
        assert!(code == 3 && err.contains(words), "{name}: {code} {err}");
    };
    for (name, member) in [
        ("a.zip", "../ratings.csv"),
        ("b.zip", "/etc/ratings.csv"),
        ("c.zip", "x\\..\\ratings.csv"),
    ] {
        let mut zip = ::zip::ZipWriter::new(fs::File::create(dir.path().join(name)).unwrap());
        zip.start_file(member, ::zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"user,item,rating\n1,2,3\n").unwrap();
        zip.finish().unwrap();
        refused(name, "points outside the archive");
    }
    // Few bytes expand to 100 MB of the same line, or to 40 MiB of zeros.
    let line = b"1,2,3\n".repeat(1 << 16);
    let mut zip = ::zip::ZipWriter::new(fs::File::create(dir.path().join("bomb.zip")).unwrap());
    zip.start_file("ratings.csv", ::zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"user,item,rating\n").unwrap();
    (0..260).for_each(|_| zip.write_all(&line).unwrap());
    zip.finish().unwrap();
    refused("bomb.zip", "ratings never compress so far");
    let gz = fs::File::create(dir.path().join("zeros.csv.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
    gz.write_all(b"user,item,rating\n").unwrap();
    (0..40).for_each(|_| gz.write_all(&vec![b'0'; 1 << 20]).unwrap());
    gz.finish().unwrap();
    refused("zeros.csv.gz", "a record of more than 32 MiB");
    let zst = fs::File::create(dir.path().join("bomb.csv.zst")).unwrap();
    let mut zst = zstd::Encoder::new(zst, 1).unwrap();
    zst.write_all(b"user,item,rating\n").unwrap();
    (0..260).for_each(|_| zst.write_all(&line).unwrap());
    zst.finish().unwrap();
    refused("bomb.csv.zst", "ratings never compress so far");
}

#[test]
fn an_existing_model_is_never_damaged() {
    let case = with_line("1,2,3,100");
    let model = case.path("model");
    let train = |extra: &[&str]| {
        run(&[&["train", &case.path("r.csv"), "-o", &model, "-k", "1"], extra].concat())
    };
    assert_eq!(train(&[]).0, 0);
    let before = fs::read(format!("{model}/manifest.json")).unwrap();
    let (code, _, err) = train(&[]);
    assert!(
        code == 2 && err.contains("exists; pass another --output, or --force to replace it"),
        "{err}"
    );
    let (code, ..) = train(&["--force", "--item-col", "nope"]);
    assert_eq!(code, 3);
    assert_eq!(fs::read(format!("{model}/manifest.json")).unwrap(), before);
    assert_eq!(train(&["--force"]).0, 0);
    // A directory that is not a model is not replaced, even with --force.
    let (code, _, err) = run(&["train", &case.path("r.csv"), "-o", &case.path(""), "--force"]);
    assert!(code == 2 && err.contains("is not a lacuna model"), "{err}");
}

/// The results of inspect: the numbers of ratings and of bad rows, and the first bad row.
fn inspected(name: &str, content: &[u8]) -> (u64, u64, String) {
    let case = Case::new(name, content);
    let (code, out, err) = run(&["inspect", &case.path(name), "--json", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let first = found["first_bad_row"].as_str().unwrap_or_default().replace(&case.path(""), "");
    (found["ratings"].as_u64().unwrap(), found["bad_rows"].as_u64().unwrap(), first)
}

#[test]
fn a_stray_quote_spoils_only_its_own_row() {
    let rows = |odd: &str| {
        let mut text = String::from("userId,movieId,rating,comment\n");
        for n in 0..50 {
            text += &if n == 10 { format!("{odd}\n") } else { format!("{n},{n},4,fine\n") };
        }
        text
    };
    // In the middle of a cell a quote is text.
    assert_eq!(inspected("r.csv", rows("1,99,4,5\" disc").as_bytes()), (50, 0, String::new()));
    // A quoted cell may hold anything.
    assert_eq!(
        inspected("r.csv", rows("1,99,4,\"one, \"\"two\"\"\nthree\"").as_bytes()),
        (50, 0, String::new())
    );
    // A quote that is never closed spoils only its own line.
    let (ratings, bad, first) = inspected("r.csv", rows("1,\"99,4,open").as_bytes());
    assert_eq!((ratings, bad), (49, 1));
    assert_eq!(
        first,
        "r.csv:12: column \"row\": a quote that is never closed: \"1,\\\"99,4,open\""
    );
    // In a column that is not read it is text.
    assert_eq!(inspected("r.csv", rows("1,99,4,\"open").as_bytes()), (50, 0, String::new()));
    let (_, bad, first) = inspected("r.csv", b"user,item,rating\n1,2,3\n1,3,\"");
    assert_eq!(
        (bad, &*first),
        (1, "r.csv:3: column \"row\": a quote that is never closed: \"1,3,\\\"\"")
    );
}

#[test]
fn ragged_rows_are_bad_where_columns_are_left_out_too() {
    let text = "user,title,item,rating\n1,Up,5,3\n1,Foo, Bar,10,4\n2,Up,6,3\n";
    let (ratings, bad, first) = inspected("r.csv", text.as_bytes());
    assert_eq!((ratings, bad), (2, 1));
    assert!(first.starts_with("r.csv:3: column \"row\": 5 fields where 4 are expected"), "{first}");
    let text = "1::2::3::978\n1::3::3::978::x\n2::2::3::978\n1:junk:4::3::978\n2::4::5::978\n";
    let (ratings, bad, first) = inspected("r.dat", text.as_bytes());
    assert_eq!((ratings, bad), (3, 2));
    assert!(first.starts_with("r.dat:2: column \"row\": 5 fields where 4 are expected"), "{first}");
    let (ratings, bad, _) = inspected("r.csv", b"user,item,rating,time\n1,2,3,4\n1,3,3,4,");
    assert_eq!((ratings, bad), (1, 1));
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (text, line) in [
        ("user,item,rating\r\n1,2,3\r\n1,3,3\r\n1,4,x\r\n", 4),
        ("user,item,rating\n\n1,2,3\n\n\n1,4,x\n", 6),
        ("\n\nuser,item,rating\n1,2,3\n1,4,x", 5),
        ("user,item,rating\n\"1\",2,3\n1,4,x\n", 3),
    ] {
        let (_, bad, first) = inspected("r.csv", text.as_bytes());
        assert_eq!(
            (bad, &*first),
            (1, &*format!("r.csv:{line}: column \"rating\": not a number: \"x\""))
        );
    }
}

#[test]
fn invalid_times_in_parquet_are_bad_rows() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.parquet");
    let columns = vec![
        Series::new("user".into(), vec![1_i64, 2, 3]).into_column(),
        Series::new("item".into(), vec!["a", "", "c"]).into_column(),
        Series::new("rating".into(), vec![3.0_f32, 4.0, 5.0]).into_column(),
        Series::new("time".into(), vec![1.5_f64, 2.0, f64::NAN]).into_column(),
    ];
    let mut frame = DataFrame::new(3, columns).unwrap();
    ParquetWriter::new(fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
    let since = ["--since", "@1"];
    let (code, out, err) =
        run(&[&["inspect", path.to_str().unwrap(), "--json", "-q"], &since[..]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("\"bad_rows\":2") && out.contains(":2: column \\\"item\\\": empty"),
        "{out}"
    );
}

#[test]
fn a_file_with_only_a_byte_order_mark_is_empty() {
    Case::new("r.csv", "\u{feff}\n".as_bytes()).fails("r.csv", &[], 3, "r.csv: the file is empty");
}
