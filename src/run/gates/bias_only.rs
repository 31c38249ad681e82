//! Gate `bias-only`: RMSE relative to that of biases alone.

use super::entries::{Finding, limit};
use super::look::ModelLook;
use crate::store::Severity;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    if !look.rates {
        return None;
    }
    let metrics = look.metrics;
    let gain = match (metrics.errors.holdout.rmse(), metrics.baselines.bias_only.rmse()) {
        (Some(own), Some(simple)) if simple > 0.0 => Some((1.0 - own / simple, own, simple)),
        _ => None,
    };
    let message = match gain {
        Some((gain, own, simple)) => format!(
            "RMSE {own:.4} is {:.2} % {} the {simple:.4} of biases alone",
            gain.abs() * 100.0,
            if gain >= 0.0 { "below" } else { "above" }
        ),
        None => "there is no holdout".to_owned(),
    };
    let (observed, least) = (gain.map(|(gain, ..)| gain), look.config.min_gain.get());
    let found = observed.unwrap_or(1.0);
    let limits = vec![
        limit(Severity::Error, 0.0, found >= 0.0),
        limit(Severity::Warn, least, found >= least),
    ];
    Some(Finding { observed, message, limits })
}
