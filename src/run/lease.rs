//! The lock of a directory of runs in an object store: an object that only one can create, whose holder
//! renews it. One that was not renewed for half an hour, or whose process is known to be gone, is taken over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::pipeline::now;
use crate::remote::{Put, Remote, Version};

/// Name of the object.
const LEASE: &str = "lock.json";
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// After how many seconds without renewal its holder is taken for gone.
const STALE: i64 = 30 * 60;
/// How often one that others hold is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The lock, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    remote: Remote,
    held: Arc<Held>,
    done: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    content: Value,
    version: Mutex<Version>,
    lost: AtomicBool,
}

impl Held {
    /// Renews it; false if somebody else has it.
    fn renew(&self, remote: &Remote) -> Result<bool> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.content.clone();
        content["renewed_at"] = super::timestamp().into();
        let written =
            remote.put(LEASE, content.to_string().as_bytes(), Put::Replace(version.clone()));
        Ok(match written? {
            Some(next) => {
                *version = next;
                true
            }
            None => {
                self.lost.store(true, Ordering::Relaxed);
                false
            }
        })
    }
}

impl Lease {
    /// Takes the lock, waiting for others up to `wait`; `waits` is told whom.
    pub(super) fn take(
        remote: &Remote,
        run_id: &str,
        wait: Duration,
        (stop, waits): (&AtomicBool, &dyn Fn(&str)),
    ) -> Result<Self> {
        let content = json!({
            "run_id": run_id,
            "pid": std::process::id(),
            "host": super::host(),
            "started_at": super::timestamp(),
            "processes": processes(),
        });
        let text = content.to_string();
        let (since, mut told) = (Instant::now(), false);
        let version = loop {
            if let Some(version) = remote.put(LEASE, text.as_bytes(), Put::Create)? {
                break version;
            }
            let Some((holder, version)) = remote.get(LEASE)? else { continue };
            let Some(object) = remote.head(LEASE)? else { continue };
            let holder: Value = serde_json::from_slice(&holder).unwrap_or_default();
            if now().saturating_sub(object.modified) > STALE || is_gone(&holder) {
                match remote.put(LEASE, text.as_bytes(), Put::Replace(version))? {
                    Some(version) => break version,
                    // Another one was faster.
                    None => continue,
                }
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let holder = super::lock::describe(&holder);
            if since.elapsed() >= wait {
                let path = remote.location().join(LEASE).to_string().into();
                return Err(Error::Locked { path, holder });
            }
            if !std::mem::replace(&mut told, true) {
                waits(&holder);
            }
            std::thread::sleep(AGAIN.min(wait.saturating_sub(since.elapsed())));
        };
        let (version, lost) = (Mutex::new(version), AtomicBool::new(false));
        let held = Arc::new(Held { content, version, lost });
        let (done, wait) = mpsc::channel::<()>();
        let (of_thread, store) = (held.clone(), remote.clone());
        let renewing = std::thread::spawn(move || {
            while wait.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
                // A failure of the network may pass before the lock is stale.
                if matches!(of_thread.renew(&store), Ok(false)) {
                    return;
                }
            }
        });
        let (done, renewing) = (Some(done), Some(renewing));
        Ok(Self { remote: remote.clone(), held, done, renewing })
    }

    /// Whether it is still held: asked before something is published.
    pub(super) fn check(&self) -> Result<()> {
        if !self.held.lost.load(Ordering::Relaxed) && self.held.renew(&self.remote)? {
            return Ok(());
        }
        let path = self.remote.location().join(LEASE).to_string().into();
        let holder = "another run, which took this one for gone".to_owned();
        Err(Error::Locked { path, holder })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        // Only ours is removed; one that cannot be is stale in half an hour.
        if matches!(self.held.renew(&self.remote), Ok(true)) {
            let _ = self.remote.remove(&[LEASE.to_owned()]);
        }
    }
}

/// What tells processes with the same number apart: the start of the machine and the space of its processes.
fn processes() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// Whether the holder was a process of this machine that is not there any more.
fn is_gone(holder: &Value) -> bool {
    let here = processes();
    let there = holder["processes"].as_str();
    let pid = holder["pid"].as_u64();
    match (here, there, pid) {
        (Some(here), Some(there), Some(pid)) if here == there => {
            !std::path::Path::new("/proc").join(pid.to_string()).exists()
        }
        _ => false,
    }
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    use super::*;

    fn take(remote: &Remote, id: &str) -> Result<Lease> {
        Lease::take(remote, id, Duration::ZERO, (&AtomicBool::new(false), &|_| {}))
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
        assert!(remote.head(LEASE).is_ok_and(|found| found.is_none()));
        assert!(take(&remote, "third").is_ok());
    }

    #[test]
    fn what_a_dead_process_holds_is_taken_over_and_its_holder_knows() {
        let remote = Remote::open("memory://lease/dead").expect("memory");
        let first = take(&remote, "first").expect("free");
        // As a process would have left it that was killed.
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let pid = child.id();
        child.wait().expect("ended");
        let dead =
            json!({ "run_id": "dead", "pid": pid, "host": "here", "processes": processes() });
        remote.put(LEASE, dead.to_string().as_bytes(), Put::Always).expect("written");
        let second = take(&remote, "second").expect("taken over");
        assert!(matches!(first.check(), Err(Error::Locked { .. })));
        drop(first);
        second.check().expect("the first did not remove what is not its own");
        // Of another machine it is not known whether its process is there.
        let other = json!({ "run_id": "other", "pid": pid, "host": "there", "processes": "x" });
        remote.put(LEASE, other.to_string().as_bytes(), Put::Always).expect("written");
        assert!(matches!(take(&remote, "third"), Err(Error::Locked { .. })));
    }
}
