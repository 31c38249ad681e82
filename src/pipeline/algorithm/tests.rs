use super::*;

fn named(algorithm: AlgorithmName) -> TrainConfig {
    TrainConfig { algorithm: Some(algorithm), ..TrainConfig::default() }
}

const ALL: [AlgorithmName; 3] = [AlgorithmName::Als, AlgorithmName::Ials, AlgorithmName::Bayes];

#[test]
fn every_name_builds_its_algorithm() {
    for name in ALL {
        assert!(named(name).check_algorithm().is_ok());
    }
    for name in [AlgorithmName::Als, AlgorithmName::Ials] {
        assert_eq!(named(name).algorithm(None).name(), name.name());
    }
    // Bayes goes by variational inference unless sampling is asked for.
    let bayes = named(AlgorithmName::Bayes);
    let sampling = TrainConfig { samples: Some(Count::literal(5)), ..bayes.clone() };
    assert_eq!(bayes.algorithm(None).name(), "variational");
    assert_eq!(sampling.algorithm(None).name(), "bayes");
}

#[test]
fn defaults_are_those_of_the_help() {
    let als = named(AlgorithmName::Als).resolved();
    let ials = named(AlgorithmName::Ials).resolved();
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
        (TrainConfig { no_biases: true, ..ials.clone() }, "--no-biases goes with"),
        (TrainConfig { factors: Some(Rank::literal(0)), ..ials.clone() }, "at least 1"),
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
        let message = bad.check_algorithm().map_err(|e| e.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains(part)), "{part}: {message:?}");
    }
}
