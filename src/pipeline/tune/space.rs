//! What is tuned: a TOML file of settings and the values they may take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{AlgorithmName, Holdout, TrainConfig, suggestion};
use crate::error::{Error, Result};
use crate::param::{Automatic, Count};
use crate::rng::{Stream, generator};

/// Settings that can be tuned: those of the fit.
const TUNABLE: [&str; 27] = [
    "algorithm",
    "factors",
    "iterations",
    "regularization",
    "reg_exponent",
    "bias_damping",
    "bias_reg",
    "user_reg",
    "item_reg",
    "no_biases",
    "no_mean",
    "nonnegative",
    "solver",
    "cg_steps",
    "block",
    "tol",
    "learning_rate",
    "schedule",
    "confidence",
    "alpha",
    "epsilon",
    "unobserved_weight",
    "seed",
    "inference",
    "covariance",
    "burn_in",
    "samples",
];

/// Settings to try.
pub(super) type Point = BTreeMap<String, Value>;

/// How the space is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    /// Every combination of the listed values.
    Grid,
    /// Points drawn independently (Bergstra, Bengio 2012).
    Random,
    /// Points drawn as by random search run for a few iterations; the best third for three times as
    /// many, and so on (Jamieson, Talwalkar 2016).
    Halving,
}

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Space {
    #[serde(default = "random")]
    pub method: Method,
    /// Points drawn by random search and halving.
    #[serde(default = "trials")]
    pub trials: u32,
    /// Seed of the drawing.
    #[serde(default = "seed")]
    pub seed: u64,
    #[serde(rename = "space")]
    pub settings: BTreeMap<String, Values>,
}

const fn random() -> Method {
    Method::Random
}

const fn trials() -> u32 {
    40
}

const fn seed() -> u64 {
    1
}

/// The values of one setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a list of values is needed, or { low = .., high = .., log = true, steps = N }"
)]
pub(super) enum Values {
    /// One of these.
    List(Vec<Value>),
    /// Any number of an interval; whole ones if both ends are whole and written without a point.
    Range(Range),
}

/// Numbers from `low` to `high`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    low: serde_json::Number,
    high: serde_json::Number,
    /// Drawn evenly on the logarithm.
    #[serde(default)]
    log: bool,
    /// Values of a grid.
    #[serde(default)]
    steps: Option<u32>,
}

impl Range {
    fn ends(&self) -> (f64, f64) {
        (self.low.as_f64().unwrap_or(0.0), self.high.as_f64().unwrap_or(0.0))
    }

    /// The value at a share of the way.
    fn at(&self, share: f64) -> Value {
        let (low, high) = self.ends();
        let value = match self.log {
            true => (low.ln() + share * (high.ln() - low.ln())).exp(),
            false => low + share * (high - low),
        };
        if self.low.is_f64() || self.high.is_f64() {
            json!(rounded(value).clamp(low, high))
        } else {
            json!(value.round() as i64)
        }
    }

    /// How far along a value lies.
    fn share(&self, value: f64) -> f64 {
        let (low, high) = self.ends();
        match self.log {
            true => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            false => (value - low) / (high - low),
        }
    }
}

/// To three digits: more would only look exact.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

impl Space {
    /// The standard one of the algorithm.
    ///
    /// # Errors
    /// [`Error::Config`] where the settings given do not go with it.
    pub(super) fn standard(base: &TrainConfig) -> Result<Self> {
        let algorithm = base.algorithm_name();
        let path: PathBuf = format!("the standard space of {}", algorithm.name()).into();
        let wrong = |message: String| Error::Config { path: path.clone(), message };
        let space: Self =
            toml::from_str(super::standard::space(algorithm)).map_err(|e| wrong(e.to_string()))?;
        let message = |m: String| wrong(format!("{m}; give a space of your own by --space FILE"));
        space.check(base).map_err(message)?;
        Ok(space)
    }

    /// Reads a file; every value that it lists, and the ends of its ranges, go with `base`.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and what is wrong with it.
    pub(super) fn read(path: &Path, base: &TrainConfig) -> Result<Self> {
        let wrong = |message: String| Error::Config { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| wrong(format!("cannot read the space: {e}")))?;
        let space: Self =
            toml::from_str(&text).map_err(|e| wrong(e.to_string().trim().replace('\n', " ")))?;
        space.check(base).map_err(wrong)?;
        Ok(space)
    }

    fn check(&self, base: &TrainConfig) -> std::result::Result<(), String> {
        if self.settings.is_empty() {
            return Err("[space] is empty: nothing to tune".into());
        }
        if self.trials == 0 {
            return Err("trials must be at least 1".into());
        }
        for (key, values) in &self.settings {
            let at = |message: &str| format!("[space] {key}: {message}");
            if !TUNABLE.contains(&key.as_str()) {
                let hint = suggestion(key, &TUNABLE);
                let all = TUNABLE.join(", ");
                return Err(at(&format!("cannot be tuned{hint}; these can: {all}")));
            }
            let ends = match values {
                Values::List(values) if values.is_empty() => return Err(at("no values")),
                Values::List(values) => values.clone(),
                Values::Range(range) => {
                    let (low, high) = range.ends();
                    if low >= high {
                        return Err(at("low must be below high"));
                    }
                    if range.log && low <= 0.0 {
                        return Err(at("log needs low above 0"));
                    }
                    if self.method == Method::Grid && range.steps.is_none_or(|s| s < 2) {
                        return Err(at("a grid needs a list of values, or steps = 2 or more"));
                    }
                    vec![range.at(0.0), range.at(1.0)]
                }
            };
            for value in ends {
                let config = compose(base, &Point::from([(key.clone(), value)]))
                    .map_err(|e| at(&e.to_string()))?;
                if config.regularization == Some(Automatic::Auto) {
                    return Err(at("auto chooses by itself, so it is nothing to tune"));
                }
                let kind = |c: &TrainConfig| c.algorithm_name() == AlgorithmName::Ials;
                if kind(&config) != kind(base) {
                    return Err(at(
                        "ials is tuned on its own: its scores are preferences, not ratings",
                    ));
                }
            }
            if key == "seed" && base.holdout == Holdout::Random {
                return Err(at("the seed also draws --holdout random: use --holdout hash"));
            }
        }
        // Some points may hold settings that do not go together, but not all of them.
        let points = self.points();
        let errors: Option<Vec<Error>> =
            points.iter().map(|p| apply(base, p, None).err()).collect();
        match errors.unwrap_or_default().first() {
            Some(error) => Err(format!("[space]: {error}")),
            None => Ok(()),
        }
    }

    /// The points to try, from number 1 on.
    pub(super) fn points(&self) -> Vec<Point> {
        match self.method {
            Method::Grid => self.grid(),
            Method::Random | Method::Halving => (1..=self.trials).map(|n| self.draw(n)).collect(),
        }
    }

    fn grid(&self) -> Vec<Point> {
        let mut points = vec![Point::new()];
        for (key, values) in &self.settings {
            let values: Vec<Value> = match values {
                Values::List(values) => values.clone(),
                Values::Range(range) => {
                    let steps = range.steps.unwrap_or(2);
                    (0..steps).map(|s| range.at(f64::from(s) / f64::from(steps - 1))).collect()
                }
            };
            let with = |point: &Point, value: &Value| {
                let mut point = point.clone();
                point.insert(key.clone(), value.clone());
                point
            };
            points = points.iter().flat_map(|p| values.iter().map(|v| with(p, v))).collect();
        }
        points
    }

    /// The `number`-th point, which depends on the seed and the number alone.
    fn draw(&self, number: u32) -> Point {
        let mut rng = generator(self.seed, Stream::Search(number));
        let mut value = |values: &Values| match values {
            Values::List(values) => values[rng.random_range(0..values.len())].clone(),
            Values::Range(range) => range.at(rng.random_range(0.0..1.0)),
        };
        self.settings.iter().map(|(key, values)| (key.clone(), value(values))).collect()
    }

    /// Settings of a point that lie on the edge of their range, with the side: a better value may lie
    /// beyond.
    pub(super) fn edges(&self, point: &Point) -> Vec<String> {
        let edge = |(key, values): (&String, &Values)| -> Option<String> {
            let value = point.get(key)?.as_f64()?;
            let share = match values {
                Values::Range(range) => range.share(value),
                Values::List(values) => {
                    let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
                    let mut numbers = numbers?;
                    numbers.sort_by(f64::total_cmp);
                    numbers.dedup();
                    if numbers.len() < 2 {
                        return None;
                    }
                    let at = numbers.iter().position(|n| *n == value)?;
                    at as f64 / (numbers.len() - 1) as f64
                }
            };
            let side = match share {
                s if s < 0.05 => "lower",
                s if s > 0.95 => "upper",
                _ => return None,
            };
            Some(format!("{key} = {value} lies at the {side} end of its values: try beyond"))
        };
        self.settings.iter().filter_map(edge).collect()
    }
}

/// The settings of a point on top of `base`, whether they go together or not.
fn compose(base: &TrainConfig, point: &Point) -> Result<TrainConfig> {
    let wrong = |e: serde_json::Error| Error::Usage(e.to_string());
    let mut value = serde_json::to_value(base).map_err(wrong)?;
    if let Some(map) = value.as_object_mut() {
        map.extend(point.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    serde_json::from_value(value).map_err(wrong)
}

/// The settings of a point on top of `base`; at most `iterations` where given.
///
/// # Errors
/// [`Error::Usage`] for values that are not allowed or do not go together.
pub(super) fn apply(
    base: &TrainConfig,
    point: &Point,
    iterations: Option<u32>,
) -> Result<TrainConfig> {
    let mut config = compose(base, point)?;
    config.check_algorithm()?;
    if let Some(iterations) = iterations {
        config.iterations = Count::new(iterations).ok();
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> std::result::Result<Space, String> {
        let space: Space = toml::from_str(text).map_err(|e| e.to_string())?;
        space.check(&TrainConfig::default()).map(|()| space)
    }

    #[test]
    fn a_grid_has_every_combination() {
        let space = space("method = \"grid\"\n[space]\nfactors = [8, 16]\nregularization = { low = 0.01, high = 1.0, log = true, steps = 3 }\nsolver = [\"cholesky\"]")
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
                "trials = {n}\n[space]\nfactors = {{ low = 4, high = 64, log = true }}\nreg_exponent = {{ low = 0.0, high = 1.0 }}\nno_biases = [true, false]"
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
        // Even on the logarithm: half of the draws below the geometric mean, 16.
        let below = many.iter().filter(|p| p["factors"].as_f64() < Some(16.0)).count();
        assert!((75..125).contains(&below), "{below}");
    }

    #[test]
    fn every_algorithm_has_a_standard_space() {
        use AlgorithmName::{Als, Bayes, Gd, Ials, Sgd};
        for algorithm in [Als, Bayes, Gd, Ials, Sgd] {
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
        let space = space("[space]\nfactors = [64, 8, 16]\nregularization = { low = 0.01, high = 1.0, log = true }")
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
            ("[space]\nholdout = [\"hash\"]", "cannot be tuned"),
            ("[space]\nfactors = [8, -1]", "whole number from 0 to 4096"),
            ("[space]\nfactors = []", "no values"),
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
}
