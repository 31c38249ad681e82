//! Carries out one run, with its id, its log, its time limit and its report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::config::RunConfig;
use super::log::{Level, Log, Sink};
use super::mode::Mode;
use super::night::Night;
use super::prometheus;
use super::report::{RunReport, RunResult};
use super::run_id::new_id;
use super::trigger::trigger;
use super::units::Span;
use crate::error::{Error, Result};
use crate::job::{Event, Job, with_threads};
use crate::system::{self, now, peak_memory};
use crate::training::Began;

/// The outcome of a run.
#[derive(Debug)]
pub struct Ended {
    /// The report of the run.
    pub report: RunReport,
    /// Why the run failed, if it did.
    pub error: Option<Error>,
}

/// Carries out one run.
///
/// The observer of the job receives the events of the training, to show progress. `sink` receives
/// every line of the log. `exit_code` returns the exit code of the program for an error.
pub fn run(
    config: &RunConfig,
    mode: Mode,
    job: &Job<'_>,
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
        let plan = config.train.plan()?;
        let timed_out = AtomicBool::new(false);
        let outcome = within(config.time_limit, job.stop, &timed_out, &mut |stop| {
            with_threads(config.train.threads, || {
                let both = |event: &Event| {
                    job.report(event);
                    log.training(event);
                };
                let resolved = RunConfig { train: plan.record.clone(), ..config.clone() };
                let mut night = Night {
                    config: &resolved,
                    plan: plan.clone(),
                    log: &log,
                    job: Job { stop, observer: &both, kernels: job.kernels },
                    report: &mut report,
                    run_id: run_id.clone(),
                    trigger: trigger.clone(),
                    began: Began { instant: started, at: started_at.timestamp() },
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
                        "after iteration {iteration}; its checkpoint is kept: run again to resume"
                    ),
                    _ => format!("during {}; no checkpoint is kept", log.current_phase()),
                };
                let limit = config.time_limit.map(|span| span.to_string()).unwrap_or_default();
                Err(Error::TimeLimit { limit, at })
            }
            other => other,
        }
    });
    let error = outcome.err();
    let code = error.as_ref().map_or(0, exit_code);
    report.durations_s.insert("total".into(), started.elapsed().as_secs_f64());
    report.peak_rss_bytes = peak_memory();
    report.finish(error.as_ref(), code, mode);
    if report.result == RunResult::Noop && mode == Mode::Run {
        report.exit_code = config.noop_exit_code;
    }
    match &error {
        Some(error) => {
            let numbers = json!({ "exit_code": report.exit_code });
            log.event(Level::Error, "exit_error", &error.chain(), numbers);
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
        log.warn(&format!("the metrics file was not written: {}", error.chain()));
    }
    Ended { report, error }
}

/// Time between checks of the caller's stop flag while there is a time limit.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// Does the work and stops it when the time is up or the caller's `stop` is set. `stop` is only
/// read, never set.
fn within(
    limit: Option<Span>,
    stop: &AtomicBool,
    timed_out: &AtomicBool,
    work: &mut (dyn FnMut(&AtomicBool) -> Result<()> + Send),
) -> Result<()> {
    let Some(Span(limit)) = limit else { return work(stop) };
    let (done, wait) = mpsc::channel::<()>();
    let own = AtomicBool::new(false);
    let since = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Move the receiver into this thread, so that the channel closes when the thread ends.
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

#[cfg(test)]
mod tests {
    use super::*;

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
        // The caller's flag is unchanged and can be used for another run.
        assert!(!stop.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
        assert!(within(limit(60_000), &stop, &timed_out, &mut wait).is_err());
        assert!(!timed_out.load(Ordering::Relaxed));
    }
}
