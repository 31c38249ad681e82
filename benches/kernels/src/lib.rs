//! Helpers of the benches: synthetic data, the machine's SGEMM rate and useful flops.

use std::process::Command;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use lacuna::ratings::{Cell, Ratings};
use lacuna::split::mix;
use lacuna::synthetic::{Generator, Synthetic};

/// Order of the matrices whose product gives the machine's SGEMM rate.
const SGEMM_ORDER: usize = 2048;

/// The seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let since = Instant::now();
    work();
    since.elapsed().as_secs_f64()
}

/// The median: the upper middle value of an even number of values, NaN for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The rate of faer's single-precision matrix product on `threads` threads in GFLOP/s.
///
/// The product runs on its own threads: it leaves the upper halves of the vector registers in use.
/// Code for the baseline instruction set then runs at less than half its speed on the same thread.
///
/// # Panics
/// If the threads cannot be started.
#[must_use]
pub fn sgemm(threads: usize) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| sgemm_here(threads))
}

fn sgemm_here(threads: usize) -> f64 {
    let order = SGEMM_ORDER;
    let made = |i: usize, j: usize| (mix((i * order + j) as u64) >> 40) as f32 * 1e-7 - 0.8;
    let (a, b) = (Mat::from_fn(order, order, made), Mat::from_fn(order, order, made));
    let mut c = Mat::<f32>::zeros(order, order);
    let par = if threads == 1 { Par::Seq } else { Par::rayon(threads) };
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(seconds(|| matmul(&mut c, Accum::Replace, &a, &b, 1.0_f32, par)));
    }
    std::hint::black_box(&c);
    2.0 * (order as f64).powi(3) / best / 1e9
}

/// The rate of numpy's matrix product on `threads` threads in GFLOP/s.
///
/// `BENCH_PYTHON` names the Python. `None` if it is not set or fails.
#[must_use]
pub fn numpy_sgemm(threads: usize) -> Option<f64> {
    let python = std::env::var_os("BENCH_PYTHON")?;
    let script = format!(
        "import numpy, time\n\
         n = {SGEMM_ORDER}\n\
         a, b = (numpy.random.default_rng(s).random((n, n), dtype='float32') for s in (0, 1))\n\
         def once():\n    t = time.perf_counter(); a @ b; return time.perf_counter() - t\n\
         print(2 * n**3 / min(once() for _ in range(4)) / 1e9)"
    );
    let output = Command::new(python)
        .args(["-c", &script])
        .env("OPENBLAS_NUM_THREADS", threads.to_string())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The useful flops of one exact sweep over both sides.
///
/// They comprise the upper triangles of the Gram matrices and, for every row with cells, a
/// factorisation and two solves.
#[must_use]
pub fn useful_flops(ratings: &Ratings, rank: usize) -> f64 {
    let k = rank as f64;
    let rows =
        |side: &lacuna::ratings::Side| (0..side.rows()).filter(|&r| side.count(r) > 0).count();
    let rows = (rows(&ratings.by_user) + rows(&ratings.by_item)) as f64;
    2.0 * ratings.len() as f64 * k * (k + 1.0) + rows * (k.powi(3) / 3.0 + 2.0 * k * k)
}

/// `number` ratings in the shape of MovieLens 25M (162,541 users and 59,047 items at 25 million).
///
/// # Panics
/// If `number` is too small for the users.
#[must_use]
pub fn ratings(number: u64) -> Ratings {
    let scale = number as f64 / 25e6;
    let (users, items) =
        ((162_541.0 * scale).ceil() as u32, (59_047.0 * scale.sqrt()).ceil() as u32);
    let generator = Generator::new(Synthetic {
        users,
        items,
        ratings: number,
        rank: 16,
        noise: 0.7,
        step: 0.5,
        range: (0.5, 5.0),
        seed: 1,
    })
    .expect("the numbers fit");
    let mut cells = Vec::with_capacity(number as usize);
    let blocks = generator.blocks();
    for start in (0..blocks).step_by(64) {
        for block in generator.make(start..(start + 64).min(blocks)) {
            let first = cells.len();
            for i in 0..block.users.len() {
                cells.push(Cell {
                    user: (block.users[i] - 1) as u32,
                    item: (block.items[i] - 1) as u32,
                    value: block.values[i],
                    weight: 1.0,
                    time: 0,
                });
            }
            cells[first..].sort_unstable_by_key(|c| (c.user, c.item));
        }
    }
    Ratings::from_sorted(users as usize, items as usize, &cells)
}

/// A number from the environment variable `name`, or the default.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}
