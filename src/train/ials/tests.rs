use super::*;
use crate::ids::Ids;
use crate::linalg::simd::Kernels;
use crate::model::Factors;
use crate::ratings::{Cell, Ratings, Row};
use crate::split::mix;
use crate::train::Start;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

/// Counts from users of two tastes; some users and items have none.
fn sample(users: u32, items: u32, weighted: bool) -> Ratings {
    let mut cells = Vec::new();
    for user in 0..users {
        for item in 0..items {
            let h = mix(u64::from(user) << 32 | u64::from(item));
            let likes = if user % 2 == item % 2 { 40 } else { 8 };
            if h % 100 < likes && user % 13 != 5 && item % 11 != 3 {
                let weight = if weighted { 0.5 + (h >> 20 & 3) as f32 * 0.5 } else { 1.0 };
                cells.push(Cell { user, item, value: (h >> 30 & 7) as f32, weight, time: 0 });
            }
        }
    }
    Ratings::from_sorted(users as usize, items as usize, &cells)
}

fn ials(confidence: Confidence, unobserved: f64) -> Ials {
    Ials {
        rank: 20,
        iterations: 4,
        tolerance: 0.0,
        regularization: Pair::new(0.02, 0.02),
        exponent: 0.7,
        confidence,
        unobserved,
        solver: SolverChoice::Cholesky,
        seed: 3,
    }
}

fn fit(ials: &Ials, ratings: &Ratings) -> Result<(Fit, Vec<f64>)> {
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
    let mut objectives = Vec::new();
    let fit = ials.fit(&problem, &mut |it| {
        assert!(it.train_rmse_raw.is_none());
        objectives.push(it.objective);
        ControlFlow::Continue(())
    })?;
    Ok((fit, objectives))
}

const FORMS: [(Confidence, f64); 6] = [
    (Confidence::Unit, 0.1),
    (Confidence::Unit, 0.0),
    (Confidence::Linear { alpha: 2.0 }, 1.0),
    (Confidence::Linear { alpha: 2.0 }, 0.3),
    (Confidence::Log { alpha: 3.0, epsilon: 0.5 }, 1.0),
    (Confidence::Raw { alpha: 2.0 }, 1.0),
];

/// `c` of a cell, written independently from the table of [`crate::objective::Implicit`]'s module.
fn confidence(form: Confidence, row: &Row<'_>, p: usize) -> f64 {
    let (r, weight) = (f64::from(row.values[p]), row.weights.map_or(1.0, |w| f64::from(w[p])));
    weight
        * match form {
            Confidence::Unit => 1.0,
            Confidence::Linear { alpha } => 1.0 + alpha * r,
            Confidence::Log { alpha, epsilon } => 1.0 + alpha * (1.0 + r / epsilon).ln(),
            Confidence::Raw { alpha } => alpha * r,
        }
}

/// The weights of the squared score and of the squared difference from 1 of one cell.
fn weights(ials: &Ials, row: &Row<'_>, item: usize) -> (f64, f64) {
    match row.indices.iter().position(|&i| i as usize == item) {
        None => (ials.unobserved, 0.0),
        // With unit confidence, an observed pair also counts as unobserved.
        Some(p) if ials.confidence == Confidence::Unit => {
            (ials.unobserved, confidence(ials.confidence, row, p))
        }
        Some(p) => (0.0, confidence(ials.confidence, row, p)),
    }
}

fn score(factors: &Factors, user: usize, item: usize) -> f64 {
    let (p, q) = (factors.users.vectors.row(user), factors.items.vectors.row(item));
    p.iter().zip(q).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// `λ ρ` of a row.
fn ridge(ials: &Ials, lambda: f64, count: usize, others: usize) -> f64 {
    lambda * (count as f64 + ials.unobserved * others as f64).powf(ials.exponent)
}

/// The objective, summed cell by cell over the whole matrix.
fn objective(ials: &Ials, ratings: &Ratings, factors: &Factors) -> f64 {
    let (m, n) = (ratings.by_user.rows_with_cells(), ratings.by_item.rows_with_cells());
    let mut sum = 0.0;
    for user in 0..ratings.users() {
        let row = ratings.by_user.row(user);
        for item in 0..ratings.items() {
            let (zero, one) = weights(ials, &row, item);
            let s = score(factors, user, item);
            sum += zero * s * s + one * (1.0 - s) * (1.0 - s);
        }
        sum += ridge(ials, ials.regularization.users, row.len(), n)
            * factors.users.vectors.row_norm_squared(user);
    }
    for item in 0..ratings.items() {
        sum += ridge(ials, ials.regularization.items, ratings.by_item.count(item), m)
            * factors.items.vectors.row_norm_squared(item);
    }
    sum
}

/// The gradient of half the objective with respect to one item's vector.
fn gradient(ials: &Ials, ratings: &Ratings, factors: &Factors, item: usize) -> Vec<f64> {
    let users = ratings.by_user.rows_with_cells();
    let rho = ridge(ials, ials.regularization.items, ratings.by_item.count(item), users);
    let q = factors.items.vectors.row(item);
    let mut gradient: Vec<f64> = q.iter().map(|&v| rho * f64::from(v)).collect();
    for user in 0..ratings.users() {
        let (zero, one) = weights(ials, &ratings.by_user.row(user), item);
        let slope = (zero + one) * score(factors, user, item) - one;
        for (g, &p) in gradient.iter_mut().zip(factors.users.vectors.row(user)) {
            *g += slope * f64::from(p);
        }
    }
    gradient
}

#[test]
fn every_confidence_is_minimised_over_all_cells() {
    for weighted in [false, true] {
        let ratings = sample(60, 50, weighted);
        for (form, unobserved) in FORMS {
            let ials = ials(form, unobserved);
            let (fit, objectives) = fit(&ials, &ratings).expect("fits");
            assert!(objectives.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-6)), "{objectives:?}");
            let want = objective(&ials, &ratings, &fit.factors) / ratings.len() as f64;
            let got = objectives[3];
            assert!((got - want).abs() < 1e-4 * want, "{form:?} {unobserved}: {got} {want}");
            for item in (0..50).filter(|item| item % 11 != 3) {
                let gradient = gradient(&ials, &ratings, &fit.factors, item);
                // The terms add up to some dozens, in single precision.
                assert!(gradient.iter().all(|g| g.abs() < 1e-3), "{form:?}: {gradient:?}");
            }
        }
    }
}

#[test]
fn all_solvers_reach_the_same_objective() {
    let ratings = sample(300, 200, false);
    for (form, unobserved) in FORMS {
        let with = |solver| {
            let ials = Ials { solver, iterations: 12, ..ials(form, unobserved) };
            let (fit, objectives) = fit(&ials, &ratings).expect("fits");
            let want = objective(&ials, &ratings, &fit.factors) / ratings.len() as f64;
            let got = objectives[11];
            assert!((got - want).abs() < 1e-4 * want, "{solver:?} {form:?}: {got} {want}");
            got
        };
        let exact = with(SolverChoice::Cholesky);
        // Without unobserved pairs every score may be 1. The objective is then too small for a
        // relative comparison of approximate solvers.
        for (solver, within) in [
            // These are exact: as many steps as unknowns, and one block of all unknowns.
            (SolverChoice::ConjugateGradient { steps: 20 }, 1e-4),
            (SolverChoice::Subspace { block: 32 }, 1e-4),
            // On data of realistic size these differ by a tenth of a percent (bench `solvers`).
            (SolverChoice::ConjugateGradient { steps: 3 }, 2e-2),
            (SolverChoice::Subspace { block: 8 }, 2e-2),
            (SolverChoice::Subspace { block: 7 }, 2e-2),
        ] {
            if unobserved == 0.0 && within > 1e-3 {
                continue;
            }
            let got = with(solver);
            assert!(got - exact < within * exact, "{solver:?} {form:?}: {got} {exact}");
        }
    }
}

/// Karush-Kuhn-Tucker: no entry is negative, no gradient is negative, and one of the two is zero.
#[test]
fn nonnegative_factors_are_optimal() {
    let ratings = sample(60, 50, false);
    for (form, unobserved) in FORMS {
        let ials = Ials { solver: SolverChoice::Nonnegative, ..ials(form, unobserved) };
        let (fit, objectives) = fit(&ials, &ratings).expect("fits");
        let want = objective(&ials, &ratings, &fit.factors) / ratings.len() as f64;
        assert!((objectives[3] - want).abs() < 1e-4 * want);
        let (mut zeros, mut positive) = (0, 0);
        for item in (0..50).filter(|item| item % 11 != 3) {
            let gradient = gradient(&ials, &ratings, &fit.factors, item);
            for (&g, &q) in gradient.iter().zip(fit.factors.items.vectors.row(item)) {
                assert!(q >= 0.0 && g > -2e-3 && (q == 0.0 || g.abs() < 2e-3), "{form:?} {q} {g}");
                zeros += usize::from(q == 0.0);
                positive += usize::from(q > 0.0);
            }
        }
        assert!(zeros > 10 && positive > 10, "{zeros} {positive}");
        assert!(fit.factors.users.vectors.padded().iter().all(|&v| v >= 0.0));
    }
}

#[test]
fn negative_counts_are_refused() {
    let cell = |item, value| Cell { user: 0, item, value, weight: 1.0, time: 0 };
    let ratings = Ratings::from_sorted(1, 2, &[cell(0, 1.0), cell(1, -2.0)]);
    let message = fit(&ials(Confidence::Unit, 0.1), &ratings).map_err(|e| e.to_string());
    assert!(message.is_err_and(|m| m.contains("-2")));
}
