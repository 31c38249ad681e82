//! Speed of whole exact sweeps relative to the machine's SGEMM rate.
//!
//! A sweep covers both sides, including the factorisations and the training errors.
//!
//! Run `cargo bench -p lacuna-kernels --bench sweep`. These variables change what runs:
//! `BENCH_RATINGS` (25,000,000), `BENCH_RANKS` (64,128), `BENCH_LEVELS` (the fastest, or a list
//! such as `avx512,portable`), `BENCH_ROUNDS` (5) and `BENCH_PYTHON` (a Python with numpy, whose
//! OpenBLAS is timed as well). With `-- --test`, it measures one sweep on tiny data.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use lacuna::linalg::simd::{Kernels, Level};
use lacuna::objective::Regularization;
use lacuna::ratings::Ratings;
use lacuna::split::mix;
use lacuna::train::{Algorithm, Als, Problem, SolverChoice, Start};
use lacuna_kernels::{median, numpy_sgemm, ratings, setting, sgemm, useful_flops};

fn main() {
    let smoke = std::env::args().any(|a| a == "--test");
    let number = setting("BENCH_RATINGS", if smoke { 20_000 } else { 25_000_000 });
    let rounds = if smoke { 1 } else { setting("BENCH_ROUNDS", 5) } as usize;
    let ranks = std::env::var("BENCH_RANKS").unwrap_or_else(|_| "64,128".into());
    let fastest = Kernels::detect().level().name().to_owned();
    let levels = std::env::var("BENCH_LEVELS").unwrap_or(fastest);
    let threads = rayon::current_num_threads();
    let ratings = ratings(number);
    println!(
        "{number} ratings of {} users and {} items, {threads} threads",
        ratings.users(),
        ratings.items()
    );
    println!("rank  level     s/sweep     best  GFLOP/s  M ratings/s  SGEMM faer  numpy  share");
    for rank in ranks.split(',').filter_map(|r| r.trim().parse().ok()) {
        for level in Level::available() {
            if levels.split(',').any(|l| l.trim() == level.name()) {
                sweep(&ratings, rank, level, rounds, threads);
            }
        }
    }
}

fn sweep(ratings: &Ratings, rank: usize, level: Level, rounds: usize, threads: usize) {
    let kernels = Kernels::with_level(level).expect("available");
    let keys = |n: usize| (0..n as u64).map(mix).collect::<Vec<u64>>();
    let (moments, user_keys, item_keys) =
        (ratings.moments(), keys(ratings.users()), keys(ratings.items()));
    let als = Als {
        rank,
        iterations: rounds as u32 + 1,
        tolerance: 0.0,
        regularization: Regularization {
            users: 0.15,
            items: 0.15,
            biases: 0.1,
            damping: 0.0,
            exponent: 0.5,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 42,
    };
    let problem = Problem {
        ratings,
        moments: &moments,
        user_keys: &user_keys,
        item_keys: &item_keys,
        start: Start::Random,
        stop: &AtomicBool::new(false),
        kernels,
    };
    let (mut sweeps, mut faer, mut numpy) = (Vec::new(), Vec::new(), Vec::new());
    let mut since = Instant::now();
    als.fit(&problem, &mut |iteration| {
        // The first sweep starts from zeros and touches fresh memory.
        if iteration.number > 1 {
            sweeps.push(since.elapsed().as_secs_f64());
        }
        faer.push(sgemm(threads));
        numpy.extend(numpy_sgemm(threads));
        since = Instant::now();
        ControlFlow::Continue(())
    })
    .expect("fits");
    let seconds = median(&sweeps);
    let best = sweeps.iter().copied().fold(f64::INFINITY, f64::min);
    let rate = useful_flops(ratings, rank) / seconds / 1e9;
    let (faer, numpy) = (median(&faer), (!numpy.is_empty()).then(|| median(&numpy)));
    println!(
        "{rank:>4}  {:<8}  {seconds:>7.3}  {best:>7.3}  {rate:>7.1}  {:>11.1}  {faer:>10.1}  \
         {:>5}  {:>4.0}%",
        level.name(),
        ratings.len() as f64 / seconds / 1e6,
        numpy.map_or("-".into(), |n| format!("{n:.0}")),
        100.0 * rate / faer.max(numpy.unwrap_or(0.0)),
    );
}
