use std::sync::atomic::AtomicBool;

use std::ops::ControlFlow;

use super::super::{Algorithm, Fit, Problem, Start};
use super::own::symmetric;
use super::*;
use crate::ids::Ids;
use crate::linalg::simd::Kernels;
use crate::linalg::{Matrix, NormalEquations};
use crate::model::{Factors, covariance_share};
use crate::ratings::{Cell, Ratings};
use crate::solver::{
    Classes, Expected, RowLayout, RowProblem, SharedCovariance, Solver, Variational as RowSolver,
};
use crate::split::mix;

/// Numbers in [-1, 1).
fn noise(at: usize) -> f64 {
    (mix(at as u64 + 1) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// One row's update and expected error equal the formulas of the literature, term by term, in
/// double precision.
#[test]
#[expect(clippy::too_many_lines, reason = "the formulas, one after the other")]
fn a_row_equals_the_formulas() {
    for (rank, biases, cells, weighted) in
        [(1, true, 3, false), (5, true, 40, true), (7, false, 9, false), (17, true, 9000, false)]
    {
        let layout = RowLayout { rank, biases };
        let (items, order, precision) = (23, layout.order(), 1.7);
        let mut fixed = Matrix::zeros(items, layout.cols());
        let (mut means, mut spreads) = (Vec::new(), Vec::new());
        for item in 0..items {
            let mean: Vec<f64> = (0..order).map(|i| noise(item * 100 + i)).collect();
            // The covariance is M Mᵀ for a random M.
            let m = |i: usize, l: usize| 0.3 * noise(7000 + item * 1000 + i * 30 + l);
            let mut spread = vec![0.0; order * order];
            for i in 0..order {
                for j in 0..order {
                    let value: f64 = (0..order).map(|l| m(i, l) * m(j, l)).sum();
                    spread[i * order + j] = f64::from(value as f32);
                }
            }
            let row = fixed.row_mut(item);
            (0..rank).for_each(|i| row[i] = mean[i] as f32);
            let mut at = layout.covariance();
            for i in 0..rank {
                for j in i..rank {
                    row[at] = spread[i * order + j] as f32;
                    at += 1;
                }
            }
            if biases {
                (0..=rank).for_each(|i| row[at + i] = spread[i * order + rank] as f32);
            }
            means.push(mean);
            spreads.push(spread);
        }
        let indices: Vec<u32> = (0..cells).map(|c| (c * 7 % items) as u32).collect();
        let weights: Vec<f32> = (0..cells).map(|c| 1.5 + noise(c + 9) as f32).collect();
        let weight = |c: usize| if weighted { f64::from(weights[c]) } else { 1.0 };
        let values: Vec<f64> = (0..cells).map(|c| 2.0 * noise(c + 31)).collect();
        let bias_of = |c: usize| if biases { means[indices[c] as usize][rank] } else { 0.0 };
        let targets: Vec<f32> =
            (0..cells).map(|c| (weight(c) * (values[c] - bias_of(c))) as f32).collect();
        let at_zero: f64 = (0..cells).map(|c| weight(c) * (values[c] - bias_of(c)).powi(2)).sum();
        let matrix: Vec<f64> =
            (0..order * order).map(|at| f64::from(u8::from(at % (order + 1) == 0)) * 0.8).collect();
        let rhs: Vec<f64> = (0..order).map(|i| 0.1 * noise(i)).collect();
        let kernels = Kernels::detect();
        let solver = RowSolver {
            kernels,
            layout,
            precision,
            shares: &vec![1.0; items],
            prior: (&matrix, &rhs),
        };
        let problem = RowProblem {
            row: 0,
            fixed: &fixed,
            indices: &indices,
            following: &[],
            weights: weighted.then_some(&weights),
            targets: &targets,
            shared: None,
            ridge: crate::objective::Ridge { vector: 0.0, bias: biases.then_some(0.0) },
            at_zero,
            bias: 0.0,
        };
        let mut x = vec![0.0; layout.cols()];
        let solved = solver.solve(&problem, &mut solver.scratch(rank), &mut x);
        let solution = solved.expect("solves").expect("at once");

        // First A and b, then the mean and the covariance.
        let mut a = nalgebra::DMatrix::from_row_slice(order, order, &matrix);
        let mut b = nalgebra::DVector::from_row_slice(&rhs);
        let design = |c: usize| {
            let mut y = means[indices[c] as usize].clone();
            if biases {
                y[rank] = 1.0;
            }
            y
        };
        for c in 0..cells {
            let (y, spread) = (design(c), &spreads[indices[c] as usize]);
            for i in 0..order {
                b[i] += weight(c) * y[i] * (values[c] - bias_of(c));
                for j in 0..order {
                    a[(i, j)] += weight(c) * y[i] * y[j];
                    if i < rank && j < rank {
                        a[(i, j)] += weight(c) * spread[i * order + j];
                    }
                }
                if i < rank && biases {
                    b[i] -= weight(c) * spread[i * order + rank];
                }
            }
        }
        let inverse = a.clone().try_inverse().expect("regular");
        let mean = &inverse * &b;
        let covariance = inverse / precision;
        let scale = mean.amax();
        // Single precision, summed over the cells.
        for i in 0..rank {
            assert!((f64::from(x[i]) - mean[i]).abs() < 1e-4 * scale, "{i}: {} {}", x[i], mean[i]);
        }
        if biases {
            assert!((f64::from(solution.bias) - mean[rank]).abs() < 1e-4 * scale);
        }
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        for (got, want) in symmetric(layout, &wide).iter().zip(covariance.iter()) {
            assert!((got - want).abs() < 1e-4 * covariance.amax(), "{got} {want}");
        }
        // E (t − p̃·q̃)² = (t − E)² + q̃ᵀS q̃ + p̃ᵀT p̃ + tr(S T), where the bias's 1 has no
        // variance.
        let mut error = 0.0;
        for c in 0..cells {
            let (y, spread) =
                (nalgebra::DVector::from_vec(design(c)), &spreads[indices[c] as usize]);
            let t = nalgebra::DMatrix::from_row_slice(order, order, spread);
            let mut p = mean.clone();
            if biases {
                p[rank] = 1.0;
            }
            let own = if biases { mean[rank] } else { 0.0 };
            let dot: f64 = (0..rank).map(|i| mean[i] * y[i]).sum();
            let residual = values[c] - bias_of(c) - own - dot;
            let own_spread = (y.transpose() * &covariance * &y)[0];
            let other = (p.transpose() * &t * &p)[0];
            let both: f64 = (0..rank)
                .flat_map(|i| (0..rank).map(move |j| (i, j)))
                .map(|(i, j)| covariance[(i, j)] * t[(i, j)])
                .sum();
            error += weight(c) * (residual * residual + own_spread + other + both);
        }
        let found = solution.minimum.expect("an error");
        assert!((found / error - 1.0).abs() < 1e-4, "{found} {error}");
    }
}

fn settings(covariances: Covariances) -> Variational {
    Variational {
        rank: 5,
        iterations: 30,
        keep: 400,
        biases: true,
        covariances,
        tolerance: 0.0,
        seed: 3,
    }
}

fn fit_of(problem: &Problem<'_>, covariances: Covariances) -> Fit {
    settings(covariances).fit(problem, &mut |_| ControlFlow::Continue(())).expect("fits")
}

/// One row's update and objective with shared covariances equal the formulas, term by term, in
/// double precision.
#[test]
fn a_row_with_shared_covariances_equals_the_formulas() {
    for (rank, biases, cells, weighted) in
        [(1, true, 3, false), (5, true, 40, true), (7, false, 9, false), (17, true, 9000, false)]
    {
        let (items, order, precision) = (23, rank + usize::from(biases), 1.7);
        let counts: Vec<usize> = (0..items).map(|item| 1 + item * item).collect();
        let classes = Classes::by_counts(counts.iter().copied());
        let covariance = |class: usize| -> Vec<f64> {
            let m = |i: usize, l: usize| 0.3 * noise(7000 + class * 1000 + i * 30 + l);
            let entry = |at: usize| (0..order).map(|l| m(at / order, l) * m(at % order, l)).sum();
            (0..order * order).map(entry).collect()
        };
        let covariances: Vec<Vec<f64>> = (0..classes.rows.len()).map(covariance).collect();
        let values: Vec<f32> = (0..items * rank).map(|at| noise(at) as f32).collect();
        let fixed = Matrix::from_rows(items, rank, &values);
        let indices: Vec<u32> = (0..cells).map(|c| (c * 7 % items) as u32).collect();
        let weights: Vec<f32> = (0..cells).map(|c| 1.5 + noise(c + 9) as f32).collect();
        let weight = |c: usize| if weighted { f64::from(weights[c]) } else { 1.0 };
        let target = |c: usize| 2.0 * noise(c + 31);
        let targets: Vec<f32> = (0..cells).map(|c| (weight(c) * target(c)) as f32).collect();
        let at_zero: f64 = (0..cells).map(|c| weight(c) * target(c).powi(2)).sum();
        let diagonal = |at: usize| if at.is_multiple_of(order + 1) { 0.8 } else { 0.0 };
        let matrix: Vec<f64> = (0..order * order).map(diagonal).collect();
        let rhs: Vec<f64> = (0..order).map(|i| 0.1 * noise(i)).collect();
        let expected = Expected::new(&classes, &covariances, rank, biases);
        let own = Classes::by_counts([cells].into_iter());
        let sample = own.sample();
        let kernels = Kernels::detect();
        let solver = SharedCovariance {
            kernels,
            expected: Some(&expected),
            precision,
            constant: 0.3,
            sample: Some((&own, &sample)),
        };
        let prior = NormalEquations::from_dense(&matrix, &rhs, biases);
        let problem = RowProblem {
            row: 0,
            fixed: &fixed,
            indices: &indices,
            following: &[],
            weights: weighted.then_some(&weights),
            targets: &targets,
            shared: Some(&crate::solver::Shared::new(prior)),
            ridge: crate::objective::Ridge { vector: 0.0, bias: biases.then_some(0.0) },
            at_zero,
            bias: 0.0,
        };
        let mut x = vec![0.0; rank];
        let solved = solver.solve(&problem, &mut solver.scratch(rank), &mut x);
        let solution = solved.expect("solves").expect("at once");

        let mut data = nalgebra::DMatrix::zeros(order, order);
        let (mut right, mut constant) = (nalgebra::DVector::zeros(order), at_zero + 0.3);
        for (c, &item) in indices.iter().enumerate() {
            let item = item as usize;
            let mut y: Vec<f64> = fixed.row(item).iter().map(|&v| f64::from(v)).collect();
            y.resize(order, 1.0);
            let class = crate::model::covariance_class(counts[item]);
            let share = weight(c) * covariance_share(crate::model::class_count(class));
            let t = &covariances[class];
            for i in 0..order {
                right[i] += weight(c) * y[i] * target(c);
                for j in 0..order {
                    data[(i, j)] += weight(c) * y[i] * y[j];
                    if i < rank && j < rank {
                        data[(i, j)] += share * t[i * order + j];
                    }
                }
                if i < rank && biases {
                    right[i] -= share * t[i * order + rank];
                }
            }
            if biases {
                constant += share * t[order * order - 1];
            }
        }
        let system = &data + nalgebra::DMatrix::from_row_slice(order, order, &matrix);
        let right = right + nalgebra::DVector::from_column_slice(&rhs);
        let inverse = system.clone().try_inverse().expect("regular");
        let mean = &inverse * &right;
        let scale = mean.amax();
        for i in 0..rank {
            assert!((f64::from(x[i]) - mean[i]).abs() < 1e-4 * scale, "{i}: {} {}", x[i], mean[i]);
        }
        if biases {
            assert!((f64::from(solution.bias) - mean[rank]).abs() < 1e-4 * scale);
        }
        let minimum = constant + mean.dot(&(&system * &mean)) - 2.0 * mean.dot(&right);
        let found = solution.minimum.expect("a minimum");
        assert!((found - minimum).abs() < 1e-4 * constant, "{found} {minimum}");
        let kept = sample[0].get().expect("sampled");
        for (got, want) in kept.iter().zip(inverse.iter()) {
            assert!((got * precision - want).abs() < 1e-4 * inverse.amax());
        }
    }
}

/// The kept samples have the means and variances of the posterior, and the noise is the true one.
#[test]
fn the_noise_is_found_and_samples_spread_as_the_posterior() {
    for covariances in [Covariances::Own, Covariances::Shared] {
        noise_is_found(covariances);
    }
}

fn noise_is_found(covariances: Covariances) {
    let (users, items, deviation) = (200, 150, 0.5);
    let normal = |at: usize| (0..12).map(|i| noise(at * 12 + i)).sum::<f64>() / 2.0;
    let p = |user: usize, f: usize| normal(user * 4 + f);
    let q = |item: usize, f: usize| normal(90_000 + item * 4 + f);
    let mut cells = Vec::new();
    for user in 0..users {
        for item in 0..items {
            if mix((user * 1000 + item) as u64).is_multiple_of(3) {
                let dot: f64 = (0..3).map(|f| p(user, f) * q(item, f)).sum();
                let value = 3.0 + 0.6 * dot + 0.4 * (p(user, 3) + q(item, 3));
                let value = value + deviation * normal(500_000 + user * items + item);
                let (user, item) = (user as u32, item as u32);
                cells.push(Cell { user, item, value: value as f32, weight: 1.0, time: 0 });
            }
        }
    }
    let ratings = Ratings::from_sorted(users, items, &cells);
    let stop = AtomicBool::new(false);
    let problem = Problem {
        ratings: &ratings,
        moments: &ratings.moments(),
        user_keys: &Ids::range(users).keys("user"),
        item_keys: &Ids::range(items).keys("item"),
        start: Start::Random,
        stop: &stop,
        kernels: Kernels::detect(),
    };
    let fit = fit_of(&problem, covariances);
    let averaged = fit.averaged.clone().expect("kept");
    // About 10000 cells for 2100 parameters. Mean field takes a little of the parameters' spread
    // for noise.
    assert!((averaged.noise / deviation - 1.0).abs() < 0.06, "{}", averaged.noise);
    // Mean and standard deviation of samples. The mean of 400 samples itself has 1/20 of their
    // deviation; the bounds for means below are four times that.
    let spread = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (mean, (squares / values.len() as f64).sqrt())
    };
    // The variance of a prediction equals that over the samples, within four standard deviations of
    // an empirical variance of 400 samples.
    for (user, item) in [(0, 0), (57, 100), (199, 3)] {
        let score = |f: &Factors| {
            let dot: f32 = f
                .users
                .vectors
                .row(user)
                .iter()
                .zip(f.items.vectors.row(item))
                .map(|(a, b)| a * b)
                .sum();
            f64::from(f.users.biases[user] + f.items.biases[item] + dot)
        };
        let scores: Vec<f64> = averaged.kept.iter().map(score).collect();
        let found = averaged.variance(&fit.factors, &ratings, user, item).expect("known");
        let want = spread(&scores).1.powi(2);
        assert!((found / want - 1.0).abs() < 0.3, "{found} {want}");
    }
    for row in [0, 57, 199] {
        let drawn: Vec<f64> =
            averaged.kept.iter().map(|f| f64::from(f.users.vectors.row(row)[2])).collect();
        let (mean, deviation) = spread(&drawn);
        let want = f64::from(fit.factors.users.vectors.row(row)[2]);
        assert!((mean - want).abs() < 0.2 * deviation && deviation > 0.0, "{mean} {want}");
        let biases: Vec<f64> =
            averaged.kept.iter().map(|f| f64::from(f.users.biases[row])).collect();
        let (mean, deviation) = spread(&biases);
        let want = f64::from(fit.factors.users.biases[row]);
        assert!((mean - want).abs() < 0.2 * deviation && deviation > 0.0, "{mean} {want}");
    }
}

/// Ratings without noise are fitted, however they are explained.
#[test]
fn ratings_without_noise_are_fitted() {
    let (users, items) = (300, 200);
    let explained: [fn(usize, usize) -> usize; 4] =
        [|u, _| u % 5, |_, i| i % 5, |u, i| u % 5 + i % 3, |u, i| (u % 3) * (i % 4)];
    for (number, value) in explained.into_iter().enumerate() {
        let mut cells = Vec::new();
        for user in 0..users {
            let rated =
                (0..items).filter(|item| mix((user * 1000 + item) as u64).is_multiple_of(7));
            cells.extend(rated.map(|item| Cell {
                user: user as u32,
                item: item as u32,
                value: 1.0 + value(user, item) as f32,
                weight: 1.0,
                time: 0,
            }));
        }
        let ratings = Ratings::from_sorted(users, items, &cells);
        let problem = Problem {
            ratings: &ratings,
            moments: &ratings.moments(),
            user_keys: &Ids::range(users).keys("user"),
            item_keys: &Ids::range(items).keys("item"),
            start: Start::Random,
            stop: &AtomicBool::new(false),
            kernels: Kernels::detect(),
        };
        for covariances in [Covariances::Own, Covariances::Shared] {
            for rank in [4, 32] {
                let settings =
                    Variational { rank, iterations: 60, keep: 0, ..settings(covariances) };
                let fit = settings.fit(&problem, &mut |_| ControlFlow::Continue(()));
                let fit = fit.expect("a fit");
                let errors = crate::metric::training_errors(&fit.scorer(), &ratings);
                let rmse = errors.raw.rmse().expect("cells");
                assert!(rmse < 0.05, "{number}, {covariances:?}, {rank}: {rmse}");
            }
        }
    }
}
