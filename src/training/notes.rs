//! Notes that a training takes while it runs: seconds per stage, and warnings.

use std::time::Instant;

use super::results::Durations;

/// Seconds per stage and warnings so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub seconds: Durations,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
}

impl Notes {
    /// Adds a warning, if there is one.
    pub(crate) fn warn(&mut self, warning: impl Into<Option<String>>) {
        self.warnings.extend(warning.into());
    }

    /// Runs `work` and adds its seconds to a stage.
    pub(crate) fn timed<T>(
        &mut self,
        stage: fn(&mut Durations) -> &mut f64,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let since = Instant::now();
        let outcome = work(self);
        *stage(&mut self.seconds) += since.elapsed().as_secs_f64();
        outcome
    }
}

/// The start of a training, by a monotonic clock and in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Began {
    pub instant: Instant,
    pub at: i64,
}
