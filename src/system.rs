//! What the machine and the process tell: the time, memory, names.

use chrono::{DateTime, Utc};

/// The time: the clock's, or where `SOURCE_DATE_EPOCH` is set, its second. All that a run dates follows this
/// one clock: its id, the age of other runs, the model's time stamp.
pub(crate) fn clock() -> DateTime<Utc> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok());
    at(Utc::now(), given)
}

/// The clock's time, with another second where one is given.
fn at(clock: DateTime<Utc>, second: Option<i64>) -> DateTime<Utc> {
    let given = |second| DateTime::from_timestamp(second, clock.timestamp_subsec_nanos());
    second.and_then(given).unwrap_or(clock)
}

/// [`clock`] in seconds since 1970.
pub(crate) fn now() -> i64 {
    clock().timestamp()
}

/// Name of this machine.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What tells processes with the same number apart: the start of the machine and the space of its processes.
pub(crate) fn processes() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// Whether a process of this machine is at work; one that has ended and was not asked how is not.
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

/// What the process took: `peak_rss_bytes`, `cpu_s`; null where the system does not tell.
pub(crate) fn resources() -> serde_json::Value {
    serde_json::json!({ "peak_rss_bytes": peak_memory(), "cpu_s": processor_seconds() })
}

/// Processor time of this process in all its threads, where the system tells (Linux).
fn processor_seconds() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold anything.
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let total = ticks(11)? + ticks(12)?;
    Some(total as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Memory that can be had without swapping, in bytes, where the system tells (Linux).
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
