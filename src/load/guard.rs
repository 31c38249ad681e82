//! A guard around third-party decoders, which may panic on malicious bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::{PolarsResult, polars_err};

/// Number of running decoders. Their panics become errors and need not be printed.
static DECODING: AtomicUsize = AtomicUsize::new(0);

/// Whether a decoder is running whose panics become errors. Panic hooks ask this.
#[must_use]
pub fn is_decoding() -> bool {
    DECODING.load(Ordering::Relaxed) > 0
}

/// Runs a decoder of Polars and turns its panics into errors.
///
/// Polars' Parquet reader trusts its input and may panic on malformed files.
///
/// # Errors
/// Those of the decoder; `ComputeError` for a panic.
pub(crate) fn decode<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    DECODING.fetch_add(1, Ordering::Relaxed);
    // Unwinding drops the partial result of the decoder, so no broken state remains.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DECODING.fetch_sub(1, Ordering::Relaxed);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(polars_err!(ComputeError: "its content cannot be decoded ({})", text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let outcome: PolarsResult<()> = decode(|| panic!("a field is {}", "missing"));
        let message = outcome.map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.contains("a field is missing")));
        assert_eq!(decode(|| Ok(1)).ok(), Some(1));
        assert!(!is_decoding());
    }
}
