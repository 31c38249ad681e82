//! Gate `new-items`: the share of the items that the latest run did not have.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::DataLook;
use crate::store::Severity;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let most = look.config.max_new_items.get();
    let limits = |share| vec![limit(Severity::Warn, most, share <= most)];
    let Some(previous) = look.previous else {
        return Some(Finding::nothing(NO_PREVIOUS, limits(0.0)));
    };
    let items = previous.new_rows(look.data).items;
    let (share, message) = (items.share(), format!("{} of {} items are new", items.new, items.all));
    Some(Finding { observed: Some(share), message, limits: limits(share) })
}
