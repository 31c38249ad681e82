use super::*;
use crate::error::Error;
use crate::ids::Ids;
use crate::linalg::simd::Kernels;
use crate::ratings::{Cell, Ratings};
use crate::train::Start;
use crate::train::StopReason;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

/// Ratings of a known low-rank model; some users and items have none.
pub(crate) fn sample(users: u32, items: u32, weighted: bool) -> Ratings {
    let mut cells = Vec::new();
    for user in 0..users {
        for item in 0..items {
            let h = crate::split::mix(u64::from(user) << 32 | u64::from(item));
            if h % 10 < 4 && user % 13 != 5 && item % 11 != 3 {
                let (u, i) = (f64::from(user), f64::from(item));
                let value =
                    3.0 + (u * 0.7).sin() * (i * 0.3).cos() + (u * 0.2).cos() * (i * 1.1).sin();
                let weight = if weighted { 0.5 + (h >> 20 & 3) as f32 * 0.5 } else { 1.0 };
                cells.push(Cell { user, item, value: value as f32, weight, time: 0 });
            }
        }
    }
    Ratings::from_sorted(users as usize, items as usize, &cells)
}

fn als(rank: usize) -> Als {
    Als {
        rank,
        iterations: 8,
        tolerance: 0.0,
        regularization: Regularization {
            users: 0.05,
            items: 0.05,
            biases: 0.05,
            damping: 0.0,
            exponent: 0.5,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 1,
    }
}

fn fit(als: &Als, ratings: &Ratings, observer: &mut crate::train::Observer<'_>) -> Result<Fit> {
    let stop = AtomicBool::new(false);
    let problem = Problem {
        ratings,
        moments: &ratings.moments(),
        user_keys: &Ids::range(ratings.users()).keys("user"),
        item_keys: &Ids::range(ratings.items()).keys("item"),
        start: Start::Random,
        stop: &stop,
        kernels: Kernels::detect(),
    };
    als.fit(&problem, observer)
}

#[test]
fn the_objective_never_rises_and_the_truth_is_found() {
    for weighted in [false, true] {
        let ratings = sample(60, 50, weighted);
        let (mut objectives, mut rmse) = (Vec::new(), None);
        fit(&Als { iterations: 30, ..als(4) }, &ratings, &mut |it| {
            objectives.push(it.objective);
            rmse = it.train_rmse_raw;
            ControlFlow::Continue(())
        })
        .expect("fits");
        assert!(objectives.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-6)), "{objectives:?}");
        // The values have a standard deviation of 0.7 and rank 2 plus a constant: shrinkage leaves
        // a small error.
        assert!(rmse.is_some_and(|r| r < 0.15), "{rmse:?}");
    }
}

/// The gradient of the objective at the fitted item rows is zero: the solve is exact.
#[test]
fn a_solved_row_is_a_stationary_point() {
    for weighted in [false, true] {
        for rank in [0, 3, 17] {
            let ratings = sample(60, 50, weighted);
            let als = als(rank);
            let fit = fit(&als, &ratings, &mut |_| ControlFlow::Continue(())).expect("fits");
            let m = ratings.moments();
            let (p, q) = (&fit.factors.users, &fit.factors.items);
            for item in 0..ratings.items() {
                let row = ratings.by_item.row(item);
                let rho = als.regularization.scale(ratings.by_item.mean_count(), row.len());
                let mut gradient: Vec<f64> =
                    q.vectors.row(item).iter().map(|&v| 0.05 * rho * f64::from(v)).collect();
                gradient.push(0.05 * rho * f64::from(q.biases[item]));
                for (j, &user) in row.indices.iter().enumerate() {
                    let y = p.vectors.row(user as usize);
                    let dot: f64 = y
                        .iter()
                        .zip(q.vectors.row(item))
                        .map(|(&a, &b)| f64::from(a) * f64::from(b))
                        .sum();
                    let z = (f64::from(row.values[j]) - m.mean) / m.deviation;
                    let known = f64::from(q.biases[item]) + f64::from(p.biases[user as usize]);
                    let error = row.weights.map_or(1.0, |w| f64::from(w[j])) * (z - known - dot);
                    for (g, &y) in gradient.iter_mut().zip(y.iter().chain(&[1.0])) {
                        *g -= error * f64::from(y);
                    }
                }
                if row.is_empty() {
                    assert!(q.vectors.row(item).iter().all(|&v| v == 0.0) && q.biases[item] == 0.0);
                }
                // Single precision over about twenty cells.
                assert!(gradient.iter().all(|g| g.abs() < 2e-4), "item {item}: {gradient:?}");
            }
        }
    }
}

#[test]
fn biases_and_mean_can_be_left_out() {
    let ratings = sample(40, 30, false);
    let fit = fit(&Als { biases: false, mean: false, ..als(3) }, &ratings, &mut |_| {
        ControlFlow::Continue(())
    })
    .expect("fits");
    assert_eq!((fit.scale.mean, fit.scale.deviation), (0.0, 1.0));
    assert!(fit.factors.users.biases.iter().chain(&fit.factors.items.biases).all(|&b| b == 0.0));
}

#[test]
fn tolerance_and_observer_end_the_fit() {
    let ratings = sample(40, 30, false);
    let mut count = 0;
    let ended = fit(&als(2), &ratings, &mut |_| {
        count += 1;
        if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect("fits");
    assert_eq!((ended.iterations, ended.stop_reason), (3, StopReason::Observer));
    let ended =
        fit(&Als { tolerance: 0.5, ..als(2) }, &ratings, &mut |_| ControlFlow::Continue(()))
            .expect("fits");
    assert!(ended.iterations < 8 && ended.stop_reason == StopReason::Tolerance);
}

/// A row without a solution ends the fit with its error, whatever the worker solves afterwards.
#[test]
fn a_row_that_fails_among_many_is_reported() {
    for rank in [3, 20] {
        let mut cells = Vec::new();
        for user in 0..4000 {
            for item in 0..=user % 5 {
                let value = if user == 7 { f32::MAX } else { (user + item) as f32 % 5.0 };
                cells.push(Cell { user, item, value, weight: 1.0, time: 0 });
            }
        }
        let ratings = Ratings::from_sorted(4000, 5, &cells);
        let als = Als { mean: false, ..als(rank) };
        let result = fit(&als, &ratings, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(result, Err(Error::Numeric { .. })), "rank {rank}");
    }
}

/// Conjugate gradients stop where no improvement is left.
///
/// The rows have fewer ratings than unknowns and no regularisation. The objective must fall and end
/// small.
#[test]
fn steps_end_where_nothing_is_left() {
    let ratings = sample(60, 50, false);
    let mut cells = Vec::new();
    for user in 0..60_u32 {
        let row = ratings.by_user.row(user as usize);
        let few = if user % 2 == 0 { 1 } else { row.len() };
        for (&item, &value) in row.indices.iter().zip(row.values).take(few) {
            cells.push(Cell { user, item, value, weight: 1.0, time: 0 });
        }
    }
    let ratings = Ratings::from_sorted(60, 50, &cells);
    let none = Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.5 };
    for steps in [3, 10] {
        for biases in [true, false] {
            let solver = SolverChoice::ConjugateGradient { steps };
            let als = Als { solver, regularization: none, biases, ..als(3) };
            let mut objectives = Vec::new();
            fit(&als, &ratings, &mut |it| {
                objectives.push(it.objective);
                ControlFlow::Continue(())
            })
            .expect("fits");
            let falls = objectives.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-3) + 1e-6);
            assert!(falls && objectives[7] < 0.5, "{objectives:?}");
        }
    }
}

/// For rows of several chunks, every approximate solver reaches the exact solver's objective.
#[test]
fn long_rows_are_summed_as_well_by_every_solver() {
    let mut cells = Vec::new();
    for user in 0..20_000_u32 {
        for item in (0..3_u32).filter(|item| *item == 0 || (user + item) % 4 == 0) {
            let value = (f64::from(user) * 0.37).sin() + f64::from(item);
            cells.push(Cell { user, item, value: value as f32, weight: 1.0, time: 0 });
        }
    }
    let ratings = Ratings::from_sorted(20_000, 3, &cells);
    let objective = |solver| {
        let (mut last, als) = (0.0, Als { solver, iterations: 6, ..als(2) });
        fit(&als, &ratings, &mut |it| {
            last = it.objective;
            ControlFlow::Continue(())
        })
        .expect("fits");
        last
    };
    let exact = objective(SolverChoice::Cholesky);
    for solver in [
        SolverChoice::ConjugateGradient { steps: 3 },
        SolverChoice::Subspace { block: 2 },
        SolverChoice::Subspace { block: 1 },
    ] {
        let got = objective(solver);
        assert!((got / exact - 1.0).abs() < 1e-2, "{solver:?}: {got} {exact}");
    }
}
