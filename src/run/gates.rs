//! What a run must hold to be published, before the training and after it.
//!
//! | gate | compares | default |
//! |---|---|---|
//! | `freshness` | now with the latest rating | off without `max_age`, then error |
//! | `rows` | rows with those of the latest run | error outside 0.9 to 1.5 times |
//! | `rejected` | rows set aside with all rows | error above 0.1 % |
//! | `mean-shift` | the mean rating, in standard deviations of the latest run | warn above 0.1, error above 0.25 |
//! | `histogram` | population stability index of the ratings | warn above 0.1, error above 0.25 |
//! | `new-items` | share of items that the latest run did not have | warn above 10 % |
//! | `finite` | factors that are not finite, vectors of zeros | error |
//! | `bias-only` | RMSE with that of biases alone | warn below a gain of 0.5 %, error where worse; not for `ials` |
//! | `popularity` | first ranking metric of `ials` with that of popularity | error where more than 5 % worse, warn where worse |
//! | `collapsed` | norms of the vectors of `ials` | error where they have vanished |
//! | `previous-model` | RMSE (of `ials` its first metric) with the latest run's on the held-out ratings that both know | error where more than 1 % worse |
//! | `item-cosine` | median cosine of the items' vectors to those of the latest run, aligned | warn below 0.8 |
//! | `overlap` | share of the ten nearest items that stayed | warn below 0.5 |
//!
//! `NAME=warn` makes a gate's errors warnings, `NAME=error` its warnings errors, `NAME=off` leaves it out.
//! Where there is nothing to compare with, a gate passes and says so.

use serde::{Deserialize, Serialize};

use super::RunConfig;
use crate::store::{GateEntry, Severity};

/// The gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateName {
    /// Age of the latest rating.
    Freshness,
    /// Number of rows.
    Rows,
    /// Rows set aside.
    Rejected,
    /// Mean rating.
    MeanShift,
    /// Distribution of the ratings.
    Histogram,
    /// Items that are new.
    NewItems,
    /// Numbers that are none.
    Finite,
    /// Gain over biases alone.
    BiasOnly,
    /// Gain over popularity.
    Popularity,
    /// Vectors that vanished.
    Collapsed,
    /// Loss against the latest run.
    PreviousModel,
    /// How far items moved.
    ItemCosine,
    /// How far neighbours changed.
    Overlap,
}

impl GateName {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 13] = [
        Self::Freshness,
        Self::Rows,
        Self::Rejected,
        Self::MeanShift,
        Self::Histogram,
        Self::NewItems,
        Self::Finite,
        Self::BiasOnly,
        Self::Popularity,
        Self::Collapsed,
        Self::PreviousModel,
        Self::ItemCosine,
        Self::Overlap,
    ];

    /// As `--gate` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Freshness => "freshness",
            Self::Rows => "rows",
            Self::Rejected => "rejected",
            Self::MeanShift => "mean-shift",
            Self::Histogram => "histogram",
            Self::NewItems => "new-items",
            Self::Finite => "finite",
            Self::BiasOnly => "bias-only",
            Self::Popularity => "popularity",
            Self::Collapsed => "collapsed",
            Self::PreviousModel => "previous-model",
            Self::ItemCosine => "item-cosine",
            Self::Overlap => "overlap",
        }
    }
}

/// What is set for one gate: `NAME=SEVERITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateSetting {
    /// The gate.
    pub name: GateName,
    /// What follows where it does not pass.
    pub severity: Severity,
}

/// A text that sets no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not NAME=error, NAME=warn or NAME=off with one of the names {names}", names = GateName::ALL.map(GateName::name).join(", "))]
pub struct NoGate(String);

impl std::str::FromStr for GateSetting {
    type Err = NoGate;

    fn from_str(text: &str) -> Result<Self, NoGate> {
        let setting = || {
            let (name, severity) = text.split_once('=')?;
            let name = GateName::ALL.into_iter().find(|gate| gate.name() == name.trim())?;
            let severity = match severity.trim() {
                "error" => Severity::Error,
                "warn" => Severity::Warn,
                "off" => Severity::Off,
                _ => return None,
            };
            Some(Self { name, severity })
        };
        setting().ok_or_else(|| NoGate(text.to_owned()))
    }
}

impl std::fmt::Display for GateSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Off => "off",
        };
        write!(f, "{}={severity}", self.name.name())
    }
}

impl Serialize for GateSetting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GateSetting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What was looked at so far.
pub(super) struct Gates<'a> {
    config: &'a RunConfig,
    pub entries: Vec<GateEntry>,
}

/// One limit of a gate: what is found, what is allowed, and whether it is.
pub(super) struct Limit {
    pub severity: Severity,
    pub threshold: f64,
    pub holds: bool,
}

impl<'a> Gates<'a> {
    pub(super) const fn new(config: &'a RunConfig) -> Self {
        Self { config, entries: Vec::new() }
    }

    /// Looks at a gate with its limits, the strictest consequence first; `observed` is none where there is
    /// nothing to compare with, which `message` then says.
    pub(super) fn check(
        &mut self,
        name: GateName,
        observed: Option<f64>,
        message: &str,
        limits: &[Limit],
    ) {
        let set = self.config.severity(name);
        if set == Some(Severity::Off) {
            return;
        }
        let broken = limits.iter().find(|limit| observed.is_some() && !limit.holds);
        let strictest = limits.iter().map(|limit| limit.severity).next().unwrap_or(Severity::Error);
        let shown = broken.or(limits.first());
        self.entries.push(GateEntry {
            name: name.name().into(),
            severity: set.unwrap_or_else(|| broken.map_or(strictest, |limit| limit.severity)),
            threshold: shown.map(|limit| limit.threshold),
            observed: observed.filter(|value| value.is_finite()),
            passed: broken.is_none(),
            message: match broken {
                Some(limit) => format!("{message} (the limit is {})", limit.threshold),
                None => message.to_owned(),
            },
        });
    }

    /// Gates whose failure rejects the run.
    pub(super) fn failed(&self) -> Vec<&GateEntry> {
        let fatal = |gate: &&GateEntry| !gate.passed && gate.severity == Severity::Error;
        self.entries.iter().filter(fatal).collect()
    }

    /// What failed, in one sentence each; none where nothing did.
    pub(super) fn reason(&self) -> Option<String> {
        let failed: Vec<String> =
            self.failed().iter().map(|gate| format!("{}: {}", gate.name, gate.message)).collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_written() {
        for gate in GateName::ALL {
            let setting = GateSetting { name: gate, severity: Severity::Warn };
            assert_eq!(setting.to_string().parse(), Ok(setting));
            assert_eq!(serde_json::json!(gate), gate.name());
        }
        for wrong in ["rows", "rows=", "rows=fatal", "row=warn", "=off"] {
            assert!(wrong.parse::<GateSetting>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_limit_that_is_broken_decides_unless_the_settings_do() {
        let limits = |value: f64| {
            [
                Limit { severity: Severity::Error, threshold: 0.25, holds: value <= 0.25 },
                Limit { severity: Severity::Warn, threshold: 0.1, holds: value <= 0.1 },
            ]
        };
        let look = |settings: &[&str], value: Option<f64>| {
            let gate = settings.iter().filter_map(|text| text.parse().ok()).collect();
            let config = RunConfig { gate, ..RunConfig::default() };
            let mut gates = Gates::new(&config);
            let limits = limits(value.unwrap_or(9.0));
            gates.check(GateName::Histogram, value, "moved", &limits);
            let entry = gates.entries.first().cloned();
            (entry.map(|e| (e.severity, e.passed, e.threshold)), gates.reason())
        };
        let rejected = Some("histogram: moved (the limit is 0.25)".to_owned());
        assert_eq!(look(&[], Some(0.05)), (Some((Severity::Error, true, Some(0.25))), None));
        assert_eq!(look(&[], Some(0.2)), (Some((Severity::Warn, false, Some(0.1))), None));
        assert_eq!(
            look(&[], Some(0.3)),
            (Some((Severity::Error, false, Some(0.25))), rejected.clone())
        );
        assert_eq!(
            look(&["histogram=warn"], Some(0.3)),
            (Some((Severity::Warn, false, Some(0.25))), None)
        );
        let lower = Some("histogram: moved (the limit is 0.1)".to_owned());
        assert_eq!(look(&["histogram=error"], Some(0.2)).1, lower);
        assert_eq!(look(&["histogram=off"], Some(0.3)), (None, None));
        assert_eq!(look(&[], None), (Some((Severity::Error, true, Some(0.25))), None));
    }
}
