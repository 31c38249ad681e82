//! Gate `new-users`: the share of the users that the latest run did not have.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::DataLook;
use crate::store::Severity;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let most = look.config.max_new_users.get();
    let limits = |share| vec![limit(Severity::Warn, most, share <= most)];
    let Some(previous) = look.previous else {
        return Some(Finding::nothing(NO_PREVIOUS, limits(0.0)));
    };
    let users = previous.new_rows(look.data).users;
    let (share, message) = (users.share(), format!("{} of {} users are new", users.new, users.all));
    Some(Finding { observed: Some(share), message, limits: limits(share) })
}
