//! Other people's decoders, which may panic on bytes that mean them harm.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::{PolarsResult, polars_err};

/// Decodings at work; a panic meanwhile becomes an error and need not be printed.
static DECODING: AtomicUsize = AtomicUsize::new(0);

/// Whether a decoder is at work whose panics are turned into errors: for panic hooks.
#[must_use]
pub fn is_decoding() -> bool {
    DECODING.load(Ordering::Relaxed) > 0
}

/// Lets Polars decode; a panic of its Parquet reader, which trusts its input, is an error.
///
/// # Errors
/// Those of the decoder.
pub(crate) fn decode<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    DECODING.fetch_add(1, Ordering::Relaxed);
    // What the decoder was building is dropped with the panic.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DECODING.fetch_sub(1, Ordering::Relaxed);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(polars_err!(ComputeError: "its bytes make no sense ({})", text))
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
