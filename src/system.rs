//! Facts about the machine and the process: time, memory, names.

use chrono::{DateTime, Utc};

/// The current time. If `SOURCE_DATE_EPOCH` is set, it replaces the whole seconds.
///
/// Every date of a run follows this clock: its id, the age of other runs, the time of the model.
pub(crate) fn clock() -> DateTime<Utc> {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok());
    at(Utc::now(), fixed)
}

/// The time of the clock, with another second if one is specified.
fn at(clock: DateTime<Utc>, second: Option<i64>) -> DateTime<Utc> {
    let fixed = |second| DateTime::from_timestamp(second, clock.timestamp_subsec_nanos());
    second.and_then(fixed).unwrap_or(clock)
}

/// [`clock`] in seconds since 1970.
pub(crate) fn now() -> i64 {
    clock().timestamp()
}

/// The name of this machine.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// An identifier that distinguishes processes with the same number: the boot of the machine and the
/// namespace of its processes.
pub(crate) fn processes() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// Whether a process of this machine is running. A zombie does not count as running.
pub(crate) fn is_alive(pid: u64) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let Some(pid) = pid else { return false };
    if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let ended =
        |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    !state.is_ok_and(ended)
}

/// Resources used by this process: `peak_rss_bytes` and `cpu_s`, null if they are unknown.
pub(crate) fn resources() -> serde_json::Value {
    serde_json::json!({ "peak_rss_bytes": peak_memory(), "cpu_s": processor_seconds() })
}

/// Processor time of all threads of this process, in seconds; known on Linux only.
fn processor_seconds() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in brackets and may contain any character.
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let total = ticks(11)? + ticks(12)?;
    Some(total as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Peak resident memory of this process in bytes; known on Linux only.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Memory that is available without swapping, in bytes; known on Linux only.
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_of_the_clock_holds_second_and_fraction() {
        let clock = DateTime::from_timestamp(1_000, 5_000).expect("a time");
        assert_eq!(at(clock, None), clock);
        assert_eq!(at(clock, Some(7)), DateTime::from_timestamp(7, 5_000).expect("a time"));
        assert_eq!(at(clock, Some(i64::MAX)), clock);
    }

    #[test]
    fn this_process_is_alive() {
        assert!(is_alive(u64::from(std::process::id())));
        assert!(!is_alive(u64::MAX) && !is_alive(0));
    }
}
