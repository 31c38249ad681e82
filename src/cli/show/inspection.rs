//! The summary of an inspection.

use super::text::{bytes, count, fit, number_of, printable, wrap};
use crate::metric::Bin;
use crate::serving::Inspection;

/// The contents of rating files and the cost of training, in lines of at most 80 columns.
#[must_use]
pub(crate) fn inspection(found: &Inspection) -> String {
    let mut lines = Vec::new();
    for input in &found.inputs {
        lines.push(fit(&input.uri, 80));
        lines.push(format!("  {}", fit(&input.layout, 78)));
        for column in &input.columns {
            let examples: Vec<String> =
                column.examples.iter().map(|cell| format!("\"{cell}\"")).collect();
            let line = format!(
                "  {:<8}{:<14}{}",
                column.role,
                fit(&column.name, 13),
                printable(&examples.join(" "))
            );
            lines.push(fit(line.trim_end(), 80));
        }
        if let Some((from, to)) = &input.time_range {
            lines.push(format!("  times {from} to {to}"));
        }
        let long = match input.long_rows {
            0 => String::new(),
            n => format!(", {} over several lines", count(n)),
        };
        lines.push(format!(
            "  {}, {} of them bad{long}",
            number_of(input.rows, "row"),
            count(input.bad_rows)
        ));
        for (reason, rows) in &input.bad_rows_by_reason {
            lines.push(fit(&format!("    {} {reason}", count(*rows)), 80));
        }
    }
    if let Some(first) = &found.first_bad_row {
        lines.push(fit(&format!("  first bad row: {first}"), 80));
    }
    if found.left_out > 0 {
        lines.push(format!(
            "  {} left out (weight 0, time, missing id, dropped rating)",
            number_of(found.left_out, "row")
        ));
    }
    for warning in &found.warnings {
        lines.push(String::new());
        let mut rest = wrap(warning, 71).into_iter();
        lines.extend(rest.next().map(|line| format!("warning: {line}")));
        lines.extend(rest.map(|line| format!("         {line}")));
    }
    lines.push(String::new());
    lines.push(format!("users       {} ({} ids)", count(found.users as u64), found.user_ids));
    lines.push(format!("items       {} ({} ids)", count(found.items as u64), found.item_ids));
    lines.push(format!(
        "ratings     {} ({:.4} % of all cells), {} merged",
        count(found.ratings as u64),
        found.density * 100.0,
        number_of(found.duplicates, "repeated row")
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
        "training {} at k={} on {}: about {:.2} s per iteration",
        cost.algorithm,
        cost.factors,
        number_of(cost.threads as u64, "thread"),
        cost.seconds_per_iteration
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
