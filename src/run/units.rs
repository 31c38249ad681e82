//! Parses spans of time and amounts of memory as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, such as `90s`, `10m`, `36h` or `30days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// An amount of memory: `8GB` (powers of 1000), `8GiB` (powers of 1024) or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

/// The error for a text that is not a [`Span`] or a [`Memory`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not {expected}")]
pub struct NoAmount {
    text: String,
    expected: &'static str,
}

impl FromStr for Span {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let expected = "a span of time such as 90s, 10m, 36h or 30days";
        let wrong = |_| NoAmount { text: text.to_owned(), expected };
        humantime::parse_duration(text).map(Self).map_err(wrong)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl FromStr for Memory {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let expected = "an amount of memory such as 800MB or 8GiB";
        let wrong = |_| NoAmount { text: text.to_owned(), expected };
        text.parse::<ByteSize>().map(|size| Self(size.as_u64())).map_err(wrong)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 30) && bytes > 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes < 1_000_000 => write!(f, "{bytes}B"),
            bytes if bytes < 1_000_000_000 => write!(f, "{:.0}MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.1}GB", bytes as f64 / 1e9),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let span = |text: &str| text.parse::<Span>().map(|s| s.0.as_secs());
        assert_eq!(span("90s"), Ok(90));
        assert_eq!(span("1h 30m"), Ok(5400));
        assert_eq!(span("30d"), Ok(30 * 86_400));
        assert!(span("soon").is_err_and(|e| e.to_string().contains("\"soon\" is not a span")));
        assert!(span("10").is_err());
        let memory = |text: &str| text.parse::<Memory>().map(|m| m.0);
        assert_eq!(memory("8GiB"), Ok(8 << 30));
        assert_eq!(memory("800 MB"), Ok(800_000_000));
        assert_eq!(memory("1024"), Ok(1024));
        assert!(memory("much").is_err());
        assert_eq!(Memory(8 << 30).to_string(), "8GiB");
        assert_eq!(Memory(1_500_000_000).to_string(), "1.5GB");
    }
}
