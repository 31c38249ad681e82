use std::ops::ControlFlow;

use super::*;
use crate::ids::Ids;
use crate::linalg::simd::{Kernels, RowList};
use crate::metric::holdout_errors;
use crate::ratings::{Cell, Ratings};
use crate::split::mix;
use crate::train::{Start, StopReason};
use rand_distr::StandardNormal;
use std::sync::atomic::AtomicBool;

/// Ratings drawn from a known model with known noise.
///
/// Returns the training cells, the holdout cells and the standard deviation of the noise.
fn sample(users: u32, items: u32) -> (Ratings, Vec<Cell>, f64) {
    let (rank, noise) = (3, 0.5);
    let draw = |axis, row: u32| -> Vec<f64> {
        let mut rng = generator(9, Stream::Start(axis, u64::from(row)));
        (0..=rank).map(|_| StandardNormal.sample(&mut rng)).collect()
    };
    let p: Vec<_> = (0..users).map(|u| draw(Axis::User, u)).collect();
    let q: Vec<_> = (0..items).map(|i| draw(Axis::Item, i)).collect();
    let (mut cells, mut held) = (Vec::new(), Vec::new());
    for user in 0..users {
        let mut rng = generator(9, Stream::Synthetic(u64::from(user)));
        for item in 0..items {
            let h = mix(u64::from(user) << 32 | u64::from(item)) % 100;
            let z: f64 = StandardNormal.sample(&mut rng);
            if h < 40 && user % 13 != 5 {
                let (p, q) = (&p[user as usize], &q[item as usize]);
                let dot: f64 = (0..rank).map(|j| p[j] * q[j]).sum();
                let value = 3.0 + 0.6 * dot + 0.4 * (p[rank] + q[rank]) + noise * z;
                let to = if h < 34 { &mut cells } else { &mut held };
                to.push(Cell { user, item, value: value as f32, weight: 1.0, time: 0 });
            }
        }
    }
    (Ratings::from_sorted(users as usize, items as usize, &cells), held, noise)
}

const BAYES: Bayes = Bayes { rank: 5, burn_in: 20, samples: 60, keep: 7, biases: true, seed: 4 };

fn fit(bayes: &Bayes, ratings: &Ratings, observer: &mut Observer<'_>) -> Fit {
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
    bayes.fit(&problem, observer).expect("fits")
}

/// The samples find the true noise, and their mean predicts with an error near it. The published
/// factors predict as well as that mean.
#[test]
fn the_truth_is_recovered_and_survives_compression() {
    let (ratings, held, noise) = sample(150, 120);
    let mut sums = vec![0.0; held.len()];
    let mut seen = Vec::new();
    let fitted = fit(&BAYES, &ratings, &mut |it| {
        // The loss from the normal equations must equal that of the drawn factors.
        let mut squares = 0.0;
        for user in 0..ratings.users() {
            let row = ratings.by_user.row(user);
            for (&item, &value) in row.indices.iter().zip(row.values) {
                let score = it.scorer.score(Kernels::detect(), Some(user), Some(item as usize));
                squares += (f64::from(value) - score).powi(2);
            }
        }
        let want = (squares / ratings.len() as f64).sqrt();
        let got = it.train_rmse_raw.expect("cells");
        assert!((got - want).abs() < 1e-3 * want, "iteration {}: {got} {want}", it.number);
        if let Some(sample) = it.sample {
            seen.push(sample.noise);
            for (sum, cell) in sums.iter_mut().zip(&held) {
                let (user, item) = (Some(cell.user as usize), Some(cell.item as usize));
                *sum += it.scorer.score(Kernels::detect(), user, item);
            }
        }
        ControlFlow::Continue(())
    });
    assert_eq!(seen.len(), 60);
    let averaged = fitted.averaged.as_ref().expect("samples");
    assert_eq!((averaged.samples, averaged.kept.len()), (60, 7));
    // About 5700 cells minus 1550 parameters: a sampling error of one to two percent, plus slack.
    assert!((averaged.noise / noise - 1.0).abs() < 0.05, "{}", averaged.noise);
    let error = |of: &dyn Fn(usize, &Cell) -> f64| {
        let squares =
            held.iter().enumerate().map(|(at, c)| (f64::from(c.value) - of(at, c)).powi(2));
        (squares.sum::<f64>() / held.len() as f64).sqrt()
    };
    let mean = error(&|at, _| sums[at] / 60.0);
    let score = |cell: &Cell| {
        let (user, item) = (Some(cell.user as usize), Some(cell.item as usize));
        fitted.scorer().score(Kernels::detect(), user, item)
    };
    let compressed = error(&|_, cell| score(cell));
    // The true model has one parameter per five cells: a tenth more than the noise, plus slack.
    assert!(mean < noise * 1.2, "{mean}");
    assert!((compressed - mean).abs() < 0.002, "{compressed} {mean}");
    let whole = holdout_errors(&fitted.scorer(), ratings.known(), &held).raw.rmse();
    assert!(whole.is_some_and(|w| (w - compressed).abs() < 1e-6));
}

/// The draws of a row have the mean and the covariance of its posterior.
#[test]
fn draws_have_the_covariance_of_the_inverse() {
    let fixed = crate::linalg::Matrix::from_rows(4, 2, &[1., 0., 0., 1., 1., 1., 2., -1.]);
    let mut system = NormalEquations::new(2);
    system.set(Kernels::detect(), &fixed, RowList::new(&[0, 1, 2, 3]), None, &[1., 2., 3., 4.]);
    system.add_ridge(0.5, 0.7);
    let (matrix, rhs) = system.to_dense(true);
    let inverse = nalgebra::DMatrix::from_row_slice(3, 3, &matrix).try_inverse().expect("regular");
    let mean = &inverse * nalgebra::DVector::from_row_slice(&rhs);
    for double in [false, true] {
        let (mut rng, draws) = (generator(3, Stream::Split), 40_000);
        let mut sums = [[0.0; 3]; 3];
        for _ in 0..draws {
            let noise: [f32; 3] = std::array::from_fn(|_| {
                let z: f32 = StandardNormal.sample(&mut rng);
                0.5 * z
            });
            let mut x = [0.0; 2];
            let drawn = match double {
                false => system.clone().draw(Kernels::detect(), true, &noise, &mut x),
                true => system.draw_f64(true, &noise, &mut x),
            };
            let drawn = drawn.expect("solves");
            let all = [x[0], x[1], drawn.bias].map(f64::from);
            for i in 0..3 {
                (0..3).for_each(|j| sums[i][j] += (all[i] - mean[i]) * (all[j] - mean[j]));
            }
        }
        for i in 0..3 {
            for j in 0..3 {
                let (got, want) = (sums[i][j] / f64::from(draws), 0.25 * inverse[(i, j)]);
                // Standard deviation of an empirical variance: √(2 / draws), 0.7 %, of the
                // diagonal's size.
                let size = 0.25 * (inverse[(i, i)] * inverse[(j, j)]).sqrt();
                assert!((got - want).abs() < 0.03 * size, "{i} {j}: {got} {want}");
            }
        }
    }
}

#[test]
fn without_samples_the_last_state_is_published() {
    let (ratings, _, _) = sample(30, 20);
    let fitted = fit(&BAYES, &ratings, &mut |it| {
        if it.number == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(fitted.averaged.is_none() && fitted.stop_reason == StopReason::Observer);
    assert!(fitted.factors.users.is_finite() && fitted.iterations == 5);
}
