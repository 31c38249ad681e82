//! The names of the gates, and the setting of each.

use serde::{Deserialize, Serialize};

use crate::store::Severity;

macro_rules! gates {
    ($($(#[$doc:meta])* $gate:ident = $name:literal,)*) => {
        /// The gates.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum GateName {
            $($(#[$doc])* #[serde(rename = $name)] $gate,)*
        }

        impl GateName {
            /// All gates, in the order in which they are checked.
            pub const ALL: &[Self] = &[$(Self::$gate),*];

            /// The name of the gate, as in `--gate`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$gate => $name,)*
                }
            }
        }
    };
}

gates! {
    /// Age of the latest rating.
    Freshness = "freshness",
    /// Number of rows.
    Rows = "rows",
    /// Share of rows set aside.
    Rejected = "rejected",
    /// Change of the mean rating.
    MeanShift = "mean-shift",
    /// Change of the distribution of the ratings.
    Histogram = "histogram",
    /// Share of new users.
    NewUsers = "new-users",
    /// Share of new items.
    NewItems = "new-items",
    /// Types of the ids.
    IdType = "id-type",
    /// Vectors that are not finite or are zero.
    Finite = "finite",
    /// Gain over biases alone.
    BiasOnly = "bias-only",
    /// Gain over popularity.
    Popularity = "popularity",
    /// Vectors that have vanished.
    Collapsed = "collapsed",
    /// Loss relative to the latest run.
    PreviousModel = "previous-model",
    /// How far the item vectors moved.
    ItemCosine = "item-cosine",
    /// How far the nearest items changed.
    Overlap = "overlap",
}

/// The setting of one gate: `NAME=SEVERITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateSetting {
    /// The gate.
    pub name: GateName,
    /// What happens if the gate fails.
    pub severity: Severity,
}

/// The names of all gates, for messages and help.
#[must_use]
pub(crate) fn all_names() -> String {
    GateName::ALL.iter().map(|gate| gate.name()).collect::<Vec<_>>().join(", ")
}

/// The error for a text that is not a [`GateSetting`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not NAME=error, NAME=warn or NAME=off with one of the names {names}",
    names = all_names()
)]
pub struct NoGate(String);

impl std::str::FromStr for GateSetting {
    type Err = NoGate;

    fn from_str(text: &str) -> Result<Self, NoGate> {
        let setting = || {
            let (name, severity) = text.split_once('=')?;
            let name = GateName::ALL.iter().copied().find(|gate| gate.name() == name.trim())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_written() {
        for &gate in GateName::ALL {
            let setting = GateSetting { name: gate, severity: Severity::Warn };
            assert_eq!(setting.to_string().parse(), Ok(setting));
            assert_eq!(serde_json::json!(gate), gate.name());
        }
        for wrong in ["rows", "rows=", "rows=fatal", "row=warn", "=off"] {
            assert!(wrong.parse::<GateSetting>().is_err(), "{wrong}");
        }
    }
}
