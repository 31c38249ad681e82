//! Estimates the time and memory that a training needs.

use crate::linalg::simd::RowList;
use std::time::Instant;

use serde::Serialize;

use crate::linalg::simd::Kernels;
use crate::linalg::{Matrix, NormalEquations};
use crate::pair::Pair;
use crate::settings::Plan;

/// Approximate memory of the program itself in bytes.
const BASE: u64 = 80 << 20;

/// Bytes per cell while the parts of a split are kept separately.
const CELL: u64 = 24;

/// Bytes per rating at the peak of loading: rows grouped by partition, in addition to the sorted
/// cells.
const LOAD_BYTES_PER_RATING: u64 = 60;

/// Bytes per rating while training: an index and a value in each orientation.
const TRAIN_BYTES_PER_RATING: u64 = 16;

/// An estimate of the cost of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// The algorithm that the estimate is for.
    pub algorithm: &'static str,
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

/// The size of a training: numbers of users and items, of ratings and of held-out ratings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub rows: Pair<usize>,
    pub ratings: usize,
    pub holdout: usize,
}

/// Estimates the cost of training on the threads of the current pool.
pub(crate) fn cost(plan: &Plan, size: Size) -> Cost {
    let Size { rows, ratings, holdout } = size;
    let facts = plan.facts();
    let k = f64::from(facts.rank);
    let all_rows = rows.users + rows.items;
    let threads = rayon::current_num_threads();
    let flops =
        2.0 * ratings as f64 * k * (k + 1.0) + all_rows as f64 * (k.powi(3) / 3.0 + 2.0 * k * k);
    let mut train = BASE + ratings as u64 * TRAIN_BYTES_PER_RATING + holdout as u64 * CELL;
    // The factors, and the state after the last iteration for a checkpoint.
    train += all_rows as u64 * (plan.bytes_per_row() + plan.state_bytes_per_row()) as u64;
    train += ratings as u64 * facts.bytes_per_rating;
    if plan.finish.refit {
        train += ratings as u64 * CELL;
    }
    Cost {
        algorithm: plan.algorithm.name(),
        factors: facts.rank,
        threads,
        seconds_per_iteration: flops / (kernel_rate(facts.rank as usize) * threads as f64),
        load_bytes: BASE + ratings as u64 * LOAD_BYTES_PER_RATING,
        train_bytes: train,
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
