//! The space of a search: a TOML file of settings and the values that they may take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::param::{Automatic, Count};
use crate::rng::{Stream, generator};
use crate::settings::{Holdout, TrainConfig, method, suggestion, tunable};

#[cfg(test)]
mod tests;

/// Maximum number of points of a search.
const MOST_POINTS: usize = 100_000;

/// The values of the tuned settings in one trial.
pub(super) type Point = BTreeMap<String, Value>;

/// How the space is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    /// Every combination of the listed values.
    Grid,
    /// Points drawn independently (Bergstra, Bengio 2012).
    Random,
    /// Successive halving (Jamieson, Talwalkar 2016).
    ///
    /// Points are drawn as in random search. All run for a few iterations, the best third for three
    /// times as many, and so on.
    Halving,
}

/// A space as its file defines it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Space {
    #[serde(default = "random")]
    pub method: Method,
    /// Number of points that random search and halving draw.
    #[serde(default = "trials")]
    pub trials: u32,
    /// Seed of the draws.
    #[serde(default = "seed")]
    pub seed: u64,
    /// The values of each tuned setting.
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
    /// The numbers of an interval; whole numbers if both ends are written without a decimal point.
    Range(Range),
}

/// Numbers from `low` to `high`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    low: serde_json::Number,
    high: serde_json::Number,
    /// Whether values are spread evenly on the logarithm.
    #[serde(default)]
    log: bool,
    /// Number of values in a grid.
    #[serde(default)]
    steps: Option<u32>,
}

impl Range {
    fn ends(&self) -> (f64, f64) {
        (self.low.as_f64().unwrap_or(0.0), self.high.as_f64().unwrap_or(0.0))
    }

    /// The value at a share of the way from `low` to `high`.
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

    /// The share of the way from `low` to `high` at which a value lies.
    fn share(&self, value: f64) -> f64 {
        let (low, high) = self.ends();
        match self.log {
            true => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            false => (value - low) / (high - low),
        }
    }
}

/// Rounds to three significant digits; more would only suggest precision.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

impl Space {
    /// The standard space of the algorithm.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be combined with the settings in `base`.
    pub(super) fn standard(base: &TrainConfig) -> Result<Self> {
        let algorithm = base.algorithm_name();
        let path: PathBuf = format!("the standard space of {}", algorithm.name()).into();
        let wrong = |message: String| Error::Config { path: path.clone(), message };
        let space: Self =
            toml::from_str(method(algorithm).space()).map_err(|e| wrong(e.to_string()))?;
        let message = |m: String| wrong(format!("{m}; pass a space of your own as --space FILE"));
        space.check(base).map_err(message)?;
        Ok(space)
    }

    /// Reads a space from a file.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the problem. One problem is a value, or an end of a
    /// range, that is not allowed; another is that all points hold settings that cannot be
    /// combined.
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
            return Err("[space] is empty, so there is nothing to tune".into());
        }
        if self.trials == 0 {
            return Err("trials must be at least 1".into());
        }
        for (key, values) in &self.settings {
            let at = |message: &str| format!("[space] {key}: {message}");
            let tunable = tunable();
            if !tunable.contains(&key.as_str()) {
                let hint = suggestion(key, &tunable);
                let all = tunable.join(", ");
                return Err(at(&format!("cannot be tuned{hint}; these can: {all}")));
            }
            let ends = match values {
                Values::List(values) if values.is_empty() => return Err(at("there are no values")),
                Values::List(values) => values.clone(),
                Values::Range(range) => {
                    let (low, high) = range.ends();
                    if low >= high {
                        return Err(at("low must be below high"));
                    }
                    if range.log && low <= 0.0 {
                        return Err(at("log = true needs low above 0"));
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
                    return Err(at("auto cannot be tuned, because it searches by itself"));
                }
                if config.reads_events() != base.reads_events() {
                    return Err(at(
                        "ials must be tuned on its own: its scores are preferences, not ratings",
                    ));
                }
            }
            if key == "seed" && base.holdout == Holdout::Random {
                return Err(at("the seed also draws --holdout random; use --holdout hash"));
            }
        }
        if self.size().is_none_or(|size| size > MOST_POINTS) {
            return Err(format!(
                "[space] has more than {MOST_POINTS} points: lower trials or steps"
            ));
        }
        // Some points may hold settings that cannot be combined, but not all of them.
        let points = self.points();
        let errors: Option<Vec<Error>> =
            points.iter().map(|p| apply(base, p, None).err()).collect();
        match errors.unwrap_or_default().first() {
            Some(error) => Err(format!("[space]: {error}")),
            None => Ok(()),
        }
    }

    /// The number of points; `None` if it overflows.
    fn size(&self) -> Option<usize> {
        let values = |values: &Values| match values {
            Values::List(values) => values.len(),
            Values::Range(range) => range.steps.unwrap_or(2) as usize,
        };
        match self.method {
            Method::Grid => {
                self.settings.values().try_fold(1_usize, |n, each| n.checked_mul(values(each)))
            }
            Method::Random | Method::Halving => Some(self.trials as usize),
        }
    }

    /// The points to try, numbered from 1.
    pub(super) fn points(&self) -> Vec<Point> {
        match self.method {
            Method::Grid => self.grid(),
            Method::Random | Method::Halving => (1..=self.trials).map(|n| self.draw(n)).collect(),
        }
    }

    /// All points of the grid.
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

    /// Draws the point of this number. It depends on the seed and the number alone.
    fn draw(&self, number: u32) -> Point {
        let mut rng = generator(self.seed, Stream::Search(number));
        let mut value = |values: &Values| match values {
            Values::List(values) => values[rng.random_range(0..values.len())].clone(),
            Values::Range(range) => range.at(rng.random_range(0.0..1.0)),
        };
        self.settings.iter().map(|(key, values)| (key.clone(), value(values))).collect()
    }

    /// Warnings about settings of a point that lie at an end of their values.
    ///
    /// A better value may lie beyond that end.
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
            Some(format!("{key} = {value} lies at the {side} end of its values; try values beyond"))
        };
        self.settings.iter().filter_map(edge).collect()
    }
}

/// Puts the settings of a point on top of `base` without checking combinations.
fn compose(base: &TrainConfig, point: &Point) -> Result<TrainConfig> {
    let wrong = |e: serde_json::Error| Error::Usage(e.to_string());
    let mut value = serde_json::to_value(base).map_err(wrong)?;
    if let Some(map) = value.as_object_mut() {
        map.extend(point.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    serde_json::from_value(value).map_err(wrong)
}

/// Puts the settings of a point, and `iterations` if specified, on top of `base`.
///
/// # Errors
/// [`Error::Usage`] for values that are not allowed or cannot be combined.
pub(super) fn apply(
    base: &TrainConfig,
    point: &Point,
    iterations: Option<u32>,
) -> Result<TrainConfig> {
    let mut config = compose(base, point)?;
    config.plan()?;
    if let Some(iterations) = iterations {
        config.iterations = Count::new(iterations).ok();
    }
    Ok(config)
}
