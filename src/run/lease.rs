//! The lock of a directory of runs in an object store.
//!
//! The lock is an object that only one process can create and that its holder renews. Another
//! process takes the lock over if it was not renewed for half an hour, or if the process of the
//! holder is known to have ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::{Value, json};

use super::holder::describe;
use super::run_id::{precise_timestamp, timestamp};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::remote::{Put, Remote, Version};
use crate::system;

/// Name of the lock object.
pub(super) const LEASE: &str = "lock.json";
/// Time between renewals.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// Seconds without a renewal after which the lock can be taken over.
const STALE: i64 = 30 * 60;
/// Time limit for a renewal.
const WITHIN: Duration = Duration::from_secs(60);
/// Time limit for the release.
const LAST: Duration = Duration::from_secs(5);
/// Time between attempts to take a lock that another process holds.
const AGAIN: Duration = Duration::from_secs(2);

/// A lock that is held until the value is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    remote: Remote,
    held: Arc<Renewal>,
    done: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
}

/// The lock object as this process wrote it; shared with the thread that renews it.
#[derive(Debug)]
struct Renewal {
    content: Value,
    version: Mutex<Version>,
    lost: AtomicBool,
}

impl Renewal {
    /// Renews the lock. Returns false if the lock is lost.
    fn renew(&self, remote: &Remote, within: Duration) -> Result<bool> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.content.clone();
        content["renewed_at"] = precise_timestamp().into();
        let content = content.to_string();
        let replace = |version: &Version| {
            remote.put(LEASE, content.as_bytes(), Put::Replace(version.clone()), within)
        };
        let mut written = replace(&version)?;
        if written.is_none() {
            // If the answer to an earlier renewal was lost, the version differs but the holder does
            // not.
            let there = remote.get(LEASE, within)?;
            if let Some((_, own)) = there.filter(|(there, _)| self.is_own(there)) {
                written = replace(&own)?;
            }
        }
        let renewed = written.is_some();
        match written {
            Some(next) => *version = next,
            None => self.lost.store(true, Ordering::Relaxed),
        }
        Ok(renewed)
    }

    /// Whether the content of a lock object names this process as the holder.
    fn is_own(&self, there: &[u8]) -> bool {
        let there: Value = serde_json::from_slice(there).unwrap_or_default();
        let same = |key: &str| there[key] == self.content[key];
        ["run_id", "pid", "host", "processes", "started_at"].into_iter().all(same)
    }
}

impl Lease {
    /// Takes the lock. Waits for other processes up to `wait`. Before the first wait, calls `waits`
    /// with a description of the holder.
    pub(super) fn take(
        remote: &Remote,
        run_id: &str,
        wait: Duration,
        job: &Job<'_>,
        waits: &dyn Fn(&str),
    ) -> Result<Self> {
        let stop = job.stop;
        let content = json!({
            "run_id": run_id,
            "pid": std::process::id(),
            "host": system::host(),
            "started_at": timestamp(),
            "processes": system::processes(),
        });
        let text = content.to_string();
        let path = || remote.location().join(LEASE).to_string().into();
        let (since, mut warned) = (Instant::now(), false);
        let version = loop {
            job.check_stop()?;
            match remote.put(LEASE, text.as_bytes(), Put::Create, stop) {
                Ok(Some(version)) => break version,
                Ok(None) => {}
                Err(error) => {
                    // The object may have been written although no answer arrived.
                    if let Ok(Some((there, _))) = remote.get(LEASE, LAST)
                        && there == text.as_bytes()
                    {
                        let _ = remote.remove(&[LEASE.to_owned()], LAST);
                    }
                    return Err(error);
                }
            }
            let mut holder = "another run, which has just released it".to_owned();
            if let (Some((there, version)), Some(object)) =
                (remote.get(LEASE, stop)?, remote.head(LEASE, stop)?)
            {
                let there: Value = serde_json::from_slice(&there).unwrap_or_default();
                if !there["run_id"].is_string() {
                    let reason = "is not a lock of lacuna".to_owned();
                    return Err(Error::NotOurs { path: path(), reason });
                }
                // The real clock, as that of the store: `SOURCE_DATE_EPOCH` does not apply.
                let age = Utc::now().timestamp().saturating_sub(object.modified);
                if age > STALE || is_gone(&there) {
                    let taken = remote.put(LEASE, text.as_bytes(), Put::Replace(version), stop)?;
                    if let Some(version) = taken {
                        break version;
                    }
                }
                let since = crate::load::time::iso(object.modified);
                holder = describe(&there)
                    + &format!(", renewed at {since}; half an hour later it can be taken over");
            }
            if since.elapsed() >= wait {
                return Err(Error::Locked { path: path(), holder });
            }
            if !std::mem::replace(&mut warned, true) {
                waits(&holder);
            }
            std::thread::sleep(AGAIN.min(wait.saturating_sub(since.elapsed())));
        };
        let (version, lost) = (Mutex::new(version), AtomicBool::new(false));
        let held = Arc::new(Renewal { content, version, lost });
        let (done, wait) = mpsc::channel::<()>();
        let (of_thread, store) = (held.clone(), remote.clone());
        let renewing = std::thread::spawn(move || {
            while wait.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
                // A network failure may end before the lock is stale, so try again at the next
                // renewal.
                if matches!(of_thread.renew(&store, WITHIN), Ok(false)) {
                    return;
                }
            }
        });
        let (done, renewing) = (Some(done), Some(renewing));
        Ok(Self { remote: remote.clone(), held, done, renewing })
    }

    /// Checks that the lock is still held, before anything is published.
    pub(super) fn check(&self) -> Result<()> {
        if !self.held.lost.load(Ordering::Relaxed) && self.held.renew(&self.remote, WITHIN)? {
            return Ok(());
        }
        let path = self.remote.location().join(LEASE).to_string().into();
        let holder = "another run, which took the lock over, or was removed".to_owned();
        Err(Error::Locked { path, holder })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        // Remove only our own lock. If that fails, it can be taken over in half an hour.
        if matches!(self.held.renew(&self.remote, LAST), Ok(true)) {
            let _ = self.remote.remove(&[LEASE.to_owned()], LAST);
        }
    }
}

/// Whether the holder is a process of this machine that has ended.
fn is_gone(holder: &Value) -> bool {
    let here = system::processes();
    let there = holder["processes"].as_str();
    let pid = holder["pid"].as_u64();
    match (here, there, pid) {
        (Some(here), Some(there), Some(pid)) if here == there => !system::is_alive(pid),
        _ => false,
    }
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    use super::*;

    fn take(remote: &Remote, id: &str) -> Result<Lease> {
        let stop = AtomicBool::new(false);
        Lease::take(remote, id, Duration::ZERO, &Job::new(&stop, &|_| {}), &|_| {})
    }

    #[test]
    fn one_at_a_time_and_free_again() {
        let remote = Remote::open("memory://lease/one").expect("memory");
        let first = take(&remote, "first").expect("free");
        let message =
            take(&remote, "second").map(|_| ()).map_err(|e| (e.exit_code(), e.to_string()));
        let Err((11, message)) = message else { panic!("{message:?}") };
        assert!(
            message.contains("memory://lease/one/lock.json is held by run first (process "),
            "{message}"
        );
        first.check().expect("still held");
        drop(first);
        assert!(remote.head(LEASE, WITHIN).is_ok_and(|found| found.is_none()));
        assert!(take(&remote, "third").is_ok());
    }

    #[test]
    fn an_answer_that_was_lost_does_not_lose_the_lock() {
        let remote = Remote::open("memory://lease/answers").expect("memory");
        let lease = take(&remote, "one").expect("free");
        // The state after a renewal whose answer was lost.
        let content = lease.held.content.to_string();
        remote.put(LEASE, content.as_bytes(), Put::Always, WITHIN).expect("written");
        lease.check().expect("still held");
        lease.check().expect("by the version that was found");
    }

    #[test]
    fn what_a_dead_process_holds_is_taken_over_and_its_holder_knows() {
        let remote = Remote::open("memory://lease/dead").expect("memory");
        let first = take(&remote, "first").expect("free");
        // The state that a killed process leaves.
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let pid = child.id();
        child.wait().expect("ended");
        let dead = json!({
            "run_id": "dead",
            "pid": pid,
            "host": "here",
            "processes": system::processes(),
        });
        remote.put(LEASE, dead.to_string().as_bytes(), Put::Always, WITHIN).expect("written");
        let second = take(&remote, "second").expect("taken over");
        assert!(matches!(first.check(), Err(Error::Locked { .. })));
        drop(first);
        second.check().expect("the first did not remove what is not its own");
        // Whether a process of another machine has ended is unknown.
        let other = json!({ "run_id": "other", "pid": pid, "host": "there", "processes": "x" });
        remote.put(LEASE, other.to_string().as_bytes(), Put::Always, WITHIN).expect("written");
        assert!(matches!(take(&remote, "third"), Err(Error::Locked { .. })));
    }
}
