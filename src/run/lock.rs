//! Lets only one run at a time work in a directory. The kernel releases the lock when the process
//! ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::holder;
use super::lease::Lease;
use super::places::LOCK;
use super::run_id::timestamp;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::remote::Remote;

/// Time between attempts to take a lock that another process holds.
const AGAIN: Duration = Duration::from_millis(200);

/// A lock that is held until the value is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    lease: Option<Lease>,
}

impl Lock {
    /// Takes the lock of a directory, and of the object store if it is a work directory for one.
    ///
    /// The call waits up to `wait` for each of the two locks. Before the first wait, it calls
    /// `waits` with a description of the holder.
    pub(super) fn take(
        root: &Path,
        remote: Option<&Remote>,
        run_id: &str,
        wait: Duration,
        job: &Job<'_>,
        waits: &dyn Fn(&str),
    ) -> Result<Self> {
        // The file is never removed: removing it would let in two runs.
        let path = root.join(LOCK);
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        let (since, mut warned) = (Instant::now(), false);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if job.is_stopped() => {
                    return Err(Error::Stopped);
                }
                Err(TryLockError::WouldBlock) if since.elapsed() < wait => {
                    if !std::mem::replace(&mut warned, true) {
                        waits(&holder::of_file(&mut file));
                    }
                    std::thread::sleep(AGAIN.min(wait.saturating_sub(since.elapsed())));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { path, holder: holder::of_file(&mut file) });
                }
            }
        }
        let holder = json!({
            "pid": std::process::id(),
            "host": crate::system::host(),
            "run_id": run_id,
            "started_at": timestamp(),
        });
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.to_string().as_bytes()));
        written.map_err(failed)?;
        let lease = remote.map(|remote| Lease::take(remote, run_id, wait, job, waits));
        Ok(Self { _file: file, lease: lease.transpose()? })
    }

    /// Checks that the lock of the object store, which another run can take over, is still held.
    pub(super) fn check(&self) -> Result<()> {
        self.lease.as_ref().map_or(Ok(()), Lease::check)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_and_free_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let stop = AtomicBool::new(false);
        let job = Job::new(&stop, &|_| {});
        let take = |id: &str, wait| Lock::take(dir.path(), None, id, wait, &job, &|_| {});
        let first = take("first", Duration::ZERO).expect("free");
        let second = take("second", Duration::from_millis(1));
        let message = second.map(|_| ()).map_err(|e| (e.exit_code(), e.to_string()));
        let Err((11, message)) = message else { panic!("{message:?}") };
        assert!(message.contains("run first (process "), "{message}");
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(take("third", Duration::from_secs(60)), Err(Error::Stopped)));
        drop(first);
        assert!(take("fourth", Duration::ZERO).is_ok());
    }
}
