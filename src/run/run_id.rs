//! Ids of runs, and the times that runs record.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::store::json::digest;
use crate::system::{self, now};

/// A new id for a run that starts at `start`.
///
/// The id is the start in UTC, followed by six hexadecimal digits. Five digits are the
/// microseconds, so that ids sort by time. The last digit comes from a hash of host, process and
/// start.
pub(super) fn new_id(start: DateTime<Utc>) -> String {
    let parts = [system::host(), std::process::id().to_string(), start.to_rfc3339()];
    let any = digest(parts.iter().map(String::as_str));
    format!("{}-{:05x}{}", start.format(ID_TIME), start.timestamp_subsec_micros(), &any[..1])
}

/// Format of the time at the beginning of a run id.
const ID_TIME: &str = "%Y%m%dT%H%M%SZ";

/// The start of a run according to its id, in seconds since 1970.
pub(super) fn began(id: &str) -> Option<i64> {
    let (time, _) = id.split_once('-')?;
    let time = chrono::NaiveDateTime::parse_from_str(time, ID_TIME).ok()?;
    Some(time.and_utc().timestamp())
}

/// The current time as text, to the second.
pub(super) fn timestamp() -> String {
    crate::load::time::iso(now())
}

/// The current time as text, to the millisecond. `SOURCE_DATE_EPOCH` does not affect it.
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
