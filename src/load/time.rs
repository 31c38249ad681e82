//! Times as numbers in a unit, or in ISO 8601. Times without a zone are in UTC.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// Unit of numeric times, which count from 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

impl TimeUnit {
    /// Converts a time in this unit to whole seconds, rounded down.
    #[must_use]
    pub const fn seconds(self, time: i64) -> i64 {
        match self {
            Self::S => time,
            Self::Ms => time.div_euclid(1_000),
            Self::Us => time.div_euclid(1_000_000),
        }
    }

    /// Parses the text of a cell: a whole or decimal number in this unit, or ISO 8601.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return Some(self.seconds(number));
        }
        if let Ok(number) = text.parse::<f64>() {
            // Above this bound, doubles no longer represent every whole number.
            return (number.abs() < 9e15).then(|| self.seconds(number.floor() as i64));
        }
        parse_iso(text)
    }
}

/// Parses an ISO 8601 date, with or without a time, to seconds since 1970 in UTC.
#[must_use]
pub fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return date.and_hms_opt(0, 0, 0).map(|t| t.and_utc().timestamp());
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc().timestamp())
        .or_else(|| {
            let formats = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
            formats
                .iter()
                .find_map(|f| DateTime::parse_from_str(text, f).ok())
                .map(|t| t.timestamp())
        })
}

/// A point in time as a person types it: ISO 8601, or `@SECONDS` since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i64);

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = match text.strip_prefix('@') {
            Some(seconds) => seconds.parse().ok(),
            None => parse_iso(text),
        };
        seconds.map(Self).ok_or_else(|| {
            format!(
                "\"{text}\" is not a date; write 2019-01-31, 2019-01-31T12:00:00Z or @1548936000"
            )
        })
    }
}

/// Formats a time as ISO 8601 in UTC, to the second.
#[must_use]
pub fn iso(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| format!("@{seconds}"), |t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_iso_times_are_understood() {
        for (text, want) in [
            ("1112486027", 1_112_486_027),
            ("1112486027.9", 1_112_486_027),
            ("1.112486027e9", 1_112_486_027),
            ("-1", -1),
            ("2005-04-02", 1_112_400_000),
            ("2005-04-02 23:53:47", 1_112_486_027),
            ("2005-04-02T23:53:47Z", 1_112_486_027),
            ("2005-04-03T01:53:47.25+02:00", 1_112_486_027),
            ("2005-04-03 01:53:47+0200", 1_112_486_027),
            ("2005-04-02T23:53", 1_112_485_980),
        ] {
            assert_eq!(TimeUnit::S.parse(text), Some(want), "{text}");
        }
        assert_eq!(TimeUnit::Ms.parse("1112486027999"), Some(1_112_486_027));
        assert_eq!(TimeUnit::Ms.parse("-1"), Some(-1));
        for text in ["", "yesterday", "2005-13-02", "nan", "1e300", "02/04/2005"] {
            assert_eq!(TimeUnit::S.parse(text), None, "{text}");
        }
        assert_eq!("@77".parse(), Ok(Date(77)));
        assert!("77".parse::<Date>().is_err());
        assert_eq!(iso(1_112_486_027), "2005-04-02T23:53:47Z");
    }
}
