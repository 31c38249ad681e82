//! The summary of an inspection.

use super::text::{bytes, count, fit};
use crate::metric::Bin;
use crate::serving::Inspection;

/// The contents of rating files and the cost of training, in lines of at most 80 columns.
#[must_use]
pub(crate) fn inspection(found: &Inspection) -> String {
    let mut lines = Vec::new();
    for input in &found.inputs {
        lines.push(fit(&input.uri, 80));
        lines.push(format!("  {}", fit(&input.layout, 78)));
        lines.push(format!("  {} rows, {} of them bad", count(input.rows), count(input.bad_rows)));
    }
    if let Some(first) = &found.first_bad_row {
        lines.push(fit(&format!("  first bad row: {first}"), 80));
    }
    lines.push(String::new());
    lines.push(format!("users       {} ({} ids)", count(found.users as u64), found.user_ids));
    lines.push(format!("items       {} ({} ids)", count(found.items as u64), found.item_ids));
    lines.push(format!(
        "ratings     {} ({:.4} % of all cells), {} duplicate rows merged",
        count(found.ratings as u64),
        found.density * 100.0,
        count(found.duplicates)
    ));
    if let Some((from, to)) = &found.time_range {
        lines.push(format!("time        {from} to {to}"));
    }
    if found.events {
        lines.push("no ratings: every row is an event or a count, and train uses ials".to_owned());
    }
    lines.push(format!("values      mean {:.4}, standard deviation {:.4}", found.mean, found.std));
    lines.push(String::new());
    lines.extend(histogram(&found.histogram));
    lines.push(String::new());
    lines.push("ratings per     min     25%     50%     75%     90%     99%       max".into());
    for (name, quantiles) in [("user", &found.ratings_per_user), ("item", &found.ratings_per_item)]
    {
        let mut line = format!("  {name:<9}");
        for (at, &value) in quantiles.iter().enumerate() {
            let width = if at + 1 == quantiles.len() { 10 } else { 8 };
            line += &format!("{:>width$}", count(value as u64));
        }
        lines.push(line);
    }
    lines.push(String::new());
    let cost = &found.cost;
    lines.push(format!(
        "training at k={} on {} threads: about {:.2} s per iteration",
        cost.factors, cost.threads, cost.seconds_per_iteration
    ));
    lines.push(format!(
        "memory: about {} while reading, {} while training",
        bytes(cost.load_bytes),
        bytes(cost.train_bytes)
    ));
    lines.join("\n") + "\n"
}

fn histogram(bins: &[Bin]) -> Vec<String> {
    let most = bins.iter().map(|b| b.count).max().unwrap_or(1).max(1);
    let total: u64 = bins.iter().map(|b| b.count).sum();
    bins.iter()
        .map(|bin| {
            let name = if bin.from == bin.to {
                format!("{}", bin.from)
            } else {
                format!("{:.3} to {:.3}", bin.from, bin.to)
            };
            // Rounding up keeps every value that occurs visible.
            let bar = "█".repeat((bin.count * 30).div_ceil(most) as usize);
            let share = bin.count as f64 / total as f64 * 100.0;
            format!("  {:<18}{:>13} {share:>5.1} % {bar}", fit(&name, 18), count(bin.count))
        })
        .collect()
}
