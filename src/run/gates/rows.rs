//! Gate `rows`: the number of rows relative to that of the latest run.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::DataLook;
use crate::store::Severity;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let rows: u64 = look.data.inputs.of_ratings().iter().map(|report| report.rows).sum();
    let compared = look.previous.map(|previous| {
        let inputs = previous.manifest.inputs.iter().filter(|input| input.role == "ratings");
        (inputs.map(|input| input.rows).sum::<u64>(), &previous.entry.run_id)
    });
    let (observed, message) = match compared {
        None => (None, NO_PREVIOUS.to_owned()),
        Some((before, id)) => {
            let share = rows as f64 / before.max(1) as f64;
            let message = format!("{rows} rows are {share:.2} times the {before} rows of run {id}");
            (Some(share), message)
        }
    };
    let (min, max) = (look.config.min_rows.get(), look.config.max_rows.get());
    let value = observed.unwrap_or(1.0);
    let limits =
        vec![limit(Severity::Error, min, value >= min), limit(Severity::Error, max, value <= max)];
    Some(Finding { observed, message, limits })
}
