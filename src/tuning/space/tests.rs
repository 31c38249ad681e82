use super::*;
use crate::settings::AlgorithmName;

fn space(text: &str) -> std::result::Result<Space, String> {
    let space: Space = toml::from_str(text).map_err(|e| e.to_string())?;
    space.check(&TrainConfig::default()).map(|()| space)
}

#[test]
fn a_grid_has_every_combination() {
    let space = space(
        "method = \"grid\"\n[space]\nfactors = [8, 16]\n\
         regularization = { low = 0.01, high = 1.0, log = true, steps = 3 }\n\
         solver = [\"cholesky\"]",
    )
    .expect("a space");
    let points = space.points();
    assert_eq!(points.len(), 6);
    assert_eq!(points[1]["regularization"], json!(0.1));
    assert_eq!(points[3]["factors"], json!(16));
}

#[test]
fn draws_depend_on_their_number_alone_and_stay_inside() {
    let text = |n: u32| {
        format!(
            "trials = {n}\n[space]\nfactors = {{ low = 4, high = 64, log = true }}\n\
             reg_exponent = {{ low = 0.0, high = 1.0 }}\nno_biases = [true, false]"
        )
    };
    let few = space(&text(5)).expect("a space").points();
    let many = space(&text(200)).expect("a space").points();
    assert_eq!(few, many[..5]);
    for point in &many {
        assert!((4..=64).contains(&point["factors"].as_i64().expect("whole")));
        assert!((0.0..=1.0).contains(&point["reg_exponent"].as_f64().expect("a number")));
        apply(&TrainConfig::default(), point, Some(3)).expect("settings");
    }
    // Draws are even on the logarithm: half of them lie below the geometric mean, 16.
    let below = many.iter().filter(|p| p["factors"].as_f64() < Some(16.0)).count();
    assert!((75..125).contains(&below), "{below}");
}

#[test]
fn every_algorithm_has_a_standard_space() {
    for algorithm in AlgorithmName::ALL {
        let base = TrainConfig { algorithm: Some(algorithm), ..TrainConfig::default() };
        let space = Space::standard(&base).expect("a space");
        for point in space.points() {
            apply(&base, &point, None).expect("settings");
        }
    }
    let fixed = TrainConfig { nonnegative: true, ..TrainConfig::default() };
    let message = Space::standard(&fixed).map_err(|e| e.to_string());
    assert!(matches!(&message, Err(m) if m.contains("--space FILE")), "{message:?}");
}

#[test]
fn edges_are_told() {
    let space = space(
        "[space]\nfactors = [64, 8, 16]\nregularization = { low = 0.01, high = 1.0, log = true }",
    )
    .expect("a space");
    let of = |k: u32, r: f64| {
        space.edges(&Point::from([
            ("factors".into(), json!(k)),
            ("regularization".into(), json!(r)),
        ]))
    };
    assert!(of(16, 0.1).is_empty());
    assert_eq!(of(64, 0.1).len(), 1);
    assert_eq!(of(8, 0.99).len(), 2);
}

#[test]
fn bad_spaces_get_one_message() {
    for (text, part) in [
        ("[space]", "nothing to tune"),
        ("trials = 4000000000\n[space]\nfactors = [8, 9]", "more than 100000 points"),
        (
            "method = \"grid\"\n[space]\n\
             regularization = { low = 0.1, high = 1.0, steps = 4000000000 }\n\
             bias_damping = { low = 1.0, high = 2.0, steps = 4000000000 }\n\
             reg_exponent = { low = 0.0, high = 1.0, steps = 4000000000 }",
            "more than 100000 points",
        ),
        ("[space]\nholdout = [\"hash\"]", "cannot be tuned"),
        ("[space]\nfactors = [8, -1]", "whole number from 0 to 4096"),
        ("[space]\nfactors = []", "there are no values"),
        ("[space]\nregularization = { low = 1.0, high = 0.1 }", "low must be below"),
        ("[space]\nregularization = { low = 0.0, high = 0.1, log = true }", "above 0"),
        ("[space]\nalpha = [1.0]", "--algorithm ials"),
        ("[space]\nalgorithm = [\"als\", \"ials\"]", "on its own"),
        ("[space]\nregularization = [0.1, \"auto\"]", "auto"),
        ("[space]\nregularisation = [0.1]", "did you mean \"regularization\""),
        ("[space]\nfactors = { low = 1, hight = 2 }", "a list of values is needed"),
        ("method = \"grid\"\n[space]\nfactors = { low = 1, high = 2 }", "steps"),
        ("method = \"best\"\n[space]\nfactors = [1]", "best"),
        ("trial = 3\n[space]\nfactors = [1]", "trial"),
        ("trials = 0\n[space]\nfactors = [1]", "at least 1"),
    ] {
        let message = space(text).map(|_| ()).expect_err(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}
