//! One run of many: from rating files to what is served, unattended.
//!
//! ```text
//! lock → inputs → (nothing new: done) → read → data gates → train → measure → align
//!      → write, export → quality gates → publish → retain
//! ```
//!
//! A run begins at the factors of the latest one, is measured on the same held-out ratings, and is
//! published only if its gates pass; whatever happens, what is served stays complete. The directory is
//! described in `directory`, the gates in [`GateName`], the log in [`LogLine`].

mod align;
mod checks;
mod config;
mod copy;
mod diff;
mod directory;
mod estimate;
mod gates;
mod inputs;
mod lease;
mod lock;
mod log;
mod look;
mod mirror;
mod night;
mod previous;
mod prometheus;
mod publish;
mod records;
mod report;
mod resume;
mod retention;
mod units;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
pub use config::{Align, Resume, RunConfig, WarmStart};
pub use copy::{fetch_model, name_source};
pub use diff::{Difference, diff};
pub use directory::Pointer;
pub use estimate::Estimate;
pub use gates::{GateName, GateSetting, NoGate};
use log::Log;
pub use log::{Level, LogLine, Sink};
use night::Night;
pub use records::{Record, list, rollback, show};
pub use report::{Counts, RmseReport, RunReport, RunResult};
pub use retention::{Pruned, prune};
use serde_json::json;
pub use units::{Memory, NoAmount, Span};

use crate::error::Error;
use crate::job::{Event, Observer, with_threads};
use crate::store::Trigger;
use crate::store::json::digest;
use crate::system::{self, now, peak_memory};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A run.
    Run,
    /// Everything up to the training, and nothing written: what would be done.
    DryRun,
    /// The same, to know whether settings and ratings are good.
    Validate,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What is known of it.
    pub report: RunReport,
    /// Why it failed, if it did.
    pub error: Option<Error>,
}

/// Runs once. `observer` receives the events of the pipeline (for progress), `sink` every line of the log;
/// `exit_code` says what the program answers for a failure.
pub fn run(
    config: &RunConfig,
    mode: Mode,
    stop: &AtomicBool,
    observer: &Observer<'_>,
    sink: &Sink<'_>,
    exit_code: &dyn Fn(&Error) -> u8,
) -> Ended {
    let started = Instant::now();
    let trigger = trigger();
    let started_at = system::clock();
    let run_id = new_id(started_at);
    let log = Log::new(run_id.clone(), trigger.traceparent.clone(), sink);
    let mut report = RunReport { run_id: run_id.clone(), ..RunReport::default() };
    let outcome = config.check().and_then(|root| {
        let numbers = json!({
            "output": root,
            "version": env!("CARGO_PKG_VERSION"),
            "trigger": trigger,
        });
        log.info("run_start", &format!("run {run_id} in {}", root.display()), numbers);
        let threads = config.train.threads.map(|t| t.get() as usize);
        let timed_out = AtomicBool::new(false);
        let outcome = within(config.time_limit, stop, &timed_out, &mut |stop| {
            with_threads(threads, || {
                let both = |event: &Event| {
                    observer(event);
                    log.pipeline(event);
                };
                let mut resolved = config.clone();
                resolved.train = config.train.resolved();
                let mut night = Night {
                    config: &resolved,
                    log: &log,
                    stop,
                    observer: &both,
                    report: &mut report,
                    run_id: run_id.clone(),
                    trigger: trigger.clone(),
                    started,
                    started_at: started_at.timestamp(),
                };
                if let Some(warning) = config.train.implied_algorithm() {
                    night.warn(warning);
                }
                night.go(mode, root)
            })
        });
        match outcome {
            Err(error @ (Error::Stopped | Error::StoppedAt { .. }))
                if timed_out.load(Ordering::Relaxed) =>
            {
                let at = match error {
                    Error::StoppedAt { iteration } => format!(
                        "after iteration {iteration}, whose checkpoint is kept: run again to go on from it"
                    ),
                    _ => format!("during {}: nothing is kept", log.current_phase()),
                };
                let limit = config.time_limit.map(|span| span.to_string()).unwrap_or_default();
                Err(Error::TimeLimit { limit, at })
            }
            other => other,
        }
    });
    let error = outcome.err();
    let code = error.as_ref().map_or(0, exit_code);
    report.finish((error.as_ref(), code), started.elapsed().as_secs_f64(), peak_memory(), mode);
    if report.result == RunResult::Noop && mode == Mode::Run {
        report.exit_code = config.noop_exit_code;
    }
    match &error {
        Some(error) => {
            let numbers = json!({ "exit_code": report.exit_code });
            log.event(Level::Error, "exit_error", &chain(error), numbers);
        }
        None => {
            let numbers = json!({ "result": report.result, "exit_code": report.exit_code });
            log.info("run_end", &report.summary(), numbers);
        }
    }
    if mode == Mode::Run
        && let Some(path) = config.metrics()
        && let Err(error) = prometheus::write(path, &report, now())
    {
        log.warn(&format!("no metrics: {}", chain(&error)));
    }
    Ended { report, error }
}

/// A failure and its causes as one message.
fn chain(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message += &format!(": {source}");
        cause = source.source();
    }
    message
}

/// How often the caller's wish to stop is passed on while there is a time limit.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// Does the work, and asks it to stop when the time is up, or the caller wants it to. The caller's `stop`
/// stays the caller's: it is read and not written.
fn within(
    limit: Option<Span>,
    stop: &AtomicBool,
    timed_out: &AtomicBool,
    work: &mut (dyn FnMut(&AtomicBool) -> crate::error::Result<()> + Send),
) -> crate::error::Result<()> {
    let Some(Span(limit)) = limit else { return work(stop) };
    let (done, wait) = mpsc::channel::<()>();
    let own = AtomicBool::new(false);
    let since = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // By move: the channel ends with this thread.
            let wait = wait;
            loop {
                let left = limit.saturating_sub(since.elapsed());
                timed_out.store(left.is_zero(), Ordering::Relaxed);
                if left.is_zero() || stop.load(Ordering::Relaxed) {
                    return own.store(true, Ordering::Relaxed);
                }
                let ended = wait.recv_timeout(left.min(STOP_INTERVAL));
                if ended != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let outcome = work(&own);
        drop(done);
        outcome
    })
}

/// What started this run, as the environment tells.
fn trigger() -> Trigger {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (scheduler, external_run_id) = if let Some(id) = given("AIRFLOW_CTX_DAG_RUN_ID") {
        (Some("airflow"), Some(id))
    } else if let Some(id) = given("KUBERNETES_SERVICE_HOST").and_then(|_| given("HOSTNAME")) {
        (Some("kubernetes"), Some(id))
    } else if let Some(id) = given("INVOCATION_ID") {
        (Some("systemd"), Some(id))
    } else {
        (None, None)
    };
    let traceparent = given("TRACEPARENT").filter(|text| is_traceparent(text));
    Trigger { scheduler: scheduler.map(str::to_owned), external_run_id, traceparent }
}

/// Whether a text is a trace context: `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, section 3.2).
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths.starts_with(&[2, 32, 16, 2]) && parts.iter().all(|part| hex(part))
}

/// An id of a run that begins now: the start in UTC and six hexadecimal digits, five of the microseconds, so
/// that ids sort by time, and one more that is anything.
fn new_id(start: DateTime<Utc>) -> String {
    let parts = [system::host(), std::process::id().to_string(), start.to_rfc3339()];
    let any = digest(parts.iter().map(String::as_str));
    format!("{}-{:05x}{}", start.format(ID_TIME), start.timestamp_subsec_micros(), &any[..1])
}

/// The time at the beginning of a run's id.
const ID_TIME: &str = "%Y%m%dT%H%M%SZ";

/// When a run began, by its id.
fn began(id: &str) -> Option<i64> {
    let (time, _) = id.split_once('-')?;
    let time = chrono::NaiveDateTime::parse_from_str(time, ID_TIME).ok()?;
    Some(time.and_utc().timestamp())
}

/// Now, in seconds.
fn timestamp() -> String {
    crate::load::time::iso(now())
}

/// Now, in milliseconds.
fn precise_timestamp() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_trace_context_is_recognised() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in ["", "00-xyz", &good.to_uppercase(), &good[..50], "a-b-c-d"] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn the_time_limit_asks_for_a_stop() {
        let (stop, timed_out) = (AtomicBool::new(false), AtomicBool::new(false));
        let limit = |millis| Some(Span(Duration::from_millis(millis)));
        let outcome = within(limit(60_000), &stop, &timed_out, &mut |_| Ok(()));
        assert!(outcome.is_ok() && !timed_out.load(Ordering::Relaxed));
        let mut wait = |stop: &AtomicBool| {
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            Err(Error::Stopped)
        };
        assert!(within(limit(1), &stop, &timed_out, &mut wait).is_err());
        assert!(timed_out.load(Ordering::Relaxed));
        // What the caller gave is as it was, and serves for another run.
        assert!(!stop.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
        assert!(within(limit(60_000), &stop, &timed_out, &mut wait).is_err());
        assert!(!timed_out.load(Ordering::Relaxed));
    }
}
