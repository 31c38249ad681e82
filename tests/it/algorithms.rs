//! The properties that every algorithm guarantees.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use lacuna::error::Error;
use lacuna::ids::{Axis, Ids};
use lacuna::linalg::simd::Kernels;
use lacuna::model::Embedding;
use lacuna::objective::{Confidence, Regularization};
use lacuna::ratings::{Cell, Ratings, Side};
use lacuna::split::mix;
use lacuna::train::{
    Algorithm, Als, Bayes, Covariances, Fit, Fitted, Gd, Ials, Problem, Schedule, Sgd,
    SolverChoice, Start, State, StopReason, Variational,
};

use crate::support::{bits, cell, fit, fit_with_keys};

/// The base settings of the ALS variants.
fn als() -> Als {
    Als {
        rank: 12,
        iterations: 3,
        tolerance: 0.0,
        regularization: Regularization {
            users: 0.1,
            items: 0.1,
            biases: 0.1,
            damping: 0.0,
            exponent: 0.5,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 5,
    }
}

/// The base settings of the iALS variants.
fn ials() -> Ials {
    Ials {
        rank: 12,
        iterations: 3,
        tolerance: 0.0,
        regularization: lacuna::pair::Pair::new(0.05, 0.05),
        exponent: 0.8,
        confidence: Confidence::Linear { alpha: 2.0 },
        unobserved: 0.5,
        solver: SolverChoice::Cholesky,
        seed: 5,
    }
}

fn variational(rank: usize, covariances: Covariances, biases: bool) -> Variational {
    // The first iterations of a cold start treat the other side's vectors as exact. Run more than
    // these.
    Variational { rank, iterations: 5, keep: 2, biases, covariances, tolerance: 0.0, seed: 5 }
}

fn algorithms() -> Vec<Box<dyn Algorithm>> {
    let (als, ials) = (als(), ials());
    let bayes = Bayes { rank: 6, burn_in: 1, samples: 3, keep: 2, biases: true, seed: 5 };
    let sgd = Sgd {
        rank: 12,
        epochs: 3,
        tolerance: 0.0,
        regularization: als.regularization,
        rate: 0.1,
        schedule: Schedule::Adaptive,
        biases: true,
        mean: true,
        seed: 5,
    };
    let cg = SolverChoice::ConjugateGradient { steps: 3 };
    let subspace = SolverChoice::Subspace { block: 8 };
    let nonnegative = SolverChoice::Nonnegative;
    vec![
        Box::new(als.clone()),
        Box::new(Als { rank: 0, ..als.clone() }),
        Box::new(Als { rank: 17, biases: false, mean: false, ..als.clone() }),
        Box::new(Als { solver: cg, ..als.clone() }),
        Box::new(Als { solver: cg, rank: 0, ..als.clone() }),
        Box::new(Als { solver: subspace, ..als.clone() }),
        Box::new(Als { solver: subspace, rank: 0, ..als.clone() }),
        Box::new(Als { solver: nonnegative, biases: false, mean: false, ..als }),
        Box::new(ials.clone()),
        Box::new(Ials { confidence: Confidence::Unit, rank: 17, ..ials.clone() }),
        Box::new(Ials { solver: cg, ..ials.clone() }),
        Box::new(Ials { solver: subspace, ..ials.clone() }),
        Box::new(Ials { solver: nonnegative, ..ials }),
        Box::new(bayes.clone()),
        Box::new(Bayes { rank: 17, biases: false, burn_in: 0, ..bayes }),
        Box::new(variational(6, Covariances::Shared, true)),
        Box::new(variational(9, Covariances::Shared, false)),
        Box::new(variational(6, Covariances::Own, true)),
        Box::new(variational(9, Covariances::Own, false)),
        Box::new(sgd.clone()),
        Box::new(Sgd { rank: 0, ..sgd.clone() }),
        Box::new(Sgd { schedule: Schedule::Decay, biases: false, rate: 0.01, ..sgd }),
        Box::new(Gd { rank: 4, iterations: 3, tolerance: 0.0, rate: 0.01, seed: 5 }),
    ]
}

/// Some thousand cells. User 0 rates every item except item 4 (a row of many chunks).
///
/// User 3 and item 4 have no ratings.
fn ratings(items: u32) -> Ratings {
    let mut cells = Vec::new();
    for user in (0..40_u32).filter(|&u| u != 3) {
        for item in (0..items).filter(|&i| i != 4) {
            let h = mix(u64::from(user) << 32 | u64::from(item));
            if user == 0 || h % 400 < 7 {
                let value = 1.5
                    + ((user as f32 * 0.3).sin() * (item as f32 * 0.01).cos())
                    + (h >> 40) as f32 * 1e-8;
                cells.push(cell(user, item, value));
            }
        }
    }
    Ratings::from_sorted(40, items as usize, &cells)
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // There are more items than one chunk sums.
    let ratings = ratings(9_000);
    for (number, algorithm) in algorithms().into_iter().enumerate() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut losses = Vec::new();
            let fit = pool.install(|| {
                fit(&*algorithm, &ratings, None, &mut |it| {
                    losses.push((it.objective.to_bits(), it.train_rmse_raw.map(f64::to_bits)));
                    ControlFlow::Continue(())
                })
            });
            (bits(&fit.unwrap().factors), losses)
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == one, "{} ({number}) on {threads} threads", algorithm.name());
        }
    }
}

#[test]
fn factors_are_finite_and_empty_rows_are_zero() {
    let ratings = ratings(300);
    for algorithm in algorithms() {
        let fit = fit(&*algorithm, &ratings, None, &mut |_| ControlFlow::Continue(())).unwrap();
        let (users, items) = (&fit.factors.users, &fit.factors.items);
        assert_eq!((users.vectors.rows(), items.vectors.rows()), (40, 300));
        assert!(users.is_finite() && items.is_finite());
        assert!(users.vectors.row(3).iter().chain(items.vectors.row(4)).all(|&v| v == 0.0));
        assert_eq!((users.biases[3], items.biases[4]), (0.0, 0.0));
    }
}

#[test]
fn the_seed_matters_and_nothing_else_random_does() {
    let ratings = ratings(300);
    let with_seed = |seed| {
        let als = Als {
            rank: 6,
            iterations: 2,
            tolerance: 0.0,
            regularization: Regularization {
                users: 0.1,
                items: 0.1,
                biases: 0.1,
                damping: 0.0,
                exponent: 0.5,
            },
            biases: true,
            mean: true,
            solver: SolverChoice::Cholesky,
            seed,
        };
        bits(&fit(&als, &ratings, None, &mut |_| ControlFlow::Continue(())).unwrap().factors)
    };
    assert!(with_seed(1) == with_seed(1));
    assert!(with_seed(1) != with_seed(2));
}

#[test]
fn permuting_rows_permutes_factors() {
    let ratings = ratings(200);
    let n = 200;
    let moved = |item: u32| (item * 77 + 13) % n;
    let mut cells: Vec<Cell> = Vec::new();
    for user in 0..40 {
        let row = ratings.by_user.row(user);
        for (&item, &value) in row.indices.iter().zip(row.values) {
            cells.push(cell(user as u32, moved(item), value));
        }
    }
    cells.sort_by_key(|c| (c.user, c.item));
    let permuted = Ratings::from_sorted(40, n as usize, &cells);
    let user_keys = Ids::range(40).keys("user");
    let item_keys = Ids::range(n as usize).keys("item");
    let mut moved_keys = vec![0; n as usize];
    for item in 0..n {
        moved_keys[moved(item) as usize] = item_keys[item as usize];
    }
    // Stochastic gradient descent is left out: the order in which it visits the ratings depends on
    // the order of the rows.
    for algorithm in algorithms().into_iter().filter(|a| a.name() != "sgd") {
        let go = &mut |_: &lacuna::train::Iteration<'_>| ControlFlow::Continue(());
        let a = fit_with_keys(&*algorithm, &ratings, None, (&user_keys, &item_keys), go).unwrap();
        let b = fit_with_keys(&*algorithm, &permuted, None, (&user_keys, &moved_keys), go).unwrap();
        // Compare the scores by their root mean square difference. Sums run in another order, and
        // rounding may exchange factors that are nearly exchangeable (nonnegative ones).
        let score =
            |fit: &Fit, user, item| fit.scorer().score(Kernels::detect(), Some(user), Some(item));
        let mut squares = 0.0;
        for (user, item) in (0..40).flat_map(|user| (0..n as usize).map(move |item| (user, item))) {
            let difference = score(&a, user, item) - score(&b, user, moved(item as u32) as usize);
            squares += difference * difference;
        }
        let rms = (squares / f64::from(40 * n)).sqrt();
        assert!(rms < 2e-3, "{}: {rms}", algorithm.name());
    }
}

#[test]
fn a_stop_request_ends_the_fit() {
    let ratings = ratings(300);
    for algorithm in algorithms() {
        let stop = AtomicBool::new(true);
        let problem = Problem {
            ratings: &ratings,
            moments: &ratings.moments(),
            user_keys: &Ids::range(40).keys("user"),
            item_keys: &Ids::range(300).keys("item"),
            start: Start::Random,
            stop: &stop,
            kernels: Kernels::detect(),
        };
        let outcome = algorithm.fit(&problem, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(outcome, Err(Error::Stopped)));
    }
}

/// A fit that resumes from the state after any iteration ends as it would have ended without an
/// interruption, bit for bit. It reports the iteration of the state first.
#[test]
fn a_resumed_fit_gives_the_same_bits() {
    let ratings = ratings(300);
    let (user_keys, item_keys) = (Ids::range(40).keys("user"), Ids::range(300).keys("item"));
    let (moments, stop) = (ratings.moments(), AtomicBool::new(false));
    let fresh = Problem {
        ratings: &ratings,
        moments: &moments,
        user_keys: &user_keys,
        item_keys: &item_keys,
        start: Start::Random,
        stop: &stop,
        kernels: Kernels::detect(),
    };
    let tolerant = Als { iterations: 50, tolerance: 0.01, ..als() };
    let mut all = algorithms();
    all.push(Box::new(tolerant));
    for algorithm in &all {
        let name = algorithm.name();
        let mut states: Vec<State> = Vec::new();
        let mut shown = Vec::new();
        let whole = algorithm.fit(&fresh, &mut |it| {
            states.push(it.snapshot.take());
            shown.push((it.number, it.objective.to_bits(), it.train_rmse_raw, it.sample));
            ControlFlow::Continue(())
        });
        let whole = whole.unwrap();
        assert!(states.len() >= 2 && states.len() == whole.iterations as usize, "{name}");
        for (at, state) in states.iter().enumerate() {
            let mut again = Vec::new();
            let resumed =
                algorithm.fit(&Problem { start: Start::State(state), ..fresh }, &mut |it| {
                    again.push((it.number, it.objective.to_bits(), it.train_rmse_raw, it.sample));
                    ControlFlow::Continue(())
                });
            let resumed = resumed.unwrap();
            assert_eq!(shown[at..], again[..], "{name}");
            assert_eq!(bits(&resumed.factors), bits(&whole.factors), "{name} from {at}");
            assert_eq!(resumed.iterations, whole.iterations);
            assert_eq!(resumed.stop_reason, whole.stop_reason);
            let kept = |fit: &Fit| {
                let averaged = fit.averaged.as_ref();
                averaged.map(|a| (a.noise.to_bits(), a.kept.iter().map(bits).collect::<Vec<_>>()))
            };
            assert_eq!(kept(&resumed), kept(&whole), "{name} from {at}");
        }
    }
    // The last fit ended by its tolerance, which measures the improvement over the iteration before
    // the state's.
    let last = all.pop().unwrap().fit(&fresh, &mut |_| ControlFlow::Continue(()));
    assert_eq!(last.unwrap().stop_reason, StopReason::Tolerance);
    // A state of another fit is rejected.
    let mut states = Vec::new();
    let other = Als { rank: 5, ..als() };
    other
        .fit(&fresh, &mut |it| {
            states.push(it.snapshot.take());
            ControlFlow::Continue(())
        })
        .unwrap();
    for algorithm in &all {
        let outcome = algorithm
            .fit(&Problem { start: Start::State(&states[0]), ..fresh }, &mut |_| {
                ControlFlow::Continue(())
            });
        assert!(matches!(outcome, Err(Error::Checkpoint(_))), "{}", algorithm.name());
    }
}

#[test]
fn the_objective_never_rises() {
    let ratings = ratings(300);
    for algorithm in algorithms().iter().filter(|a| ["als", "ials"].contains(&a.name())) {
        let mut objectives = Vec::new();
        fit(&**algorithm, &ratings, None, &mut |it| {
            objectives.push(it.objective);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(objectives.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-6)), "{objectives:?}");
    }
}

/// Multiplying every rating by 10 and adding 7 multiplies every error by exactly 10.
#[test]
fn the_rating_scale_does_not_matter() {
    let ratings = ratings(300);
    let mut cells = Vec::new();
    for user in 0..40 {
        let row = ratings.by_user.row(user);
        for (&item, &value) in row.indices.iter().zip(row.values) {
            cells.push(cell(user as u32, item, value * 10.0 + 7.0));
        }
    }
    let scaled = Ratings::from_sorted(40, 300, &cells);
    for name in ["als", "bayes", "sgd"] {
        let all = algorithms();
        let algorithm = all.iter().find(|a| a.name() == name).unwrap();
        let errors = |ratings: &Ratings| {
            let mut last = 0.0;
            fit(&**algorithm, ratings, None, &mut |it| {
                last = it.train_rmse_raw.unwrap();
                ControlFlow::Continue(())
            })
            .unwrap();
            last
        };
        let ratio = errors(&scaled) / errors(&ratings);
        // Ratings are stored in single precision, and so are the sums of their products.
        assert!((ratio / 10.0 - 1.0).abs() < 1e-4, "{name}: {ratio}");
    }
}

/// An iteration solves the items last, against the final users. Folding the items in therefore
/// gives them again, bit for bit, with every exact solver.
#[test]
fn folding_in_is_a_half_sweep() {
    let ratings = ratings(40);
    let exact = |algorithm: &dyn Algorithm| {
        let fitted = fit(algorithm, &ratings, None, &mut |_| ControlFlow::Continue(())).unwrap();
        let stop = AtomicBool::new(false);
        let basis = Fitted::new(&fitted.factors, fitted.scale, &ratings, Kernels::detect(), &stop);
        let items = algorithm.fold_in(&basis, Axis::Item, &ratings.by_item)?;
        assert!(fitted.factors.items == items, "{}", algorithm.name());
        algorithm.fold_in(&basis, Axis::User, &ratings.by_user)
    };
    let (als, ials) = (als(), ials());
    let nonnegative = SolverChoice::Nonnegative;
    let bare = Als { biases: false, mean: false, ..als.clone() };
    exact(&als).unwrap();
    exact(&Als { rank: 20, ..als.clone() }).unwrap();
    exact(&Als { rank: 0, ..als }).unwrap();
    exact(&bare).unwrap();
    exact(&Als { solver: nonnegative, ..bare }).unwrap();
    exact(&ials).unwrap();
    exact(&Ials { solver: nonnegative, ..ials }).unwrap();
    // The other algorithms report that they cannot fold in.
    let solves = ["als", "ials", "variational"];
    let refused: Vec<Box<dyn Algorithm>> =
        algorithms().into_iter().filter(|a| !solves.contains(&a.name())).collect();
    assert!(refused.len() >= 3);
    for algorithm in refused {
        let error = exact(&*algorithm).unwrap_err();
        assert!(matches!(&error, Error::Usage(m) if m.contains(algorithm.name())), "{error}");
    }
}

/// The next iteration starts with the users' posterior under the current item distributions, prior
/// and noise. A fold-in gives the same posterior means, bit for bit.
#[test]
fn bayes_folds_in_what_the_next_iteration_gives() {
    let ratings = ratings(300);
    for biases in [true, false] {
        let settings = Variational { keep: 0, ..variational(3, Covariances::Shared, biases) };
        let fit = |iterations| {
            let settings = Variational { iterations, ..settings.clone() };
            fit(&settings, &ratings, None, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let (fitted, next) = (fit(5), fit(6));
        let stop = AtomicBool::new(false);
        let averaged = fitted.averaged.as_ref().unwrap();
        let basis = Fitted::new(&fitted.factors, fitted.scale, &ratings, Kernels::detect(), &stop)
            .with_uncertainty(averaged.uncertainty.as_ref());
        let users = settings.fold_in(&basis, Axis::User, &ratings.by_user).unwrap();
        // Users without ratings are left out: fold-in gives them the prior's mean, training zero.
        let known = |user: &usize| ratings.by_user.count(*user) > 0;
        for user in (0..ratings.users()).filter(known) {
            assert_eq!(users.vectors.row(user), next.factors.users.vectors.row(user));
            assert_eq!(users.biases[user], next.factors.users.biases[user]);
        }
        assert!(users != fitted.factors.users, "an iteration must change the users");
        // A score is the sum of the ratings' shares and a part of the prior. That part depends only
        // on which items are rated. If their values change, the score changes as the sum of the
        // shares does.
        let row = ratings.by_user.row(0);
        let cells: Vec<Cell> = (0..row.len())
            .map(|n| cell(0, row.indices[n], row.values[n] + 0.5 * (n % 3) as f32))
            .collect();
        let (old, new) = (&ratings.by_user, &Ratings::from_sorted(1, 300, &cells).by_user);
        let of = |side: &Side, users: &Embedding, item: usize| {
            let wanted: Vec<Vec<u32>> = (0..side.rows()).map(|_| vec![item as u32]).collect();
            let shares = settings.explain(&basis, side, &wanted, usize::MAX).unwrap();
            assert_eq!(shares[0][0].len(), row.len());
            let (p, q) = (users.vectors.row(0), fitted.factors.items.vectors.row(item));
            let dot: f64 = p.iter().zip(q).map(|(a, b)| f64::from(a * b)).sum();
            let sum: f64 = shares[0][0].iter().map(|share| share.share).sum();
            (dot + f64::from(users.biases[0]), sum)
        };
        let moved = settings.fold_in(&basis, Axis::User, new).unwrap();
        for item in [0, 1, 299] {
            let (before, after) = (of(old, &users, item), of(new, &moved, item));
            let (score, shares) = (after.0 - before.0, after.1 - before.1);
            assert!(shares.abs() > 0.01 && (score - shares).abs() < 1e-3, "{score} {shares}");
        }
    }
}
