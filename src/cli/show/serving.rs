//! The summaries of an export, a fold-in, an update and a verification.

use super::text::{bytes, count, number_of};
use crate::serving::{Exported, FoldedIn, Updated, Verified};

/// The files of an export.
#[must_use]
pub(crate) fn exported(outcome: &Exported, size: u64) -> String {
    let flavor = &outcome.flavor;
    let mut text = format!(
        "exported   {} {}, layout {}, vectors of {} numbers, {}\n",
        flavor.format,
        flavor.dtype,
        flavor.layout.name(),
        flavor.width,
        bytes(size)
    );
    for file in &outcome.outputs {
        // The path within the directory of the export.
        let name = file.path.strip_prefix("exports/").and_then(|path| path.split_once('/'));
        let name = name.map_or(file.path.as_str(), |(_, name)| name);
        let rows =
            if file.rows > 0 { format!("{} rows", count(file.rows as u64)) } else { String::new() };
        text += format!("  {name:<32}{rows:>18}{:>10}\n", bytes(file.bytes)).as_str();
    }
    text + &format!("wrote      {}\n", outcome.output.display())
}

/// The summary of a verification without damaged files.
#[must_use]
pub(crate) fn verified(outcome: &Verified) -> String {
    let files = count(outcome.files as u64);
    format!(
        "verified   {files} files, {}, version {}\n",
        bytes(outcome.bytes),
        outcome.model_version
    )
}

/// The numbers of rows added and replaced by a fold-in, and its durations.
#[must_use]
pub(crate) fn folded_in(outcome: &FoldedIn) -> String {
    let side = outcome.side.name();
    let seconds = outcome.durations_s;
    let left_out = match outcome.left_out {
        0 => String::new(),
        n => format!(", {} left out", count(n as u64)),
    };
    format!(
        "folded in  {} from {}: {} new, {} replaced{left_out}\n\
         read       model {:.2} s, ratings {:.2} s; solve {:.2} s; write {:.2} s\n\
         wrote      {} (version {})\n",
        number_of((outcome.added + outcome.replaced) as u64, side),
        number_of(outcome.ratings as u64, "rating"),
        count(outcome.added as u64),
        count(outcome.replaced as u64),
        seconds.load,
        seconds.parse,
        seconds.solve,
        seconds.write,
        outcome.output.display(),
        outcome.model_version
    )
}

/// The numbers of rows solved by an update, and the share of ratings changed since the training.
#[must_use]
pub(crate) fn updated(outcome: &Updated) -> String {
    let number = |n: usize| count(n as u64);
    let seconds = |stage: &str| outcome.durations_s.get(stage).copied().unwrap_or_default();
    let held_out = match outcome.held_out {
        0 => String::new(),
        n => format!("; {} stay held out", number(n)),
    };
    format!(
        "updated    {} users ({} new) and {} items ({} new)\n\
         ratings    {} changed{held_out}; {:.2} % changed since the training\n\
         read       {:.2} s; solve {:.2} s; write {:.2} s\n\
         wrote      {} (version {})\n",
        number(outcome.users),
        number(outcome.new_users),
        number(outcome.items),
        number(outcome.new_items),
        number(outcome.changed_ratings),
        outcome.changed_share * 100.0,
        seconds("parse"),
        seconds("solve"),
        seconds("write"),
        outcome.output.display(),
        outcome.model_version
    )
}
