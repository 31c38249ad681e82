//! Describes the holder of a lock.

use std::fs::File;
use std::io::{Read, Seek};

use serde_json::Value;

/// The holder of a lock according to the content of the lock file.
pub(super) fn of_file(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    describe(&serde_json::from_str(&text).unwrap_or_default())
}

/// The holder of a lock in words; "another process" if the record is incomplete.
pub(super) fn describe(value: &Value) -> String {
    let text = |key: &str| value.get(key).map(|v| v.to_string().trim_matches('"').to_owned());
    match (text("run_id"), text("pid"), text("host"), text("started_at")) {
        (Some(run), Some(pid), Some(host), Some(since)) => {
            format!("run {run} (process {pid} on {host}, since {since})")
        }
        _ => "another process".to_owned(),
    }
}
