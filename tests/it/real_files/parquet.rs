//! Types of Parquet columns.

use std::fs;

use polars::prelude::*;

use super::{Files, inspects, item, stars, user, warned};
use crate::support::run;

const ROWS: usize = 200;

impl Files {
    /// Writes a Parquet file with these columns.
    fn parquet(&self, name: &str, columns: Vec<Column>) -> String {
        let path = self.path(name);
        let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
        ParquetWriter::new(fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
        path
    }
}

fn ints(name: &str, cell: impl Fn(usize) -> usize) -> Column {
    let cells: Vec<i64> = (0..ROWS).map(|n| cell(n) as i64).collect();
    Series::new(name.into(), cells).into_column()
}

fn users() -> Column {
    ints("user_id", user)
}

fn items() -> Column {
    ints("item_id", item)
}

fn ratings() -> Column {
    ints("rating", stars)
}

fn text(column: &Column) -> Column {
    column.cast(&DataType::String).unwrap()
}

#[test]
fn ids_of_many_types_are_integers_or_text() {
    let files = Files::new();
    let cast = |dtype: &DataType| users().cast(dtype).unwrap();
    let binary = text(&users()).cast(&DataType::Binary).unwrap();
    for (column, ids) in [
        (cast(&DataType::Decimal(38, 0)), "int"),
        (cast(&DataType::Decimal(18, 0)), "int"),
        (cast(&DataType::Float64), "int"),
        (cast(&DataType::Float32), "int"),
        (cast(&DataType::UInt64), "int"),
        (text(&users()), "text"),
        (binary, "text"),
    ] {
        let dtype = column.dtype().clone();
        let path = files.parquet("r.parquet", vec![column, items(), ratings()]);
        let found = inspects(&[&path]);
        assert_eq!(found["user_ids"], ids, "{dtype:?}: {found}");
        let trained = files.trains(&[&path]);
        assert_eq!((&trained["n_users"], &trained["n_ratings"]), (&20.into(), &200.into()));
        assert_eq!(files.trains(&[&path, "--id-type", "text"])["n_users"], 20, "{dtype:?}");
    }
    // Text of integers.
    let path = files.parquet("r.parquet", vec![text(&users()), items(), ratings()]);
    let model = files.path("model");
    files.trains(&[&path, "--id-type", "int"]);
    let manifest = fs::read_to_string(format!("{model}/manifest.json")).unwrap();
    assert!(manifest.contains("\"user_ids\": \"int\""), "{manifest}");
    // A float that is no integer.
    let half = users().cast(&DataType::Float64).unwrap();
    let half: Vec<f64> = half.f64().unwrap().iter().map(|v| v.unwrap() + 0.5).collect();
    let half = Series::new("user_id".into(), half).into_column();
    let path = files.parquet("r.parquet", vec![half, items(), ratings()]);
    files.fails(&[&path], 3, &["user_id", "100.5", "not an integer"]);
}

#[test]
fn ratings_and_times_of_many_types_are_numbers() {
    let files = Files::new();
    let seconds = |n: usize| 1_503_705_600 + n * 3600;
    for dtype in [
        DataType::Decimal(38, 18),
        DataType::Decimal(4, 1),
        DataType::Float32,
        DataType::Int8,
        DataType::String,
    ] {
        let rating = ratings().cast(&dtype).unwrap();
        let path = files.parquet("r.parquet", vec![users(), items(), rating]);
        let found = inspects(&[&path]);
        assert_eq!(found["inputs"][0]["values"]["max"], 5.0, "{dtype:?}");
        assert_eq!(files.trains(&[&path])["n_ratings"], 200);
    }
    let iso: Vec<String> = (0..ROWS)
        .map(|n| {
            let time = chrono::DateTime::from_timestamp(seconds(n) as i64, 0).unwrap();
            time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
        })
        .collect();
    let times = ints("time", seconds);
    let time_of = |column: Column| {
        let path = files.parquet("r.parquet", vec![users(), items(), ratings(), column]);
        let found = inspects(&[&path]);
        assert_eq!(found["time_range"][0], "2017-08-26T00:00:00Z", "{found}");
        assert_eq!(files.trains(&[&path, "--since", "2017-08-30"])["n_ratings"], 104);
    };
    time_of(times.clone());
    time_of(times.cast(&DataType::Decimal(18, 0)).unwrap());
    time_of(times.cast(&DataType::Float64).unwrap());
    time_of(text(&times));
    time_of(ints("time", |n| seconds(n) * 1000));
    time_of(ints("time", |n| seconds(n) * 1_000_000_000));
    time_of(Series::new("time".into(), iso).into_column());
    let micros = ints("time", |n| seconds(n) * 1_000_000);
    time_of(micros.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap());
    // Empty times are no obstacle where nobody needs them.
    let some: Vec<Option<i64>> = (0..ROWS).map(|n| (n != 7).then(|| seconds(n) as i64)).collect();
    let some = Series::new("time".into(), some).into_column();
    let path = files.parquet("r.parquet", vec![users(), items(), ratings(), some]);
    let found = files.trains(&[&path]);
    assert!(found["n_ratings"] == 200 && warned(&found).contains("time"), "{found}");
    files.fails(&[&path, "--since", "2010-01-01"], 3, &["null"]);
}

#[test]
fn a_type_that_makes_no_sense_is_named_with_a_cast() {
    let files = Files::new();
    let bools: Vec<bool> = (0..ROWS).map(|n| n % 2 == 0).collect();
    let flag = |name: &str| Series::new(name.into(), bools.clone()).into_column();
    let days = |name: &str| {
        ints(name, |n| n).cast(&DataType::Int32).unwrap().cast(&DataType::Date).unwrap()
    };
    for (columns, name, cast) in [
        (vec![flag("user_id"), items(), ratings()], "user_id", "CAST(user_id AS BIGINT)"),
        (vec![days("user_id"), items(), ratings()], "user_id", "CAST(user_id AS BIGINT)"),
        (vec![users(), items(), flag("rating")], "rating", "CAST(rating AS DOUBLE)"),
        (vec![users(), items(), days("rating")], "rating", "CAST(rating AS DOUBLE)"),
    ] {
        let path = files.parquet("r.parquet", columns);
        files.fails(&[&path], 3, &["r.parquet: column", name, cast]);
    }
    // A column that is not needed may have any type.
    let list = Series::new("x".into(), vec![Series::new("".into(), [1_i64, 2]); ROWS]);
    let columns = vec![users(), flag("flag"), items(), days("day"), list.into_column(), ratings()];
    let path = files.parquet("r.parquet", columns);
    assert_eq!(files.trains(&[&path])["n_ratings"], 200);
    // Times of such a type are not read.
    let path = files.parquet("r.parquet", vec![users(), items(), ratings(), flag("time")]);
    let found = files.trains(&[&path]);
    assert!(warned(&found).contains("times are not used"), "{found}");
    files.fails(&[&path, "--since", "2010-01-01"], 3, &["CAST(time AS TIMESTAMP)"]);
}

/// Files that only other programs write. scripts/parquet-types makes them.
fn foreign(name: &str) -> String {
    format!("{}/tests/golden/parquet/{name}.parquet", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn types_of_other_programs_are_read_or_named() {
    let files = Files::new();
    let found = files.trains(&[&foreign("uuid")]);
    assert_eq!((&found["n_users"], &found["n_ratings"]), (&20.into(), &200.into()));
    let (code, out, err) =
        run(&["similar", &files.path("model"), "--user", "00000000-0000-0000-0000-000000000064"]);
    assert_eq!(code, 0, "{out}{err}");
    for (name, n_users) in [("dictionary", 20), ("half", 20)] {
        let found = files.trains(&[&foreign(name)]);
        assert_eq!((&found["n_users"], &found["n_ratings"]), (&n_users.into(), &200.into()));
    }
    files.fails(&[&foreign("decimal256")], 3, &["user_id", "decimal", "CAST(user_id AS BIGINT)"]);
    files.fails(&[&foreign("struct")], 3, &["user_id", "struct", "CAST(user_id.id AS BIGINT)"]);
    files.fails(&[&foreign("fixed16")], 3, &["user_id", "not UTF-8 text"]);
    // Beside the columns that are needed, everything may be there.
    let found = files.trains(&[&foreign("all")]);
    assert_eq!(found["n_ratings"], 200);
}

#[test]
fn side_tables_need_their_columns_only() {
    let files = Files::new();
    files.trains(&[&files.parquet("r.parquet", vec![users(), items(), ratings()])]);
    let model = files.path("model");
    let all = foreign("all");
    let (code, out, err) = run(&["similar", &model, "--item", "11", "--item-names", &all]);
    assert!(code == 0 && out.contains("title of 1"), "{out}{err}");
    let out = files.path("out.parquet");
    let (code, _, err) = run(&["predict", &model, "--pairs", &all, "-o", &out]);
    assert_eq!(code, 0, "{err}");
    let out = files.path("lists.parquet");
    let (code, _, err) = run(&["recommend", &model, "--users", &all, "-o", &out]);
    assert_eq!(code, 0, "{err}");
}
