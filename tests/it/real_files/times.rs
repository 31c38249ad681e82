//! Times: units, formats, and times that nobody needs.

use super::{Files, inspects, item, stars, table, user, warned};

/// 200 rows with a time each.
fn with(time: impl Fn(usize) -> String) -> String {
    table("user_id,item_id,rating,time", |n| {
        format!("{},{},{},{}", user(n), item(n), stars(n), time(n))
    })
}

/// Seconds of a row: an hour later each, from 2017-08-26.
const fn seconds(n: usize) -> i64 {
    1_503_705_600 + n as i64 * 3600
}

#[test]
fn units_are_recognised() {
    let files = Files::new();
    for (unit, zeros) in [("s", ""), ("ms", "000"), ("us", "000000"), ("ns", "000000000")] {
        let path = files.write("r.csv", &with(|n| format!("{}{zeros}", seconds(n))));
        let found = inspects(&[&path]);
        assert_eq!(found["time_range"][0], "2017-08-26T00:00:00Z", "{unit}");
        let layout = found["inputs"][0]["layout"].to_string();
        assert_eq!(layout.contains(&format!("({unit})")), unit != "s", "{layout}");
        let later = files.trains(&[&path, "--since", "2017-08-30"]);
        assert_eq!(later["n_ratings"], 104, "{unit}");
        files.fails(&[&path, "--since", "2020"], 2, &["2020"]);
        files.fails(&[&path, "--since", "2020-01-01"], 3, &["--since and --until"]);
    }
    // What is said holds.
    let path = files.write("r.csv", &with(|n| format!("{}000", seconds(n))));
    let found = inspects(&[&path, "--time-unit", "s"]);
    assert!(warned(&found).contains("the latest time is"), "{found}");
    // Two files with different units.
    let other = files.write("s.csv", &with(|n| seconds(n).to_string()));
    let found = files.trains(&[&path, &other]);
    assert!(warned(&found).contains("are in ms") && warned(&found).contains("in s;"), "{found}");
    assert_eq!(inspects(&[&path, &other])["time_range"][1], "2017-09-03T07:00:00Z");
}

#[test]
fn formats_are_recognised() {
    let files = Files::new();
    for (format, first) in [
        ("%Y-%m-%d %H:%M:%S UTC", "2017-08-26T00:00:00Z"),
        ("%Y-%m-%d %H:%M:%S.000 UTC", "2017-08-26T00:00:00Z"),
        ("%d.%m.%Y %H:%M", "2017-08-26T00:00:00Z"),
        ("%m/%d/%Y %H:%M:%S", "2017-08-26T00:00:00Z"),
        ("%-m/%-d/%Y %-I:%M %p", "2017-08-26T00:00:00Z"),
        ("%b %d %Y", "2017-08-26T00:00:00Z"),
        ("%d/%m/%y", "2017-08-26T00:00:00Z"),
        ("%Y%m%d", "2017-08-26T00:00:00Z"),
    ] {
        let text = |n: usize| {
            let time = chrono::DateTime::from_timestamp(seconds(n), 0).unwrap();
            time.format(format).to_string()
        };
        let path = files.write("r.csv", &with(text));
        let found = inspects(&[&path]);
        assert_eq!(found["time_range"][0], first, "{format}: {found}");
        assert_eq!(files.trains(&[&path, "--since", "2017-08-30"])["n_ratings"], 104, "{format}");
    }
    let amazon = files.write(
        "r.tsv",
        &with(|n| format!("09 {}, 2014", n % 28 + 1))
            .replace(',', "\t")
            .replace("\t 2014", ", 2014"),
    );
    assert_eq!(inspects(&[&amazon])["time_range"][0], "2014-09-01T00:00:00Z");
    // What may be two dates is not guessed.
    let both = files.write("r.csv", &with(|n| format!("{:02}/{:02}/2017", n % 12 + 1, n % 7 + 1)));
    let found = files.trains(&[&both]);
    assert!(warned(&found).contains("may be %m/%d/%Y or %d/%m/%Y"), "{found}");
    files.fails(&[&both, "--since", "2017-01-01"], 3, &["--time-format", "%d/%m/%Y"]);
    let said = ["--since", "2017-02-01", "--time-format", "%m/%d/%Y"];
    assert!(files.trains(&[&[&*both], &said[..]].concat())["n_ratings"].as_u64() < Some(200));
}

#[test]
fn times_that_nobody_needs_are_no_obstacle() {
    let files = Files::new();
    for (what, bad) in [("has empty cells", ""), ("which is not a time", "soon")] {
        let time = |n: usize| if n == 42 { bad.to_owned() } else { seconds(n).to_string() };
        let path = files.write("r.csv", &with(time));
        let found = files.trains(&[&path]);
        assert_eq!(found["n_ratings"], 200);
        assert!(warned(&found).contains(what), "{found}");
        files.fails(&[&path, "--since", "2010-01-01"], 3, &["r.csv:44:"]);
        let silent = files.trains(&[&path, "--time-col", "none"]);
        assert_eq!(warned(&silent), "[]");
    }
    // After the rows that are looked at first.
    let header = "user_id,item_id,rating,time\n";
    let rows = |n: usize| format!("{},{},{},{}\n", n % 50, n / 50, n % 5 + 1, seconds(n));
    let mut text: String = (0..2000).map(rows).collect();
    text += "1,99,3,\n";
    let path = files.write("long.csv", &format!("{header}{text}"));
    let found = files.trains(&[&path]);
    assert_eq!(found["n_ratings"], 2001);
    assert!(warned(&found).contains("long.csv:2002:"), "{found}");
    files.fails(&[&path, "--since", "2010-01-01"], 3, &["long.csv:2002:", "empty"]);
}
