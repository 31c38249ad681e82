//! Gate `collapsed`: vectors of a preference model that have vanished.

use super::entries::{Finding, limit};
use super::look::ModelLook;
use crate::model::Model;
use crate::store::Severity;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    if look.rates {
        return None;
    }
    let (users, items) = look.model.median_norms();
    let product = users * items;
    let message =
        format!("the median norms of user and item vectors are {users:.1e} and {items:.1e}");
    let least = Model::COLLAPSED;
    let limits = vec![limit(Severity::Error, least, product >= least)];
    Some(Finding { observed: Some(product), message, limits })
}
