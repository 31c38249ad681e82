//! Kernels by rank, in useful flops per second: criterion's throughput is elements, here flops.
//!
//! `cargo bench -p lacuna-kernels --bench kernels`; under `-- --test` each runs once on tiny data.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lacuna::linalg::simd::{Kernels, Level};
use lacuna::linalg::{Matrix, NormalEquations};
use lacuna::split::mix;

/// Rows of the fixed side: 60,000 vectors, more than a cache holds at rank 64.
const ROWS: usize = 60_000;

/// Cells of one solved row, about the mean of MovieLens 25M.
const CELLS: usize = 152;

fn fixed(rank: usize) -> Matrix {
    let mut matrix = Matrix::zeros(ROWS, rank);
    for row in 0..ROWS {
        for (d, value) in matrix.row_mut(row).iter_mut().enumerate() {
            *value = (mix((row * 4096 + d) as u64) >> 40) as f32 * 1e-7 - 0.8;
        }
    }
    matrix
}

/// Sorted positions, popular ones more often, as a user's items are.
fn indices(seed: u64) -> Vec<u32> {
    let draw = |n: u64| {
        let u = (mix(seed << 32 | n) >> 11) as f64 / (1_u64 << 53) as f64;
        (u.powi(3) * ROWS as f64) as u32
    };
    let mut indices: Vec<u32> = (0..CELLS as u64).map(draw).collect();
    indices.sort_unstable();
    indices
}

fn levels() -> impl Iterator<Item = Kernels> {
    Level::available().into_iter().rev().filter_map(Kernels::with_level)
}

fn gram(c: &mut Criterion) {
    let mut group = c.benchmark_group("gram");
    let lists: Vec<Vec<u32>> = (0..256).map(indices).collect();
    let targets = vec![0.5; CELLS];
    for rank in [16, 32, 64, 100, 128, 256] {
        let fixed = fixed(rank);
        let mut system = NormalEquations::new(rank);
        group.throughput(Throughput::Elements((CELLS * rank * (rank + 1)) as u64));
        for kernels in levels() {
            let mut at = 0;
            group.bench_function(BenchmarkId::new(kernels.level().name(), rank), |b| {
                b.iter(|| {
                    at = (at + 1) % lists.len();
                    system.reset();
                    system.accumulate(
                        kernels,
                        &fixed,
                        (&lists[at], &lists[(at + 1) % lists.len()]),
                        None,
                        &targets,
                    );
                });
            });
        }
    }
}

fn solve(c: &mut Criterion) {
    let mut group = c.benchmark_group("solve");
    let targets = vec![0.5; CELLS];
    for rank in [8, 16, 32, 64, 100, 128, 256] {
        let fixed = fixed(rank);
        let mut system = NormalEquations::new(rank);
        system.accumulate(Kernels::detect(), &fixed, (&indices(1), &[]), None, &targets);
        system.add_ridge(100.0, 1.0);
        let mut x = vec![0.0; rank];
        group.throughput(Throughput::Elements((rank * rank * rank / 3 + 2 * rank * rank) as u64));
        for kernels in levels() {
            group.bench_function(BenchmarkId::new(kernels.level().name(), rank), |b| {
                b.iter_batched_ref(
                    || system.clone(),
                    |system| system.solve(kernels, true, &mut x),
                    criterion::BatchSize::SmallInput,
                );
            });
        }
    }
}

fn dots(c: &mut Criterion) {
    let mut group = c.benchmark_group("dots");
    let list = indices(3);
    let mut out = vec![0.0; CELLS];
    for rank in [16, 64, 128] {
        let fixed = fixed(rank);
        group.throughput(Throughput::Elements((2 * CELLS * rank) as u64));
        for kernels in levels() {
            group.bench_function(BenchmarkId::new(kernels.level().name(), rank), |b| {
                b.iter(|| kernels.dots(fixed.row(7), &fixed, &list, &mut out));
            });
        }
    }
}

criterion_group!(benches, gram, solve, dots);
criterion_main!(benches);
