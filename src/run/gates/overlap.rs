//! Gate `overlap`: the share of an item's ten nearest items that stayed the same.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::ModelLook;
use crate::store::Severity;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    let observed = look.alignment.and_then(|alignment| alignment.overlap_at_10);
    let none = look.no_comparison.unwrap_or(NO_PREVIOUS);
    let message = observed.map_or(none.to_owned(), |overlap| {
        format!("{:.0} % of the ten nearest items stayed the same", overlap * 100.0)
    });
    let least = look.config.min_overlap.get();
    let limits = vec![limit(Severity::Warn, least, observed.unwrap_or(1.0) >= least)];
    Some(Finding { observed, message, limits })
}
