//! Ranking metrics against other packages (scripts/reference_ranking.py).

use std::sync::atomic::AtomicBool;

use lacuna::linalg::Matrix;
use lacuna::linalg::simd::{Kernels, Level};
use lacuna::metric::ranking::{Judgements, Lists, RankingMetric, rank};
use lacuna::model::{Embedding, Ranker};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

/// The users' vectors are unit vectors and the items' vectors are the columns of the score matrix.
/// The dot products are therefore exactly the scores.
fn problem(case: &Value) -> (Matrix, Ranker, Judgements) {
    let scores = case["scores"].as_array().unwrap();
    let (users, items) = (scores.len(), scores[0].as_array().unwrap().len());
    let (mut p, mut q) = (Matrix::zeros(users, users), Matrix::zeros(items, users));
    for (user, scores) in scores.iter().enumerate() {
        p.row_mut(user)[user] = 1.0;
        for (item, score) in scores.as_array().unwrap().iter().enumerate() {
            q.row_mut(item)[user] = score.as_f64().unwrap() as f32;
        }
    }
    let mut judgements = Judgements::default();
    let (mut seen, mut relevant) = (Lists::default(), Lists::default());
    for user in 0..users {
        let own = numbers(&case["relevant"][user]);
        let missing = case["missing"][user].as_u64().unwrap() as u32;
        if own.is_empty() && missing == 0 {
            continue;
        }
        judgements.rows.push(user as u32);
        judgements.missing.push(missing);
        seen.push(numbers(&case["seen"][user]));
        relevant.push(own);
    }
    (judgements.seen, judgements.relevant) = (seen, relevant);
    let embedding = Embedding { vectors: q, biases: vec![0.0; items] };
    (p, Ranker::new(&embedding, (0..items as u32).collect(), 1.0), judgements)
}

#[test]
fn metrics_equal_those_of_other_packages() {
    let text = std::fs::read_to_string("tests/golden/ranking.json").unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let (users, ranker, judgements) = problem(case);
        assert_eq!(judgements.rows.len() as u64, case["users"].as_u64().unwrap());
        let expected = case["expected"].as_object().unwrap();
        let metrics: Vec<RankingMetric> = expected.keys().map(|k| k.parse().unwrap()).collect();
        // The reference covers every registered metric.
        for name in RankingMetric::names() {
            let name = name.trim_end_matches('K');
            assert!(expected.keys().any(|k| k == name || k.starts_with(name)), "{name}");
        }
        for level in Level::available() {
            let kernels = Kernels::with_level(level).unwrap();
            let popularity = numbers(&case["popularity"]);
            let stop = AtomicBool::new(false);
            let found =
                rank(kernels, &users, &ranker, &popularity, &judgements, &metrics, &stop).unwrap();
            for (metric, value) in &found.values {
                let expected = expected[&metric.to_string()].as_f64().unwrap();
                let value = value.unwrap();
                assert!((value - expected).abs() < 1e-9, "{metric}: {value} but {expected}");
            }
        }
    }
}

#[test]
fn a_stop_is_obeyed_and_no_users_give_no_values() {
    let text = std::fs::read_to_string("tests/golden/ranking.json").unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (users, ranker, judgements) = problem(&cases[0]);
    let metrics: Vec<RankingMetric> =
        ["recall@5", "auc", "gini@5"].iter().map(|m| m.parse().unwrap()).collect();
    let popularity = numbers(&cases[0]["popularity"]);
    let run = |judgements: &Judgements, stop: bool| {
        let kernels = Kernels::detect();
        rank(kernels, &users, &ranker, &popularity, judgements, &metrics, &AtomicBool::new(stop))
    };
    assert!(matches!(run(&judgements, true), Err(lacuna::error::Error::Stopped)));
    let nobody = run(&Judgements::default(), false).unwrap();
    assert!(nobody.values.iter().all(|(_, value)| value.is_none()));
}
