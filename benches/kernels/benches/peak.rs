//! Peak speed of the kernels on one core alongside that of faer's SGEMM, in GFLOP/s.
//!
//! Each number is the best of many short runs. On a shared machine, the best says more about the
//! code than the mean.
//!
//! Run `cargo bench -p lacuna-kernels --bench peak`. With `-- --test`, it makes one round.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use lacuna::linalg::simd::{Kernels, Level, RowList};
use lacuna::linalg::{Group, Matrix, NormalEquations};
use lacuna::split::mix;

fn main() {
    let rounds = if std::env::args().any(|a| a == "--test") { 1 } else { 400 };
    println!("sgemm {:.1}", std::thread::spawn(move || sgemm(rounds)).join().expect("runs"));
    for level in Level::available().into_iter().rev() {
        let kernels = Kernels::with_level(level).expect("available");
        println!(
            "{}: Gram sums by rows in cache; rows from 15 and 41 MB (k = 64); solve",
            level.name()
        );
        for rank in [8, 16, 32, 64, 128] {
            let mut line = format!("  k = {rank:>3}");
            for cells in [16, 64, 138, 1024] {
                line += &format!("  {cells}: {:5.1}", gram(kernels, 256, rank, cells, rounds));
            }
            for rows in [60_000 * 64 / rank, 160_000 * 64 / rank] {
                line += &format!("  {:5.1}", gram(kernels, rows, rank, 400, rounds / 10 + 1));
            }
            let alone = solve(kernels, rank, rounds);
            line += &format!("  {:.2} us", alone * 1e6);
            if Group::applies(rank) {
                line += &format!(", {:.2} us of 16", group(kernels, rank, rounds) * 1e6);
            }
            println!("{line}");
        }
    }
}

/// Seconds of the fastest of many runs.
fn best(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut one = || {
        let since = Instant::now();
        work();
        since.elapsed().as_secs_f64()
    };
    (0..rounds * 20).map(|_| one()).fold(f64::INFINITY, f64::min)
}

fn sgemm(rounds: usize) -> f64 {
    let order = 384;
    let a = Mat::<f32>::from_fn(order, order, |i, j| ((i * 7 + j) % 5) as f32);
    let mut c = Mat::<f32>::zeros(order, order);
    let run = || matmul(&mut c, Accum::Replace, &a, &a, 1.0_f32, Par::Seq);
    2.0 * (order as f64).powi(3) / best(rounds / 10 + 1, run) / 1e9
}

fn fixed(rows: usize, rank: usize) -> Matrix {
    let mut matrix = Matrix::zeros(rows, rank);
    for row in 0..rows {
        for (d, value) in matrix.row_mut(row).iter_mut().enumerate() {
            *value = (mix((row * 4096 + d) as u64) >> 40) as f32 * 1e-7 - 0.8;
        }
    }
    matrix
}

/// GFLOP/s of Gram sums, each over `cells` of the `rows` rows.
fn gram(kernels: Kernels, rows: usize, rank: usize, cells: usize, rounds: usize) -> f64 {
    let fixed = fixed(rows, rank);
    let lists = if rows * rank < 1 << 20 { 1 } else { 500 };
    let list = |l: u64| {
        let draw = |i: u64| (mix(l << 32 | i) % rows as u64) as u32;
        let mut list: Vec<u32> = (0..cells as u64).map(draw).collect();
        list.sort_unstable();
        list
    };
    let lists: Vec<Vec<u32>> = (0..lists).map(list).collect();
    let targets = vec![0.5; cells];
    let mut system = NormalEquations::new(rank);
    let run = || {
        for (at, list) in lists.iter().enumerate() {
            let following = lists.get(at + 1).map_or(&[][..], |next| next);
            system.set(kernels, &fixed, RowList { indices: list, following }, None, &targets);
        }
    };
    let rounds = if lists.len() > 1 { rounds / 20 + 1 } else { rounds };
    (lists.len() * cells * rank * (rank + 1)) as f64 / best(rounds, run) / 1e9
}

/// Fills a system as a row does.
fn fill(system: &mut NormalEquations, original: &NormalEquations) {
    system.reset();
    system.add_system(original);
    system.add_ridge(1.0, 1.0);
}

fn made(kernels: Kernels, rank: usize) -> NormalEquations {
    let mut system = NormalEquations::new(rank);
    let list: Vec<u32> = (0..152).collect();
    system.set(kernels, &fixed(152, rank), RowList::new(&list), None, &vec![0.5; 152]);
    system
}

/// Seconds of one solve, including the time to fill the system.
fn solve(kernels: Kernels, rank: usize, rounds: usize) -> f64 {
    let original = made(kernels, rank);
    let (mut system, mut x) = (original.clone(), vec![0.0; rank]);
    best(rounds, || {
        for _ in 0..16 {
            fill(&mut system, &original);
            system.solve(kernels, true, &mut x).expect("positive definite");
        }
    }) / 16.0
}

/// Seconds per system when 16 are solved together, including the time to fill the systems.
fn group(kernels: Kernels, rank: usize, rounds: usize) -> f64 {
    let original = made(kernels, rank);
    let mut group = Group::new(rank);
    best(rounds, || {
        for _ in 0..16 {
            fill(group.claim().expect("room"), &original);
        }
        group.solve(kernels, true, &mut |_, _, solution| assert!(solution.is_ok()));
    }) / 16.0
}
