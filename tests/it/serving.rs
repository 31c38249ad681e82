//! Tests fold-in against half-sweeps and explanations against finite differences.

use std::sync::atomic::AtomicBool;

use lacuna::ids::{Axis, Ids};
use lacuna::model::Model;
use lacuna::objective::{Confidence, Regularization};
use lacuna::ratings::{Cell, Ratings};
use lacuna::train::{Algorithm, Als, Fit, Ials, Sgd, SolverChoice, Stored};

use crate::support::{cell, fit};

fn cells(users: u32, items: u32) -> Vec<Cell> {
    let mut cells = Vec::new();
    for user in 0..users {
        for item in 0..items {
            let draw = (user * 7919 + item * 104_729) % 101;
            if draw < 22 {
                cells.push(cell(user, item, (draw % 10) as f32 * 0.5 + 0.5));
            }
        }
    }
    cells
}

fn als(iterations: u32) -> Als {
    Als {
        rank: 5,
        iterations,
        tolerance: 0.0,
        regularization: Regularization {
            users: 0.1,
            items: 0.2,
            biases: 0.05,
            damping: 0.0,
            exponent: 0.5,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 7,
    }
}

fn ials(iterations: u32, confidence: Confidence) -> Ials {
    Ials {
        rank: 5,
        iterations,
        tolerance: 0.0,
        regularization: lacuna::pair::Pair::new(0.05, 0.02),
        exponent: 1.0,
        confidence,
        unobserved: 0.3,
        solver: SolverChoice::Cholesky,
        seed: 7,
    }
}

fn model(fit: &Fit, ratings: &Ratings) -> Model {
    let mut factors = fit.factors.clone();
    factors.rescale(fit.scale.deviation);
    let ids = |n| Ids::range(n);
    Model::new(&factors, &ids(ratings.users()), &ids(ratings.items()), ratings, &fit.scale)
}

/// One more iteration solves the users against the current items. Fold-in gives the same users.
#[test]
fn folding_in_is_a_half_sweep() {
    let ratings = Ratings::from_sorted(40, 30, &cells(40, 30));
    let stop = AtomicBool::new(false);
    let linear = Confidence::Linear { alpha: 2.0 };
    let pairs: [(Box<dyn Algorithm>, Box<dyn Algorithm>); 2] = [
        (Box::new(als(6)), Box::new(als(1))),
        (Box::new(ials(6, linear)), Box::new(ials(1, linear))),
    ];
    for (whole, once) in pairs {
        let trained =
            fit(&*whole, &ratings, None, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        let next = fit(&*once, &ratings, Some(&trained.factors), &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let mut expected = next.factors.users.clone();
        expected.rescale(next.scale.deviation);
        let model = model(&trained, &ratings);
        let stored = Stored::fitted_to(&model, trained.scale.deviation, &ratings, &stop);
        let folded = stored.fold_in(&*once, Axis::User, &ratings.by_user).unwrap();
        for user in 0..40 {
            // The conversion to the rating scale and back rounds every number once.
            let close = |a: f32, b: f32| (a - b).abs() < 2e-5;
            let (a, b) = (folded.vectors.row(user), expected.vectors.row(user));
            assert!(a.iter().zip(b).all(|(a, b)| close(*a, *b)), "{a:?} {b:?}");
            assert!(close(folded.biases[user], expected.biases[user]));
        }
        // Items fold in as well. A row alone gives the same vector as among others.
        let items = stored.fold_in(&*once, Axis::Item, &ratings.by_item).unwrap();
        assert_eq!(items.vectors.rows(), 30);
        let own: Vec<Cell> = cells(40, 30).into_iter().filter(|c| c.user == 3).collect();
        let own: Vec<Cell> = own.into_iter().map(|c| Cell { user: 0, ..c }).collect();
        let alone = Ratings::from_sorted(1, 30, &own).by_user;
        let alone = stored.fold_in(&*once, Axis::User, &alone).unwrap();
        assert_eq!(alone.vectors.row(0), folded.vectors.row(3));
    }
}

#[test]
fn shares_add_up_to_the_score_and_follow_their_rating() {
    let all = cells(40, 30);
    let ratings = Ratings::from_sorted(40, 30, &all);
    let stop = AtomicBool::new(false);
    let algorithms: [Box<dyn Algorithm>; 3] = [
        Box::new(als(6)),
        Box::new(ials(6, Confidence::Unit)),
        Box::new(ials(6, Confidence::Log { alpha: 2.0, epsilon: 0.5 })),
    ];
    for (nth, algorithm) in algorithms.iter().enumerate() {
        let trained =
            fit(&**algorithm, &ratings, None, &mut |_| std::ops::ControlFlow::Continue(()))
                .unwrap();
        let model = model(&trained, &ratings);
        let stored = Stored::fitted_to(&model, trained.scale.deviation, &ratings, &stop);
        let wanted: Vec<Vec<u32>> = (0..40).map(|u| vec![u % 30, 29]).collect();
        let shares = stored.explain(&**algorithm, &ratings.by_user, &wanted, usize::MAX).unwrap();
        let score = |side: &Ratings, user: usize, item: u32| {
            let folded = stored.fold_in(&**algorithm, Axis::User, &side.by_user).unwrap();
            let q = model.factors.items.vectors.row(item as usize);
            let p = folded.vectors.row(user);
            let dot: f64 = p.iter().zip(q).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            dot + f64::from(folded.biases[user])
        };
        for (user, item) in [(0, 0), (5, 29), (17, 17)] {
            let at = wanted[user].iter().position(|&i| i == item).unwrap();
            let own = &shares[user][at];
            assert_eq!(own.len(), ratings.by_user.count(user));
            let sum: f64 = own.iter().map(|s| s.share).sum();
            assert!(own.windows(2).all(|w| w[0].share >= w[1].share));
            assert!((sum - score(&ratings, user, item)).abs() < 1e-5, "{sum}");
            if nth > 0 {
                continue;
            }
            // Raise one rating by 0.5. The score is linear, so the difference gives the derivative.
            let rated = ratings.by_user.row(user).indices[1];
            let changed = |c: &Cell| {
                let hit = c.user as usize == user && c.item == rated;
                Cell { value: c.value + if hit { 0.5 } else { 0.0 }, ..*c }
            };
            let changed: Vec<Cell> = all.iter().map(changed).collect();
            let changed = Ratings::from_sorted(40, 30, &changed);
            let difference = score(&changed, user, item) - score(&ratings, user, item);
            let target = f64::from(ratings.by_user.row(user).values[1])
                - model.scale.mean
                - f64::from(model.factors.items.biases[rated as usize]);
            let share = own.iter().find(|s| s.rating == 1).unwrap().share;
            assert!((share / target * 0.5 - difference).abs() < 1e-5);
        }
    }
    let other = Sgd {
        rank: 2,
        epochs: 1,
        tolerance: 0.0,
        rate: 0.1,
        schedule: lacuna::train::Schedule::Adaptive,
        regularization: als(1).regularization,
        biases: true,
        mean: true,
        seed: 1,
    };
    let ratings = Ratings::from_sorted(40, 30, &all);
    let trained =
        fit(&als(2), &ratings, None, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    let model = model(&trained, &ratings);
    let stored = Stored::fitted_to(&model, trained.scale.deviation, &ratings, &stop);
    let refused = stored.explain(&other, &ratings.by_user, &[], 1).unwrap_err().to_string();
    assert!(refused.contains("of sgd are not"), "{refused}");
}
