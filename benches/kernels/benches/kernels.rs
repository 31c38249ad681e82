//! Speed of the kernels by rank. Criterion's elements per second are useful flops per second here.
//!
//! Run `cargo bench -p lacuna-kernels --bench kernels`. With `-- --test`, each benchmark runs once.

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::matmul::matmul;
use faer::{Accum, Auto, Mat, Par, Spec};
use lacuna::linalg::simd::{Kernels, Level, RowList};
use lacuna::linalg::{Matrix, NormalEquations};
use lacuna::split::mix;

/// Rows of the fixed side. At rank 64, a cache does not hold 60,000 vectors.
const ROWS: usize = 60_000;

/// Cells of one solved row, about the mean of MovieLens 25M.
const CELLS: usize = 152;

fn fixed(rows: usize, rank: usize) -> Matrix {
    let mut matrix = Matrix::zeros(rows, rank);
    for row in 0..rows {
        for (d, value) in matrix.row_mut(row).iter_mut().enumerate() {
            *value = (mix((row * 4096 + d) as u64) >> 40) as f32 * 1e-7 - 0.8;
        }
    }
    matrix
}

/// Sorted row numbers. Popular rows occur more often, as among a user's items.
fn indices(seed: u64, rows: usize, cells: usize) -> Vec<u32> {
    let draw = |n: u64| {
        let u = (mix(seed << 32 | n) >> 11) as f64 / (1_u64 << 53) as f64;
        (u.powi(3) * rows as f64) as u32
    };
    let mut indices: Vec<u32> = (0..cells as u64).map(draw).collect();
    indices.sort_unstable();
    indices
}

fn levels() -> impl Iterator<Item = Kernels> {
    Level::available().into_iter().rev().filter_map(Kernels::with_level)
}

/// Measures Gram sums of rows from all over a large matrix, as in training.
///
/// faer's matrix product is the reference.
fn gram(c: &mut Criterion) {
    let mut group = c.benchmark_group("gram");
    let lists: Vec<Vec<u32>> = (0..256).map(|seed| indices(seed, ROWS, CELLS)).collect();
    for rank in [16, 32, 64, 100, 128, 256] {
        sums(&mut group, rank, &fixed(ROWS, rank), &lists, &rank.to_string());
    }
    // The unit is the same: 2 flops per multiply-add.
    let order = 1024;
    let made = |i: usize, j: usize| (mix((i * order + j) as u64) >> 40) as f32 * 1e-7 - 0.8;
    let (a, b) = (Mat::from_fn(order, order, made), Mat::from_fn(order, order, made));
    let mut product = Mat::<f32>::zeros(order, order);
    group.throughput(Throughput::Elements(2 * (order as u64).pow(3)));
    group.bench_function("sgemm", |bench| {
        bench.iter(|| matmul(&mut product, Accum::Replace, &a, &b, 1.0_f32, Par::Seq));
    });
}

/// Measures Gram sums of rows that stay in the second-level cache, by the number of rows.
fn panel(c: &mut Criterion) {
    let mut group = c.benchmark_group("panel");
    for rank in [64, 128] {
        let fixed = fixed(256, rank);
        for cells in [16, 64, 256, 1024] {
            let list = vec![indices(7, 256, cells)];
            sums(&mut group, rank, &fixed, &list, &format!("{rank}x{cells}"));
        }
    }
}

fn sums(
    group: &mut BenchmarkGroup<'_, WallTime>,
    rank: usize,
    fixed: &Matrix,
    lists: &[Vec<u32>],
    name: &str,
) {
    let cells = lists[0].len();
    let targets = vec![0.5; cells];
    let mut system = NormalEquations::new(rank);
    group.throughput(Throughput::Elements((cells * rank * (rank + 1)) as u64));
    for kernels in levels() {
        let mut at = 0;
        group.bench_function(BenchmarkId::new(kernels.level().name(), name), |b| {
            b.iter(|| {
                at = (at + 1) % lists.len();
                let following = &lists[(at + 1) % lists.len()][..];
                system.set(
                    kernels,
                    fixed,
                    RowList { indices: &lists[at], following },
                    None,
                    &targets,
                );
            });
        });
    }
}

/// The positive definite matrix of a row with 152 cells. Only its upper triangle is filled.
fn positive_definite(rank: usize) -> (usize, Vec<f32>) {
    let mut system = NormalEquations::new(rank);
    let (fixed, targets) = (fixed(ROWS, rank), vec![0.5; CELLS]);
    system.accumulate(
        Kernels::detect(),
        &fixed,
        RowList::new(&indices(1, ROWS, CELLS)),
        None,
        &targets,
    );
    system.add_ridge(100.0, 1.0);
    (system.stride(), system.gram().to_vec())
}

/// Measures the factorisation, the forward substitution of two right-hand sides and the back
/// substitution of one, including the copy of the matrix. Of faer, only the copy and the
/// factorisation are measured.
fn solve(c: &mut Criterion) {
    let mut group = c.benchmark_group("solve");
    for rank in [8, 16, 32, 64, 100, 128, 256, 512] {
        let (n, original) = positive_definite(rank);
        let mut matrix = original.clone();
        let (mut g, mut a) = (vec![0.5; n], vec![0.25; n]);
        group.throughput(Throughput::Elements((rank * rank * rank / 3 + 2 * rank * rank) as u64));
        for kernels in levels() {
            group.bench_function(BenchmarkId::new(kernels.level().name(), rank), |b| {
                b.iter(|| {
                    matrix.copy_from_slice(&original);
                    g.fill(0.5);
                    a.fill(0.25);
                    let right = [&mut g[..], &mut a[..]];
                    kernels.cholesky(&mut matrix, n, rank, right).expect("positive definite");
                    kernels.solve(&matrix, n, rank, &mut g);
                });
            });
        }
        let original = Mat::from_fn(rank, rank, |i, j| original[i.min(j) * n + i.max(j)]);
        let mut matrix = original.clone();
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f32>(
            rank,
            Par::Seq,
            Spec::new(<LltParams as Auto<f32>>::auto()),
        ));
        group.bench_function(BenchmarkId::new("faer", rank), |b| {
            b.iter(|| {
                matrix.copy_from(&original);
                cholesky_in_place(
                    matrix.as_mut(),
                    LltRegularization::default(),
                    Par::Seq,
                    MemStack::new(&mut memory),
                    Spec::new(<LltParams as Auto<f32>>::auto()),
                )
                .expect("positive definite");
            });
        });
    }
}

fn dots(c: &mut Criterion) {
    let mut group = c.benchmark_group("dots");
    let list = indices(3, ROWS, CELLS);
    let mut out = vec![0.0; CELLS];
    for rank in [16, 64, 128] {
        let fixed = fixed(ROWS, rank);
        group.throughput(Throughput::Elements((2 * CELLS * rank) as u64));
        for kernels in levels() {
            group.bench_function(BenchmarkId::new(kernels.level().name(), rank), |b| {
                b.iter(|| kernels.dots(fixed.row(7), &fixed, &list, &mut out));
            });
        }
    }
}

criterion_group!(benches, gram, panel, solve, dots);
criterion_main!(benches);
