//! Finds out what started a run.

use crate::store::Trigger;

/// What started this run, according to environment variables.
pub(super) fn trigger() -> Trigger {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (scheduler, external_run_id) = if let Some(id) = variable("AIRFLOW_CTX_DAG_RUN_ID") {
        (Some("airflow"), Some(id))
    } else if let Some(id) = variable("KUBERNETES_SERVICE_HOST").and_then(|_| variable("HOSTNAME"))
    {
        (Some("kubernetes"), Some(id))
    } else if let Some(id) = variable("INVOCATION_ID") {
        (Some("systemd"), Some(id))
    } else {
        (None, None)
    };
    let traceparent = variable("TRACEPARENT").filter(|text| is_traceparent(text));
    Trigger { scheduler: scheduler.map(str::to_owned), external_run_id, traceparent }
}

/// Whether a text is a trace context: `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, section
/// 3.2).
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths.starts_with(&[2, 32, 16, 2]) && parts.iter().all(|part| hex(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_recognised() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in ["", "00-xyz", &good.to_uppercase(), &good[..50], "a-b-c-d"] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
