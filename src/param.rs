//! Parameter types that cannot hold an invalid value.
//!
//! Each type states its range once. `new`, parsing from text and deserialisation all check it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A value outside the range of its parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} is not {expected}")]
pub struct OutOfRange {
    text: String,
    expected: &'static str,
}

macro_rules! parameter {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "Raw")]
        pub struct $name($inner);

        impl $name {
            /// Checks the range.
            ///
            /// # Errors
            /// [`OutOfRange`] if the value is not allowed.
            pub fn new(value: $inner) -> Result<Self, OutOfRange> {
                let valid: fn($inner) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange { text: value.to_string(), expected: $expected })
                }
            }

            /// Wraps a value without a check: for defaults in the source and values known to be in
            /// range.
            #[must_use]
            #[allow(dead_code, reason = "not every parameter has a default")]
            pub(crate) const fn literal(value: $inner) -> Self {
                Self(value)
            }

            /// The value.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = OutOfRange;

            fn from_str(text: &str) -> Result<Self, OutOfRange> {
                let wrong = || OutOfRange { text: format!("\"{text}\""), expected: $expected };
                text.parse::<$inner>()
                    .map_err(|_| wrong())
                    .and_then(|v| Self::new(v).map_err(|_| wrong()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<Raw> for $name {
            type Error = OutOfRange;

            fn try_from(raw: Raw) -> Result<Self, OutOfRange> {
                raw.0.to_string().parse()
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    };
}

/// A number as configuration files and manifests store it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Raw(f64);

parameter!(
    /// Number of factors of a vector (the rank of the model): 0 to 4096.
    Rank(u32), "a whole number from 0 to 4096", |v| v <= 4096
);
parameter!(
    /// A finite number that is not negative.
    NonNegative(f64), "a number of at least 0", |v| v.is_finite() && v >= 0.0
);
parameter!(
    /// A finite number above 0.
    Positive(f64), "a number above 0", |v| v.is_finite() && v > 0.0
);
parameter!(
    /// A share strictly between 0 and 1.
    Fraction(f64), "a number between 0 and 1 (both excluded)", |v| v > 0.0 && v < 1.0
);
parameter!(
    /// An exponent from 0 to 2.
    Exponent(f64), "a number from 0 to 2", |v| (0.0..=2.0).contains(&v)
);
parameter!(
    /// A count of at least one.
    Count(u32), "a whole number of at least 1", |v| v >= 1
);

parameter!(
    /// The number of parts of a partition: 2 to 100.
    Folds(u32), "a whole number from 2 to 100", |v| (2..=100).contains(&v)
);

parameter!(
    /// A count that may be zero.
    Natural(u32), "a whole number of at least 0", |_| true
);

parameter!(
    /// A number of threads: 1 to 1024.
    Threads(u32), "a whole number from 1 to 1024", |v| (1..=1024).contains(&v)
);

/// A [`NonNegative`] number, or `auto` if it is to be chosen from the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Automatic {
    /// Chosen from the data.
    Auto,
    /// The specified number.
    Value(NonNegative),
}

impl Automatic {
    /// The specified number, or `None` for `auto`.
    #[must_use]
    pub const fn value(self) -> Option<NonNegative> {
        match self {
            Self::Auto => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl FromStr for Automatic {
    type Err = OutOfRange;

    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let wrong = |e| OutOfRange { expected: "a number of at least 0, or auto", ..e };
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Value).map_err(wrong),
        }
    }
}

impl<'de> Deserialize<'de> for Automatic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(NonNegative),
        }
        let wrong = serde::de::Error::custom("not a number of at least 0, or auto");
        match Form::deserialize(deserializer) {
            Ok(Form::Text(text)) => text.parse().map_err(serde::de::Error::custom),
            Ok(Form::Number(value)) => Ok(Self::Value(value)),
            Err(_) => Err(wrong),
        }
    }
}

impl Serialize for Automatic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_for_text_and_values() {
        assert_eq!("64".parse::<Rank>().map(Rank::get), Ok(64));
        assert!("4097".parse::<Rank>().is_err());
        assert!("-1".parse::<Rank>().is_err());
        assert!("nan".parse::<NonNegative>().is_err());
        assert!("inf".parse::<NonNegative>().is_err());
        assert!(NonNegative::new(-0.1).is_err());
        assert!(Fraction::new(0.0).is_err() && Fraction::new(1.0).is_err());
        assert!(Count::new(0).is_err());
        assert_eq!("auto".parse(), Ok(Automatic::Auto));
        let message = "-1".parse::<Automatic>().map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.contains("or auto")));
        let message = "x".parse::<Fraction>().map_err(|e| e.to_string());
        assert_eq!(message, Err("\"x\" is not a number between 0 and 1 (both excluded)".into()));
    }
}
