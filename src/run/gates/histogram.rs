//! Gate `histogram`: the population stability index of the ratings against the earlier run.

use super::entries::{Finding, NO_PREVIOUS, at_most};
use super::look::DataLook;
use crate::metric::stability_index;
use crate::training::values;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let limits = |value| at_most(value, look.config.warn_drift.get(), look.config.max_drift.get());
    let Some(previous) = look.previous else {
        return Some(Finding::nothing(NO_PREVIOUS, limits(0.0)));
    };
    let observed = stability_index(&previous.manifest.data.histogram, values(&look.data.parts));
    let message = match observed {
        Some(index) => format!("the population stability index of the ratings is {index:.3}"),
        None => "the earlier run has no histogram".to_owned(),
    };
    Some(Finding { observed, message, limits: limits(observed.unwrap_or(0.0)) })
}
