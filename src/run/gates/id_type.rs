//! Gate `id-type`: whether the ids have the types that they had in the latest run. Programs that
//! look up vectors by integer ids fail if the ids become text.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::DataLook;
use crate::ids::Ids;
use crate::pair::{Axis, Pair};
use crate::store::Severity;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let limits = |changed| vec![limit(Severity::Error, 0.0, changed == 0.0)];
    let Some(previous) = look.previous else {
        return Some(Finding::nothing(NO_PREVIOUS, limits(0.0)));
    };
    let data = &previous.manifest.data;
    let then = Pair::new(data.user_ids.as_str(), data.item_ids.as_str());
    let now = (*look.data.ids).as_ref().map(Ids::kind);
    let changed: Vec<String> = Axis::BOTH
        .into_iter()
        .filter(|axis| now.of(*axis) != then.of(*axis))
        .map(|axis| {
            format!("the {} ids are {} and were {}", axis.name(), now.of(axis), then.of(axis))
        })
        .collect();
    let number = changed.len() as f64;
    let message = match changed.is_empty() {
        true => "the ids have the same types".to_owned(),
        false => changed.join(", "),
    };
    Some(Finding { observed: Some(number), message, limits: limits(number) })
}
