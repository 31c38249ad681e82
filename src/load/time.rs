//! Times as numbers in a unit, or as text. Times without a zone are in UTC.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// Unit of numeric times, which count from 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// The unit that puts the first times of a file between 1980 and 2100; otherwise seconds.
    #[default]
    Auto,
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// 1980-01-01 in seconds. A positional time before it is not taken for a time.
const EARLIEST: f64 = 315_532_800.0;
/// 2100-01-01 in seconds.
pub(super) const LATEST: f64 = 4_102_444_800.0;

impl TimeUnit {
    /// The units with a fixed length.
    const ALL: [Self; 4] = [Self::S, Self::Ms, Self::Us, Self::Ns];

    /// How many of this unit are in a second.
    const fn per_second(self) -> i64 {
        match self {
            Self::Auto | Self::S => 1,
            Self::Ms => 1_000,
            Self::Us => 1_000_000,
            Self::Ns => 1_000_000_000,
        }
    }

    /// The name of the unit.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Auto | Self::S => "s",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }

    /// Converts a time in this unit to whole seconds, rounded down. `Auto` means seconds.
    #[must_use]
    pub const fn seconds(self, time: i64) -> i64 {
        time.div_euclid(self.per_second())
    }

    /// The unit in which a number is a time between 1980 and 2100. There is at most one.
    fn of(number: f64) -> Option<Self> {
        let plausible = |unit: &Self| {
            let seconds = number / unit.per_second() as f64;
            (EARLIEST..LATEST).contains(&seconds)
        };
        Self::ALL.into_iter().find(plausible)
    }

    /// Replaces `Auto` by the unit of most numbers.
    pub(super) fn resolved(self, numbers: impl Iterator<Item = f64>) -> Self {
        if self != Self::Auto {
            return self;
        }
        let mut counts = [0_usize; 4];
        for unit in numbers.filter_map(Self::of) {
            counts[unit as usize - 1] += 1;
        }
        let most = counts.iter().copied().max().filter(|&most| most > 0);
        most.and_then(|most| counts.iter().position(|&count| count == most))
            .map_or(Self::S, |at| Self::ALL[at])
    }
}

/// How the times of a file are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeForm {
    /// Unit of times that are numbers.
    pub unit: TimeUnit,
    /// Format of times that are text; `None` for ISO 8601.
    pub format: Option<Cow<'static, str>>,
}

/// The formats that are recognised besides ISO 8601. A time of day may follow.
const DATES: [&str; 14] = [
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%m %d, %Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
];
/// A date of eight digits, which is a number as well.
const DIGITS: &str = "%Y%m%d";
/// The times of day that may follow a date.
const CLOCKS: [&str; 5] = ["", " %H:%M", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p"];

/// What the first times of a file say about their form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recognised {
    /// All of them have this form, and numbers lie between 1980 and 2100.
    Times(TimeForm),
    /// They are numbers that may be times in this unit.
    Numbers(TimeForm),
    /// Both formats fit, but give different dates.
    Ambiguous(String, String),
    /// At least one is no time.
    No(TimeForm),
}

impl TimeForm {
    /// The form that the options specify. Numbers are seconds under `auto`.
    pub(super) fn specified(unit: TimeUnit, format: Option<&String>) -> Self {
        Self { unit, format: format.cloned().map(Cow::Owned) }
    }

    /// Recognises the form of times from some cells. Empty cells are not looked at.
    pub(super) fn recognise<'c>(
        unit: TimeUnit,
        format: Option<&String>,
        cells: impl Iterator<Item = &'c str> + Clone,
    ) -> Recognised {
        let cells = cells.map(str::trim).filter(|cell| !cell.is_empty());
        let numbers = cells.clone().filter_map(|cell| cell.parse::<f64>().ok());
        let form = Self { unit: unit.resolved(numbers.clone()), ..Self::specified(unit, format) };
        let all = |form: &Self| cells.clone().all(|cell| form.parse(cell).is_some());
        if cells.clone().next().is_none() {
            return Recognised::No(form);
        }
        let as_format = |format: String| Self { format: Some(Cow::Owned(format)), ..form.clone() };
        // A date that was found by its form must be a plausible one too.
        let plausible = |form: &Self| {
            let range = EARLIEST..LATEST;
            let fits = |seconds: i64| range.contains(&(seconds as f64));
            cells.clone().all(|cell| form.parse(cell).is_some_and(fits))
        };
        if form.format.is_some() || all(&form) {
            let is_time = |number| TimeUnit::of(number) == Some(form.unit);
            let digits = as_format(DIGITS.to_owned());
            let specified = form.format.is_some();
            return match (all(&form), numbers.clone().all(is_time)) {
                (true, plain) if plain || specified => Recognised::Times(form),
                (true, _) if plausible(&digits) => Recognised::Times(digits),
                (true, _) => Recognised::Numbers(form),
                (false, _) => Recognised::No(form),
            };
        }
        let formats = DATES
            .iter()
            .flat_map(|date| CLOCKS.iter().map(move |clock| as_format(format!("{date}{clock}"))));
        let mut fitting = formats.filter(plausible);
        match (fitting.next(), fitting.next()) {
            (None, _) => Recognised::No(form.clone()),
            (Some(first), None) => Recognised::Times(first),
            (Some(first), Some(second)) => {
                let same = cells.clone().all(|cell| first.parse(cell) == second.parse(cell));
                let text = |form: Self| form.format.unwrap_or_default().into_owned();
                match same {
                    true => Recognised::Times(first),
                    false => Recognised::Ambiguous(text(first), text(second)),
                }
            }
        }
    }

    /// Parses the text of a cell to seconds since 1970: a whole or decimal number in the unit, or a
    /// time in the format.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Some(format) = &self.format {
            return parse_format(text, format);
        }
        if let Ok(number) = text.parse::<i64>() {
            return Some(self.unit.seconds(number));
        }
        if let Ok(number) = text.parse::<f64>() {
            // Above this bound, doubles no longer represent every whole number.
            return (number.abs() < 9e15).then(|| self.unit.seconds(number.floor() as i64));
        }
        parse_iso(text)
    }
}

/// Parses a time in a format with the fields of strftime.
fn parse_format(text: &str, format: &str) -> Option<i64> {
    let zoned = DateTime::parse_from_str(text, format).ok().map(|time| time.timestamp());
    let naive = || NaiveDateTime::parse_from_str(text, format).ok().map(|t| t.and_utc());
    let date = || {
        let date = NaiveDate::parse_from_str(text, format).ok()?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc())
    };
    zoned.or_else(|| naive().or_else(date).map(|time| time.timestamp()))
}

/// Parses an ISO 8601 date, with or without a time, to seconds since 1970 in UTC.
///
/// A space may replace the `T`, and ` UTC` may follow, as BigQuery writes times.
#[must_use]
pub fn parse_iso(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" UTC").unwrap_or(text);
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

    fn form(unit: TimeUnit) -> TimeForm {
        TimeForm { unit, format: None }
    }

    #[test]
    fn numbers_and_iso_times_are_understood() {
        for (text, want) in [
            ("1112486027", 1_112_486_027),
            ("1112486027.9", 1_112_486_027),
            ("1.112486027e9", 1_112_486_027),
            ("-1", -1),
            ("2005-04-02", 1_112_400_000),
            ("2005-04-02 23:53:47", 1_112_486_027),
            ("2005-04-02 23:53:47 UTC", 1_112_486_027),
            ("2005-04-02 23:53:47.250 UTC", 1_112_486_027),
            ("2005-04-02T23:53:47Z", 1_112_486_027),
            ("2005-04-03T01:53:47.25+02:00", 1_112_486_027),
            ("2005-04-03 01:53:47+0200", 1_112_486_027),
            ("2005-04-02T23:53", 1_112_485_980),
        ] {
            assert_eq!(form(TimeUnit::S).parse(text), Some(want), "{text}");
        }
        assert_eq!(form(TimeUnit::Ms).parse("1112486027999"), Some(1_112_486_027));
        assert_eq!(form(TimeUnit::Ms).parse("-1"), Some(-1));
        assert_eq!(form(TimeUnit::Ns).parse("1112486027999999999"), Some(1_112_486_027));
        for text in ["", "yesterday", "2005-13-02", "nan", "1e300", "02/04/2005"] {
            assert_eq!(form(TimeUnit::S).parse(text), None, "{text}");
        }
        assert_eq!("@77".parse(), Ok(Date(77)));
        assert!("77".parse::<Date>().is_err());
        assert_eq!(iso(1_112_486_027), "2005-04-02T23:53:47Z");
    }

    fn recognise(cells: &[&str]) -> Recognised {
        TimeForm::recognise(TimeUnit::Auto, None, cells.iter().copied())
    }

    #[test]
    fn units_are_those_of_plausible_years() {
        for (cells, unit) in [
            (["881250949", "891717742"], TimeUnit::S),
            (["1503772753000", "1503772754000"], TimeUnit::Ms),
            (["1503772753000000", "1503772754000000"], TimeUnit::Us),
            (["1503772753000000000", "1503772753000000001"], TimeUnit::Ns),
            (["1503772753000", ""], TimeUnit::Ms),
        ] {
            assert_eq!(recognise(&cells), Recognised::Times(form(unit)), "{cells:?}");
        }
        for cells in [["1", "2"], ["0", "1"]] {
            assert_eq!(recognise(&cells), Recognised::Numbers(form(TimeUnit::S)), "{cells:?}");
        }
        let specified = TimeForm::recognise(TimeUnit::S, None, ["1503772753000"].into_iter());
        assert_eq!(specified, Recognised::Numbers(form(TimeUnit::S)));
    }

    #[test]
    fn formats_are_those_that_fit_all_times() {
        for (cells, format) in [
            (["26.08.2017 18:39", "01.02.2017 00:00"], "%d.%m.%Y %H:%M"),
            (["08/26/2017", "01/02/2017"], "%m/%d/%Y"),
            (["26/08/2017 18:39:13", "01/02/2017 18:39:13"], "%d/%m/%Y %H:%M:%S%.f"),
            (["8/26/2017 6:39 PM", "8/27/2017 6:39 AM"], "%m/%d/%Y %I:%M %p"),
            (["09 15, 2009", "9 5, 2009"], "%m %d, %Y"),
            (["Sep 15, 2009", "May 1, 2009"], "%b %d, %Y"),
        ] {
            let format = Some(Cow::Borrowed(format));
            let unit = TimeUnit::S;
            assert_eq!(
                recognise(&cells),
                Recognised::Times(TimeForm { unit, format }),
                "{cells:?}"
            );
        }
        let iso = recognise(&["2017-08-26 18:39:13 UTC"]);
        assert_eq!(iso, Recognised::Times(form(TimeUnit::S)));
        let both = recognise(&["03/04/2017", "01/02/2017"]);
        assert_eq!(both, Recognised::Ambiguous("%m/%d/%Y".into(), "%d/%m/%Y".into()));
        // Both read the same dates.
        assert!(matches!(recognise(&["03/03/2017"]), Recognised::Times(_)));
        for cells in [["soon", "2017-08-26"], ["", ""]] {
            assert!(matches!(recognise(&cells), Recognised::No(_)), "{cells:?}");
        }
        let format = "%d-%m-%Y".to_owned();
        let form = TimeForm::specified(TimeUnit::Auto, Some(&format));
        assert_eq!(form.parse("02-04-2005"), Some(1_112_400_000));
    }
}
