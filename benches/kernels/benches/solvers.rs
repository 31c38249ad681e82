//! Compares sweeps of every solver on the same data.
//!
//! For each solver it prints the seconds per sweep and the objective after the same number of
//! sweeps, relative to those of the exact solver. With als, it also measures sweeps of Gibbs
//! sampling: the median in burn-in, and the mean while samples are averaged and compressed.
//!
//! Run `cargo bench -p lacuna-kernels --bench solvers`. These variables change what runs:
//! `BENCH_RATINGS` (1,000,000), `BENCH_RANKS` (64,128,256), `BENCH_ROUNDS` (10), `BENCH_ALGORITHMS`
//! (als,ials) and `BENCH_SOLVERS` (all, or a list such as `cholesky,gibbs`). With `-- --test`, it
//! runs two sweeps on tiny data.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use lacuna::linalg::simd::Kernels;
use lacuna::objective::{Confidence, Regularization};
use lacuna::ratings::Ratings;
use lacuna::split::mix;
use lacuna::train::{Algorithm, Als, Bayes, Ials, Problem, SolverChoice, Start};
use lacuna_kernels::{median, ratings, setting};

fn main() {
    let smoke = std::env::args().any(|a| a == "--test");
    let number = setting("BENCH_RATINGS", if smoke { 20_000 } else { 1_000_000 });
    let rounds = if smoke { 2 } else { setting("BENCH_ROUNDS", 10) } as u32;
    let ranks = std::env::var("BENCH_RANKS");
    let ranks = ranks.unwrap_or_else(|_| if smoke { "16" } else { "64,128,256" }.into());
    let chosen = std::env::var("BENCH_SOLVERS").unwrap_or_default();
    let algorithms = std::env::var("BENCH_ALGORITHMS").unwrap_or_else(|_| "als,ials".into());
    let ratings = ratings(number);
    println!(
        "{number} ratings of {} users and {} items, {} threads, {rounds} sweeps",
        ratings.users(),
        ratings.items(),
        rayon::current_num_threads()
    );
    println!("algorithm  rank  solver            s/sweep  x exact  objective - exact");
    for rank in ranks.split(',').filter_map(|r| r.trim().parse().ok()) {
        for name in algorithms.split(',') {
            let mut exact = None;
            for (solver, label) in [
                (SolverChoice::Cholesky, "cholesky"),
                (SolverChoice::ConjugateGradient { steps: 3 }, "cg, 3 steps"),
                (SolverChoice::Subspace { block: 16 }, "subspace 16"),
                (SolverChoice::Subspace { block: 32 }, "subspace 32"),
                (SolverChoice::Subspace { block: 64 }, "subspace 64"),
            ] {
                let wanted = |label: &str| {
                    chosen.is_empty() || chosen.split(',').any(|c| label.starts_with(c.trim()))
                };
                if !wanted(label) {
                    continue;
                }
                if matches!(solver, SolverChoice::Subspace { block } if block >= rank) {
                    continue;
                }
                let (seconds, objective) = run(&ratings, name, rank, solver, rounds);
                let (exact_seconds, exact_objective) = *exact.get_or_insert((seconds, objective));
                println!(
                    "{name:<9}  {rank:>4}  {label:<16}  {seconds:>7.4}  {:>7.2}  {:>+16.3}%",
                    exact_seconds / seconds,
                    100.0 * (objective / exact_objective - 1.0)
                );
            }
            let gibbs = chosen.is_empty() || chosen.contains("gibbs");
            if let (true, "als", Some((exact_seconds, _))) = (gibbs, name, exact) {
                for (label, burn_in) in [("gibbs", rounds - 1), ("gibbs, sampled", 0)] {
                    let seconds = sample(&ratings, rank, rounds, burn_in);
                    println!(
                        "bayes      {rank:>4}  {label:<16}  {seconds:>7.4}  {:>7.2}",
                        exact_seconds / seconds
                    );
                }
            }
        }
    }
}

/// The median seconds of the sweeps after the first, and the last objective.
fn run(
    ratings: &Ratings,
    name: &str,
    rank: usize,
    solver: SolverChoice,
    iterations: u32,
) -> (f64, f64) {
    let algorithm: Box<dyn Algorithm> = match name {
        "als" => Box::new(Als {
            rank,
            iterations,
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
            solver,
            seed: 42,
        }),
        _ => Box::new(Ials {
            rank,
            iterations,
            tolerance: 0.0,
            regularization: lacuna::pair::Pair::new(0.01, 0.01),
            exponent: 1.0,
            confidence: Confidence::Unit,
            unobserved: 0.1,
            solver,
            seed: 42,
        }),
    };
    let (times, objective) = time(ratings, &*algorithm);
    (median(&times), objective)
}

/// Seconds of a sweep of Gibbs sampling: the median in burn-in, or the mean over sampled sweeps, of
/// which only some compress samples.
fn sample(ratings: &Ratings, rank: usize, rounds: u32, burn_in: u32) -> f64 {
    let samples = rounds - burn_in;
    let bayes = Bayes { rank, burn_in, samples, keep: 0, biases: true, seed: 42 };
    let (times, _) = time(ratings, &bayes);
    if burn_in > 0 { median(&times) } else { times.iter().sum::<f64>() / times.len() as f64 }
}

/// The seconds of every sweep after the first, and the last objective.
fn time(ratings: &Ratings, algorithm: &dyn Algorithm) -> (Vec<f64>, f64) {
    let keys = |n: usize| (0..n as u64).map(mix).collect::<Vec<u64>>();
    let problem = Problem {
        ratings,
        moments: &ratings.moments(),
        user_keys: &keys(ratings.users()),
        item_keys: &keys(ratings.items()),
        start: Start::Random,
        stop: &AtomicBool::new(false),
        kernels: Kernels::detect(),
    };
    let (mut times, mut objective, mut since) = (Vec::new(), 0.0, Instant::now());
    let watch = &mut |it: &lacuna::train::Iteration<'_>| {
        if it.number > 1 {
            times.push(since.elapsed().as_secs_f64());
        }
        objective = it.objective;
        since = Instant::now();
        ControlFlow::Continue(())
    };
    algorithm.fit(&problem, watch).expect("fits");
    (times, objective)
}
