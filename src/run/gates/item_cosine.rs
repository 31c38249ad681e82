//! Gate `item-cosine`: the median cosine of the aligned item vectors to those of the latest run.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::ModelLook;
use crate::store::Severity;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    let aligns = look.config.aligns();
    let aligned = look.alignment.filter(|_| aligns);
    let observed = aligned.and_then(|alignment| alignment.median_cosine_after);
    let none = match aligns {
        true => look.no_comparison.unwrap_or(NO_PREVIOUS),
        false => "vectors are not aligned",
    };
    let message = observed.map_or(none.to_owned(), |cosine| {
        format!("the median cosine of the item vectors to those of the earlier run is {cosine:.3}")
    });
    let least = look.config.min_cosine.get();
    let limits = vec![limit(Severity::Warn, least, observed.unwrap_or(1.0) >= least)];
    Some(Finding { observed, message, limits })
}
