//! Compares ALS fits with the closed form in scripts/reference.py.

use std::ops::ControlFlow;

use lacuna::linalg::Matrix;
use lacuna::metric::training_errors;
use lacuna::model::{Embedding, Factors};
use lacuna::objective::Regularization;
use lacuna::ratings::{Cell, Ratings};
use lacuna::train::{Als, SolverChoice};
use serde_json::Value;

use crate::support::fit;

/// The starting vectors of reference.py (`start`).
fn start(users: usize, item_ids: &[f64], rank: usize) -> Factors {
    let mut values = Vec::new();
    for &id in item_ids {
        for d in 0..rank {
            let d = d as f64;
            values
                .push((0.1 * (2.0 / rank as f64).sqrt() * (0.7 * id * (d + 1.0) + d).sin()) as f32);
        }
    }
    Factors {
        users: Embedding::zeros(users, rank),
        items: Embedding {
            vectors: Matrix::from_rows(item_ids.len(), rank, &values),
            biases: vec![0.0; item_ids.len()],
        },
    }
}

fn algorithm(case: &Value, iterations: u32) -> Als {
    let number = |name: &str| case[name].as_f64().unwrap();
    let lambda = number("regularization");
    Als {
        rank: case["rank"].as_u64().unwrap() as usize,
        iterations,
        tolerance: 0.0,
        regularization: Regularization {
            users: lambda,
            items: lambda,
            biases: number("bias_reg"),
            damping: 0.0,
            exponent: number("exponent"),
        },
        biases: case["biases"].as_bool().unwrap_or(true),
        mean: case["mean"].as_bool().unwrap_or(true),
        solver: SolverChoice::Cholesky,
        seed: 0,
    }
}

fn close(got: Option<f64>, want: &Value, tolerance: f64, what: &str) {
    let (got, want) = (got.unwrap(), want.as_f64().unwrap());
    assert!((got - want).abs() <= tolerance * want.abs(), "{what}: {got} {want}");
}

#[test]
fn small_fits_follow_the_reference_iteration_by_iteration() {
    let golden: Value = serde_json::from_str(include_str!("../golden/synthetic.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let mut cells = Vec::new();
        for user in 0..30_u32 {
            for item in (0..20_u32).filter(|item| (user * 7 + item * 13) % 5 < 2) {
                let (u, i) = (f64::from(user), f64::from(item));
                let value = 3.0 + (0.7 * u).sin() * (0.3 * i).cos() + 0.5 * (u * i * 0.1).sin();
                let weighted = case["weighted"].as_bool().unwrap();
                let weight =
                    if weighted { 0.5 + ((user + 2 * item) % 4) as f32 * 0.5 } else { 1.0 };
                cells.push(Cell { user, item, value: value as f32, weight, time: 0 });
            }
        }
        let ratings = Ratings::from_sorted(30, 20, &cells);
        let ids: Vec<f64> = (0..20).map(f64::from).collect();
        let als = algorithm(case, 6);
        let mut points = case["curve"].as_array().unwrap().iter();
        fit(&als, &ratings, Some(&start(30, &ids, als.rank)), &mut |it| {
            let want = points.next().unwrap();
            // Single precision is compared with double precision over a few hundred cells.
            close(Some(it.objective), &want["objective"], 2e-5, "objective");
            close(it.train_rmse_raw, &want["train_rmse_raw"], 1e-4, "raw RMSE");
            let errors = training_errors(&it.scorer, &ratings);
            close(errors.clipped.rmse(), &want["train_rmse"], 1e-4, "RMSE");
            close(errors.raw.rmse(), &want["train_rmse_raw"], 1e-4, "raw RMSE, cell by cell");
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(points.next().is_none());
    }
}

#[cfg(feature = "files")]
#[test]
fn movielens_follows_the_reference() {
    use std::sync::atomic::AtomicBool;

    use lacuna::ids::Ids;
    use lacuna::load::prepare::{Preparation, prepare};
    use lacuna::load::{LoadOptions, load};
    use lacuna::metric::holdout_errors;
    use lacuna::split::Split;

    let Some(path) = crate::support::movielens() else { return };
    let golden: Value = serde_json::from_str(include_str!("../golden/movielens.json")).unwrap();
    let stop = AtomicBool::new(false);
    let inputs = [path.display().to_string()];
    let loaded = load(&inputs, &[], &LoadOptions::default(), &stop, &|_, _| {}).unwrap();
    let prepared = prepare(loaded, &Preparation::default(), &stop).unwrap();
    let split = Split::Hash { ratio: 0.1, salt: "lacuna".into() };
    let lacuna::split::Parts { training: train, holdout, .. } =
        split.apply(prepared.cells, &prepared.users, &prepared.items);
    assert_eq!(golden["n_train"], train.len());
    assert_eq!(golden["n_holdout"], holdout.len());
    let ratings = Ratings::from_sorted(prepared.users.len(), prepared.items.len(), &train);
    let Ids::Int(ids) = &prepared.items else { panic!("MovieLens ids are integers") };
    let ids: Vec<f64> = ids.iter().map(|&id| id as f64).collect();
    for case in golden["cases"].as_array().unwrap() {
        let als = algorithm(case, 8);
        let mut points = case["curve"].as_array().unwrap().iter();
        fit(&als, &ratings, Some(&start(ratings.users(), &ids, als.rank)), &mut |it| {
            let want = points.next().unwrap();
            let held_out = holdout_errors(&it.scorer, ratings.known(), &holdout).clipped.rmse();
            // The project promises relative errors of at most 1e-4 (objective) and 2e-4 (RMSE).
            close(Some(it.objective), &want["objective"], 1e-4, "objective");
            close(it.train_rmse_raw, &want["train_rmse_raw"], 2e-4, "raw training RMSE");
            let errors = training_errors(&it.scorer, &ratings);
            close(errors.clipped.rmse(), &want["train_rmse"], 2e-4, "training RMSE");
            close(held_out, &want["holdout_rmse"], 2e-4, "holdout RMSE");
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(points.next().is_none());
    }
}
