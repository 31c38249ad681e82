//! Sums of errors, and the metrics that follow from them.

#[cfg(feature = "files")]
use serde::Deserializer;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::registry::{RATING_METRICS, terms, values};

/// Sums over the errors of a set of predictions, in double precision.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RatingErrors {
    /// Number of predictions.
    pub count: u64,
    /// The sum of the terms of each metric.
    sums: [f64; RATING_METRICS.len()],
}

impl RatingErrors {
    /// Adds one error.
    pub fn push(&mut self, error: f64) {
        self.count += 1;
        for (sum, term) in self.sums.iter_mut().zip(terms(error)) {
            *sum += term;
        }
    }

    /// Adds the sums of another set.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, part) in self.sums.iter_mut().zip(other.sums) {
            *sum += part;
        }
    }

    /// The metrics of the predictions.
    #[must_use]
    pub fn metrics(&self) -> Errors {
        let count = self.count as f64;
        let known = self.count > 0;
        Errors(values(self.sums.map(|sum| sum / count)).map(|value| known.then_some(value)))
    }

    /// The root mean squared error; `None` without predictions.
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        self.metrics().rmse()
    }
}

/// The rating metrics of one set of predictions, by name; null without predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors([Option<f64>; RATING_METRICS.len()]);

impl Errors {
    /// The metric with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(metric, _)| *metric == name)?.1
    }

    /// The root mean squared error.
    #[must_use]
    pub const fn rmse(&self) -> Option<f64> {
        self.0[0]
    }

    /// All metrics with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        RATING_METRICS.into_iter().zip(self.0)
    }

    /// These metrics if `known`, else none.
    #[must_use]
    pub fn filter(self, known: bool) -> Self {
        if known { self } else { Self::default() }
    }

    /// Writes the metrics under their names between a prefix and a suffix.
    ///
    /// # Errors
    /// Those of the map.
    pub fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        prefix: &str,
        suffix: &str,
    ) -> Result<(), M::Error> {
        self.iter().try_for_each(|(name, value)| {
            map.serialize_entry(&format!("{prefix}{name}{suffix}"), &value)
        })
    }

    /// Reads the metrics whose names follow a prefix; others stay unknown.
    #[cfg(feature = "files")]
    pub(crate) fn read<'de, D: Deserializer<'de>>(from: D, prefix: &str) -> Result<Self, D::Error> {
        let map =
            <std::collections::BTreeMap<String, Option<f64>> as serde::Deserialize>::deserialize(
                from,
            )?;
        let value = |name| map.get(&format!("{prefix}{name}")).copied().flatten();
        Ok(Self(RATING_METRICS.map(value)))
    }
}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map, "", "")?;
        map.end()
    }
}

/// Metrics of a holdout, with the prefix `holdout_`.
#[cfg(feature = "files")]
pub(crate) mod holdout {
    use super::{Deserializer, Errors, SerializeMap, Serializer};

    /// Writes the metrics.
    pub(crate) fn serialize<S: Serializer>(errors: &Errors, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        errors.write(&mut map, "holdout_", "")?;
        map.end()
    }

    /// Reads the metrics.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Errors, D::Error> {
        Errors::read(from, "holdout_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_and_come_back() {
        let mut errors = RatingErrors::default();
        assert_eq!((errors.rmse(), errors.metrics()), (None, Errors::default()));
        errors.push(3.0);
        errors.push(-4.0);
        let metrics = errors.metrics();
        assert_eq!(metrics.rmse(), Some(12.5_f64.sqrt()));
        assert_eq!((metrics.get("mae"), metrics.get("mse")), (Some(3.5), None));
        assert_eq!(metrics.filter(false), Errors::default());
        let text = serde_json::to_string(&metrics).expect("numbers");
        assert_eq!(text, format!("{{\"rmse\":{},\"mae\":3.5}}", 12.5_f64.sqrt()));
        #[cfg(feature = "files")]
        {
            let point = serde_json::json!({ "holdout_rmse": 1.0, "holdout_mae": null });
            let read = holdout::deserialize(point).expect("an object");
            assert_eq!((read.rmse(), read.get("mae")), (Some(1.0), None));
        }
    }
}
