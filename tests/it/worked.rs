//! The worked examples of the documentation (`lacuna::train`).

use std::ops::ControlFlow;

use lacuna::linalg::Matrix;
use lacuna::linalg::simd::Kernels;
use lacuna::model::{Embedding, Factors, Scale, Scorer};
use lacuna::objective::Regularization;
use lacuna::ratings::Ratings;
use lacuna::train::{Algorithm, Als, Bayes, Schedule, Sgd, SolverChoice};

use crate::support::{cell, fit};

/// The ratings `[[5, 3, ?], [4, ?, 1], [?, 2, 5]]`.
fn ratings() -> Ratings {
    let cells = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 4.0), (1, 2, 1.0), (2, 1, 2.0), (2, 2, 5.0)];
    Ratings::from_sorted(3, 3, &cells.map(|(u, i, r)| cell(u, i, r)))
}

#[test]
fn predictions_and_reconstruction_of_given_vectors() {
    let side = |values: &[f32]| Embedding {
        vectors: Matrix::from_rows(3, 2, values),
        biases: vec![0.0; 3],
    };
    let factors = Factors {
        users: side(&[1.2, 0.5, 1.0, 0.3, 0.2, 1.1]),
        items: side(&[1.5, 0.4, 0.9, 0.1, 0.1, 1.3]),
    };
    let scale =
        Scale { mean: 0.0, deviation: 1.0, biases: false, fallback: 0.0, range: (1.0, 5.0) };
    let scorer = Scorer { factors: &factors, scale };
    let want = [[2.0, 1.13, 0.77], [1.62, 0.93, 0.49], [0.74, 0.29, 1.45]];
    for (user, row) in want.iter().enumerate() {
        for (item, want) in row.iter().enumerate() {
            let got = scorer.score(Kernels::detect(), Some(user), Some(item));
            assert!((got - want).abs() < 1e-6, "{user} {item}: {got}");
        }
    }
}

/// Every algorithm for explicit ratings fits the six rated cells and predicts the unrated cells
/// within the rating range or near it.
#[test]
fn three_by_three_with_missing_cells() {
    let weak =
        Regularization { users: 1e-3, items: 1e-3, biases: 1e-3, damping: 0.0, exponent: 0.5 };
    let als = Als {
        rank: 2,
        iterations: 200,
        tolerance: 0.0,
        regularization: weak,
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 42,
    };
    let sgd = Sgd {
        rank: 2,
        epochs: 2000,
        tolerance: 0.0,
        regularization: weak,
        rate: 0.1,
        schedule: Schedule::Adaptive,
        biases: true,
        mean: true,
        seed: 42,
    };
    let bayes = Bayes { rank: 2, burn_in: 500, samples: 4000, keep: 0, biases: true, seed: 42 };
    // Least squares fits all six cells. With so little data, the posterior mean stays near the mean
    // of the ratings, between it and the data.
    for (algorithm, within) in [(&als as &dyn Algorithm, 0.05), (&sgd, 0.05), (&bayes, 1.6)] {
        let ratings = ratings();
        let fit = fit(algorithm, &ratings, None, &mut |_| ControlFlow::Continue(())).unwrap();
        let score = |u: usize, i: usize| fit.scorer().score(Kernels::detect(), Some(u), Some(i));
        let mean = 20.0 / 6.0;
        for user in 0..3 {
            let row = ratings.by_user.row(user);
            for (&item, &value) in row.indices.iter().zip(row.values) {
                let (got, value) = (score(user, item as usize), f64::from(value));
                let name = algorithm.name();
                assert!((got - value).abs() < within, "{name} {user} {item}: {got} {value}");
                assert!(
                    (got - mean) * (value - mean) > 0.0 || within < 1.0,
                    "{name}: {got} {value}"
                );
            }
        }
        for (user, item) in [(0, 2), (1, 1), (2, 0)] {
            let got = score(user, item);
            assert!((-2.0..8.0).contains(&got), "{} {user} {item}: {got}", algorithm.name());
        }
    }
}
