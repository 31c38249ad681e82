//! Blocking waits for asynchronous work, as long as the caller allows.

use std::io::{self, ErrorKind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::Error as Failure;
use tokio::runtime::{Builder, Runtime};

use super::Wait;
use crate::error::{Error, Result};

/// The time between two checks for a requested stop.
const LOOK: Duration = Duration::from_millis(50);

/// The asynchronous runtime, one for the whole program.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build());

/// Why a wait ended without a result.
pub(super) enum Ended {
    Failure(Failure),
    Io(io::Error),
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn runtime() -> Result<&'static Runtime> {
    RUNTIME.as_ref().map_err(|e| Error::Internal(format!("no threads for the network: {e}")))
}

/// Waits for the result of `work`, as long as `wait` allows.
pub(super) fn wait_for<T>(
    wait: Wait<'_>,
    work: impl Future<Output = Result<T, Ended>>,
) -> Result<T, Ended> {
    let runtime = RUNTIME.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
    let enough = async {
        match wait {
            Wait::Until(stop) => {
                asked(stop).await;
                Ended::Stopped
            }
            Wait::For(span) => {
                tokio::time::sleep(span).await;
                let message = format!("no answer for {} s", span.as_secs());
                Ended::Io(io::Error::new(ErrorKind::TimedOut, message))
            }
        }
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            ended = enough => Err(ended),
        }
    })
}

/// Waits until a stop is requested.
pub(super) async fn asked(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}
