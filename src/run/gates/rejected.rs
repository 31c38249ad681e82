//! Gate `rejected`: the share of the rows that are set aside.

use super::entries::{Finding, limit};
use super::look::DataLook;
use crate::store::Severity;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let reports = look.data.inputs.of_ratings();
    let rows: u64 = reports.iter().map(|report| report.rows).sum();
    let rejected: u64 = reports.iter().flat_map(|r| r.rows_rejected.values()).sum();
    let (share, most) = (rejected as f64 / rows.max(1) as f64, look.config.max_rejected.get());
    let message = format!("{rejected} of {rows} rows are set aside");
    let limits = vec![limit(Severity::Error, most, share <= most)];
    Some(Finding { observed: Some(share), message, limits })
}
