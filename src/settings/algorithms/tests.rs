use super::super::names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
use super::super::plan::Plan;
use super::super::train::TrainConfig;
use crate::load::prepare::Duplicates;
use crate::param::{Automatic, Count, Exponent, Natural, NonNegative, Rank};
use crate::ratings::{Cell, Ratings};

fn named(algorithm: AlgorithmName) -> TrainConfig {
    TrainConfig { algorithm: Some(algorithm), ..TrainConfig::default() }
}

fn planned(name: AlgorithmName) -> Plan {
    named(name).plan().expect("a plan")
}

#[test]
fn every_name_builds_its_algorithm() {
    for name in AlgorithmName::ALL {
        let plan = planned(name);
        assert_eq!(plan.record.algorithm, Some(name));
        let built = plan.fit.algorithm().name();
        // Bayes uses variational inference unless the settings ask for sampling.
        let wanted = if name == AlgorithmName::Bayes { "variational" } else { name.name() };
        assert_eq!(built, wanted);
    }
    let sampling = TrainConfig { samples: Some(Count::literal(5)), ..named(AlgorithmName::Bayes) };
    assert_eq!(sampling.plan().expect("a plan").fit.algorithm().name(), "bayes");
}

#[test]
fn a_record_is_planned_as_itself() {
    type Setting = (&'static str, fn(&mut TrainConfig));
    let settings: [Setting; 14] = [
        ("defaults", |_| {}),
        ("nonnegative", |c| c.nonnegative = true),
        ("events", |c| c.positive_from = Some(4.0)),
        ("nonnegative events", |c| (c.positive_from, c.nonnegative) = (Some(4.0), true)),
        ("no biases", |c| c.no_biases = true),
        ("no mean", |c| c.no_mean = true),
        ("biases alone", |c| c.factors = Some(Rank::literal(0))),
        ("auto", |c| c.regularization = Some(Automatic::Auto)),
        ("cg", |c| c.solver = Some(SolverName::Cg)),
        ("subspace", |c| c.solver = Some(SolverName::Subspace)),
        ("log", |c| c.confidence = Some(ConfidenceName::Log)),
        ("gibbs", |c| c.inference = Some(InferenceName::Gibbs)),
        ("own", |c| c.covariance = Some(CovarianceName::Own)),
        ("decay", |c| c.schedule = Some(ScheduleName::Decay)),
    ];
    let mut planned = 0;
    for name in AlgorithmName::ALL {
        for (what, set) in settings {
            let mut config = named(name);
            set(&mut config);
            // An algorithm does not take every setting.
            let Ok(plan) = config.plan() else { continue };
            let again = Plan::of_record(&plan.record).expect("a plan");
            assert_eq!(again.record, plan.record, "{}, {what}", name.name());
            planned += 1;
        }
    }
    assert!(planned > 25, "{planned}");
}

#[test]
fn decisions_go_into_the_record() {
    let als = planned(AlgorithmName::Als).record;
    let ials = planned(AlgorithmName::Ials).record;
    let text = |v: Option<NonNegative>| v.map(|v| v.to_string());
    assert_eq!(als.factors.map(Rank::get), Some(64));
    assert_eq!(als.iterations.map(Count::get), Some(15));
    assert_eq!(als.regularization, None, "follows the ratings");
    assert_eq!(als.reg_exponent.map(Exponent::get), Some(0.5));
    assert_eq!(text(als.bias_damping).as_deref(), Some("4"));
    assert_eq!(text(als.tol).as_deref(), Some("0.0001"));
    assert_eq!(als.load.duplicates, Some(Duplicates::Last));
    assert_eq!(ials.reg_exponent.map(Exponent::get), Some(1.0));
    assert_eq!(ials.unobserved_weight, None, "follows the ratings");
    assert_eq!((ials.bias_reg, ials.alpha), (None, None));
    assert_eq!(ials.load.duplicates, Some(Duplicates::Sum));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let als = named(AlgorithmName::Als);
    let ials = named(AlgorithmName::Ials);
    let bayes = named(AlgorithmName::Bayes);
    let one = Some(NonNegative::literal(1.0));
    let auto = Some(Automatic::Auto);
    for (bad, part) in [
        (TrainConfig { alpha: one, ..als.clone() }, "--algorithm ials"),
        (TrainConfig { confidence: Some(ConfidenceName::Log), ..als.clone() }, "ials"),
        (TrainConfig { no_biases: true, ..ials.clone() }, "--no-biases needs"),
        (TrainConfig { factors: Some(Rank::literal(0)), ..ials.clone() }, "als or sgd"),
        (TrainConfig { cg_steps: Some(Count::literal(3)), ..als.clone() }, "--solver cg"),
        (TrainConfig { block: Some(Count::literal(3)), ..als.clone() }, "subspace"),
        (TrainConfig { alpha: one, ..ials.clone() }, "--confidence linear"),
        (TrainConfig { epsilon: one, ..ials.clone() }, "--confidence log"),
        (
            TrainConfig {
                epsilon: Some(NonNegative::literal(0.0)),
                confidence: Some(ConfidenceName::Log),
                ..ials.clone()
            },
            "above 0",
        ),
        (
            TrainConfig { nonnegative: true, solver: Some(SolverName::Cg), ..als.clone() },
            "--nonnegative",
        ),
        (TrainConfig { nonnegative: true, bias_reg: one, ..als.clone() }, "--bias-reg"),
        (TrainConfig { burn_in: Some(Natural::literal(3)), ..als.clone() }, "--algorithm bayes"),
        (TrainConfig { regularization: auto, ..bayes.clone() }, "als or ials or sgd"),
        (TrainConfig { regularization: auto, no_mean: true, ..als.clone() }, "--no-mean"),
        (TrainConfig { schedule: Some(ScheduleName::Decay), ..als }, "--algorithm sgd"),
        (
            TrainConfig {
                keep_samples: Some(Natural::literal(151)),
                inference: Some(InferenceName::Gibbs),
                ..bayes
            },
            "--samples",
        ),
    ] {
        let message = bad.plan().map(|_| ()).map_err(|e| e.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains(part)), "{part}: {message:?}");
    }
}

#[test]
fn laws_follow_the_density() {
    // There are 8 users with 4 ratings each and 16 items with 2 each.
    let cells: Vec<Cell> = (0..32)
        .map(|at| Cell { user: at / 4, item: at % 16, value: 1.0, weight: 1.0, time: 0 })
        .collect();
    let ratings = Ratings::from_sorted(8, 16, &cells);
    let settled = |config: &TrainConfig| {
        let plan = config.plan().expect("a plan");
        let mut fit = plan.fit.clone();
        fit.settle(&ratings);
        plan.with_fit(fit)
    };
    let of = |name| settled(&named(name));
    let lambda = of(AlgorithmName::Als).facts().lambda;
    assert_eq!(lambda, super::super::laws::significant(1.2 / 8.0_f64.powf(0.25)));
    assert_eq!(of(AlgorithmName::Ials).facts().unobserved_weight, Some(3.75));
    let linear = ConfidenceName::Linear;
    let linear = TrainConfig { confidence: Some(linear), ..named(AlgorithmName::Ials) };
    assert_eq!(settled(&linear).facts().unobserved_weight, Some(1.0));
    let config = Some(Automatic::Value(NonNegative::literal(0.5)));
    let config = TrainConfig { regularization: config, ..named(AlgorithmName::Als) };
    assert_eq!(
        settled(&config).record,
        config.plan().expect("a plan").record,
        "what was set stays"
    );
    // There are 24 rows of 16 unknowns for 32 ratings.
    let bayes = of(AlgorithmName::Bayes).record;
    assert_eq!(bayes.tol.map(NonNegative::get), Some(0.02));
    assert_eq!(bayes.factors.map(Rank::get), Some(16));
    assert_eq!(of(AlgorithmName::Gd).record, planned(AlgorithmName::Gd).record);
}
