//! One run at a time in a directory. The kernel gives the lock back when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::directory::LOCK;
use super::lease::Lease;
use crate::error::{Error, Result};
use crate::remote::Remote;

/// How often a lock that others hold is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// The lock, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    lease: Option<Lease>,
}

impl Lock {
    /// Takes the lock of a directory, and of the object store whose runs it works at, waiting for others up to
    /// `wait` each. `waits` is told whom.
    pub(super) fn take(
        (root, remote): (&Path, Option<&Remote>),
        run_id: &str,
        wait: Duration,
        (stop, waits): (&AtomicBool, &dyn Fn(&str)),
    ) -> Result<Self> {
        // The file stays, for removing it would let two runs in.
        let path = root.join(LOCK);
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        let (since, mut told) = (Instant::now(), false);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => {
                    return Err(Error::Stopped);
                }
                Err(TryLockError::WouldBlock) if since.elapsed() < wait => {
                    if !std::mem::replace(&mut told, true) {
                        waits(&holder(&mut file));
                    }
                    std::thread::sleep(AGAIN.min(wait.saturating_sub(since.elapsed())));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { path, holder: holder(&mut file) });
                }
            }
        }
        let holder = json!({
            "pid": std::process::id(),
            "host": crate::system::host(),
            "run_id": run_id,
            "started_at": super::timestamp(),
        });
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.to_string().as_bytes()));
        written.map_err(failed)?;
        let lease = remote.map(|remote| Lease::take(remote, run_id, wait, (stop, waits)));
        Ok(Self { _file: file, lease: lease.transpose()? })
    }

    /// Whether it is still held, where it is one that others may take over.
    pub(super) fn check(&self) -> Result<()> {
        self.lease.as_ref().map_or(Ok(()), Lease::check)
    }
}

/// Who holds the lock by the file, as far as it can be read.
fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
    describe(&serde_json::from_str(&holder).unwrap_or_default())
}

/// Who holds a lock, in words.
pub(super) fn describe(value: &serde_json::Value) -> String {
    let text = |key: &str| value.get(key).map(|v| v.to_string().trim_matches('"').to_owned());
    match (text("run_id"), text("pid"), text("host"), text("started_at")) {
        (Some(run), Some(pid), Some(host), Some(since)) => {
            format!("run {run} (process {pid} on {host}, since {since})")
        }
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_free_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let stop = AtomicBool::new(false);
        let take = |id: &str, wait| Lock::take((dir.path(), None), id, wait, (&stop, &|_| {}));
        let first = take("first", Duration::ZERO).expect("free");
        let second = take("second", Duration::from_millis(300));
        let message = second.map(|_| ()).map_err(|e| (e.exit_code(), e.to_string()));
        let Err((11, message)) = message else { panic!("{message:?}") };
        assert!(message.contains("run first (process "), "{message}");
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(take("third", Duration::from_secs(60)), Err(Error::Stopped)));
        drop(first);
        assert!(take("fourth", Duration::ZERO).is_ok());
    }
}
