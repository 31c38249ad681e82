//! Gate `freshness`: the age of the latest rating.

use super::super::units::Span;
use super::entries::{Finding, limit};
use super::look::DataLook;
use crate::store::Severity;

/// A day in seconds.
const DAY: f64 = 86_400.0;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let Span(most) = look.config.max_age?;
    let latest = look.data.inputs.of_ratings().iter().filter_map(|report| report.max_timestamp);
    let age = latest.max().map(|latest| (look.now - latest) as f64);
    let message = match age {
        Some(age) if age < -DAY => {
            format!("the latest rating is dated {:.0} days in the future", -age / DAY)
        }
        Some(age) if age > 3.0 * DAY => format!("the latest rating is {:.0} days old", age / DAY),
        Some(age) => format!("the latest rating is {:.1} hours old", age.max(0.0) / 3600.0),
        None => "the ratings have no timestamps".to_owned(),
    };
    let most = most.as_secs_f64();
    let holds = age.is_some_and(|age| age <= most && age >= -DAY);
    let limits = vec![limit(Severity::Error, most, holds)];
    Some(Finding { observed: Some(age.unwrap_or(f64::INFINITY)), message, limits })
}
