//! Estimates the time and memory that a training needs.

use crate::linalg::simd::RowList;
use std::time::Instant;

use serde::Serialize;

use crate::linalg::simd::Kernels;
use crate::linalg::{Matrix, NormalEquations};
use crate::pair::Pair;
use crate::param::Rank;

/// Bytes per rating at the peak of loading: rows grouped by partition, in addition to the sorted
/// cells.
const LOAD_BYTES_PER_RATING: u64 = 60;

/// Bytes per rating while training: an index and a value in each orientation.
const TRAIN_BYTES_PER_RATING: u64 = 16;

/// An estimate of the cost of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// The rank that the estimate is for.
    pub factors: u32,
    /// The number of threads that the estimate is for.
    pub threads: usize,
    /// Seconds per iteration, from the measured speed of the kernel on this machine.
    pub seconds_per_iteration: f64,
    /// Peak memory while reading and sorting, in bytes.
    pub load_bytes: u64,
    /// Memory while training, in bytes.
    pub train_bytes: u64,
}

/// Estimates the cost of training on the threads of the current pool.
pub(crate) fn cost(factors: Rank, rows: Pair<usize>, ratings: usize) -> Cost {
    let k = f64::from(factors.get());
    let all_rows = rows.users + rows.items;
    let threads = rayon::current_num_threads();
    let flops =
        2.0 * ratings as f64 * k * (k + 1.0) + all_rows as f64 * (k.powi(3) / 3.0 + 2.0 * k * k);
    let stride = u64::from(factors.get()).next_multiple_of(16);
    let factor_bytes = all_rows as u64 * (stride + 1) * 4;
    Cost {
        factors: factors.get(),
        threads,
        seconds_per_iteration: flops / (kernel_rate(factors.get() as usize) * threads as f64),
        load_bytes: ratings as u64 * LOAD_BYTES_PER_RATING,
        train_bytes: ratings as u64 * TRAIN_BYTES_PER_RATING + factor_bytes,
    }
}

/// Measures the flops per second of one thread on rows of typical length, for about 20 ms.
fn kernel_rate(rank: usize) -> f64 {
    let (rows, cells) = (20_000, 200);
    let rank = rank.max(1);
    let fixed = Matrix::zeros(rows, rank);
    let indices: Vec<u32> = (0..cells).map(|i| (i * 7919 % rows) as u32).collect();
    let targets = vec![0.0; cells];
    let kernels = Kernels::detect();
    let mut system = NormalEquations::new(rank);
    let mut x = vec![0.0; rank];
    let (start, mut done) = (Instant::now(), 0.0);
    while start.elapsed().as_millis() < 20 {
        system.reset();
        system.accumulate(kernels, &fixed, RowList::new(&indices), None, &targets);
        system.add_ridge(1.0, 1.0);
        // The right-hand side is zero and the ridge positive: this cannot fail.
        let _ = system.solve(kernels, true, &mut x);
        let k = rank as f64;
        done += cells as f64 * k * (k + 1.0) + k.powi(3) / 3.0 + 2.0 * k * k;
    }
    done / start.elapsed().as_secs_f64()
}
