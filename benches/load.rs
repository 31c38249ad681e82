//! Compares reading and preparing 25 million ratings with reading the same columns in Polars.
//!
//! `cargo bench --bench load` generates a CSV in the shape of MovieLens 25M in the temporary
//! directory. It then repeats three measurements one after another in one process: Polars alone,
//! files to validated columns and dense ids, and duplicates and both CSRs. It prints medians and
//! ratios. With `-- --test`, it runs once on tiny data. `BENCH_RATINGS` sets another number of
//! ratings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use lacuna::load::prepare::{Preparation, prepare};
use lacuna::load::{LoadOptions, load};
use lacuna::ratings::Ratings;
use lacuna::store::RatingsWriter;
use lacuna::synthetic::{Generator, Synthetic};
use polars::prelude::*;

fn main() {
    let smoke = std::env::args().any(|a| a == "--test");
    let given = std::env::var("BENCH_RATINGS").ok().and_then(|v| v.parse().ok());
    let ratings: u64 = if smoke { 20_000 } else { given.unwrap_or(25_000_000) };
    let rounds = if smoke { 1 } else { 5 };
    let path = generate(ratings);
    let (mut polars, mut columns, mut csr) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        polars.push(seconds(|| read_with_polars(&path)));
        let stop = AtomicBool::new(false);
        let inputs = [path.display().to_string()];
        let since = Instant::now();
        let interactions =
            load(&inputs, &[], &LoadOptions::default(), &stop, &|_, _| {}).expect("loads");
        columns.push(since.elapsed().as_secs_f64());
        let since = Instant::now();
        let prepared = prepare(interactions, &Preparation::default(), &stop).expect("prepares");
        let both =
            Ratings::from_sorted(prepared.users.len(), prepared.items.len(), &prepared.cells);
        csr.push(since.elapsed().as_secs_f64());
        assert_eq!(both.len() as u64, ratings);
    }
    let (polars, columns, csr) = (median(polars), median(columns), median(csr));
    println!("{ratings} ratings, {} threads, medians of {rounds}", rayon::current_num_threads());
    println!("Polars reads the columns        {polars:6.2} s   1.00");
    println!("validated columns, dense ids    {columns:6.2} s   {:.2}", columns / polars);
    println!("duplicates and both CSRs        {csr:6.2} s   {:.2}", csr / polars);
}

/// Generates a CSV in the shape of `MovieLens` 25M, which is kept between runs. Returns its path.
fn generate(ratings: u64) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lacuna-bench-{ratings}.csv"));
    if !path.exists() {
        let scale = ratings as f64 / 25e6;
        let spec = Synthetic {
            users: (160_000.0 * scale) as u32 + 10,
            items: (60_000.0 * scale.sqrt()) as u32 + 10,
            ratings,
            rank: 8,
            noise: 0.8,
            step: 0.5,
            range: (0.5, 5.0),
            seed: 1,
        };
        let generator = Generator::new(spec).expect("fits");
        let mut writer = RatingsWriter::create(&path, false).expect("creates");
        for first in (0..generator.blocks()).step_by(64) {
            writer
                .write(&generator.make(first..generator.blocks().min(first + 64)))
                .expect("writes");
        }
        writer.finish().expect("writes");
    }
    path
}

fn read_with_polars(path: &Path) {
    let int = |name: &str| Field::new(name.into(), DataType::Int64);
    let rating = Field::new("rating".into(), DataType::Float32);
    let schema = Schema::from_iter([int("userId"), int("movieId"), rating, int("timestamp")]);
    let frame = CsvReadOptions::default()
        .with_schema(Some(Arc::new(schema)))
        .try_into_reader_with_file_path(Some(path.to_owned()))
        .and_then(SerReader::finish)
        .expect("reads");
    std::hint::black_box(frame.height());
}

fn seconds(work: impl FnOnce()) -> f64 {
    let since = Instant::now();
    work();
    since.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
