//! Ids of runs, and the times that runs write down.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::store::json::digest;
use crate::system::{self, now};

/// An id of a run that begins now: the start in UTC and six hexadecimal digits, five of the microseconds, so
/// that ids sort by time, and one more that is anything.
pub(super) fn new_id(start: DateTime<Utc>) -> String {
    let parts = [system::host(), std::process::id().to_string(), start.to_rfc3339()];
    let any = digest(parts.iter().map(String::as_str));
    format!("{}-{:05x}{}", start.format(ID_TIME), start.timestamp_subsec_micros(), &any[..1])
}

/// The time at the beginning of a run's id.
const ID_TIME: &str = "%Y%m%dT%H%M%SZ";

/// When a run began, by its id.
pub(super) fn began(id: &str) -> Option<i64> {
    let (time, _) = id.split_once('-')?;
    let time = chrono::NaiveDateTime::parse_from_str(time, ID_TIME).ok()?;
    Some(time.and_utc().timestamp())
}

/// Now, in seconds.
pub(super) fn timestamp() -> String {
    crate::load::time::iso(now())
}

/// Now, in milliseconds.
pub(super) fn precise_timestamp() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_tell_when_the_run_began_and_differ() {
        let clock = system::clock();
        let (first, second) = (new_id(clock), new_id(clock + Duration::from_micros(1)));
        assert!(first < second, "{first} {second}");
        assert_eq!(first.len(), "20261121T020003Z-3f9c2a".len());
        assert!(began(&first).is_some_and(|at| at == clock.timestamp()));
        assert_eq!(began("20261121T020003Z-3f9c2a"), Some(1_795_226_403));
        assert_eq!(began("latest"), None);
    }
}
