//! Describes rating files, and estimates the cost of training on them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::{Event, Job, with_threads};
use crate::load::prepare::{Duplicates, Preparation, Prepared, prepare};
use crate::load::{
    BadRows, ColumnReport, InputReport, LoadOptions, Range, TimeUse, load, time, value_warnings,
};
use crate::metric::{Bin, histogram};
use crate::pair::Pair;
use crate::param::{Rank, Threads};
use crate::ratings::Ratings;
use crate::settings::{AlgorithmName, LoadConfig, Plan, TrainConfig};
use crate::training::{Cost, Size, cost};

/// The settings of `lacuna inspect`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct InspectConfig {
    /// Rating files, in the same formats as for train.
    #[cfg_attr(feature = "cli", arg(value_name = "RATINGS", required = true))]
    pub input: Vec<String>,
    /// How the files are read. Bad rows are counted, whatever --bad-rows says.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
    /// Rank for which the training cost is estimated. By default, that of the algorithm
    /// in the estimate.
    #[cfg_attr(feature = "cli", arg(short = 'k', long, value_name = "K"))]
    pub factors: Option<Rank>,
    /// Number of threads; all cores by default.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
}

/// The contents of rating files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Path, layout, rows and bad rows of each input.
    pub inputs: Vec<InspectedInput>,
    /// Type of the user ids.
    pub user_ids: String,
    /// Type of the item ids.
    pub item_ids: String,
    /// Number of users with ratings.
    pub users: usize,
    /// Number of items with ratings.
    pub items: usize,
    /// Number of unique cells.
    pub ratings: usize,
    /// `ratings / (users · items)`.
    pub density: f64,
    /// Number of rows merged into another row as duplicates.
    pub duplicates: u64,
    /// What a person should look at before training.
    pub warnings: Vec<String>,
    /// Number of rows that cannot be used.
    pub bad_rows: u64,
    /// Number of rows left out because of their weight, time, missing id or rating.
    pub left_out: u64,
    /// Description of the first bad row.
    pub first_bad_row: Option<String>,
    /// Mean of the ratings.
    pub mean: f64,
    /// Standard deviation of the ratings.
    pub std: f64,
    /// Number of ratings per value, or per tenth of the range if there are many values.
    pub histogram: Vec<Bin>,
    /// Ratings per user: minimum, quartiles, 90th and 99th percentile, maximum.
    pub ratings_per_user: Vec<usize>,
    /// Ratings per item, in the same form.
    pub ratings_per_item: Vec<usize>,
    /// Earliest and latest time.
    pub time_range: Option<(String, String)>,
    /// Whether there is no rating column. Every row is then an event or a count, and train chooses
    /// ials.
    pub events: bool,
    /// Estimated cost of training.
    pub cost: Cost,
}

/// One input of an inspection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InspectedInput {
    /// Path or URL.
    pub uri: String,
    /// Recognised layout.
    pub layout: String,
    /// Number of rows.
    pub rows: u64,
    /// Number of rows that cannot be used.
    pub bad_rows: u64,
    /// Numbers of these rows by reason.
    pub bad_rows_by_reason: BTreeMap<String, u64>,
    /// Number of rows that extend over several lines, because a quoted cell contains line ends.
    pub long_rows: u64,
    /// The columns that are read, with up to three cells of each.
    pub columns: Vec<ColumnReport>,
    /// Smallest and largest rating.
    pub values: Option<Range>,
    /// Earliest and latest time.
    pub time_range: Option<(String, String)>,
}

impl InspectedInput {
    fn new(report: &InputReport) -> Self {
        let times = report.min_timestamp.zip(report.max_timestamp);
        Self {
            uri: report.uri.clone(),
            layout: report.layout.clone(),
            rows: report.rows,
            bad_rows: report.rows_rejected.values().sum(),
            bad_rows_by_reason: report.rows_rejected.clone(),
            long_rows: report.long_rows,
            columns: report.columns.clone(),
            values: report.values,
            time_range: times.map(|(from, to)| (time::iso(from), time::iso(to))),
        }
    }
}

/// Reported percentiles of the number of ratings per user and per item.
const PERCENTILES: [u32; 7] = [0, 25, 50, 75, 90, 99, 100];

/// Reads the files in the same way as a training, and describes them.
///
/// # Errors
/// The errors of reading. Bad rows are counted instead, up to a million.
pub fn inspect(config: &InspectConfig, job: &Job<'_>) -> Result<Inspection> {
    with_threads(config.threads, || {
        let mut options = config.load.options(TimeUse::IfPresent);
        options.bad_rows = BadRows::Quarantine;
        options.max_bad_rows = 1_000_000;
        let progress = |done, total| job.report(&Event::Reading(done, total));
        let found = load(&config.input, &[], &options, job.stop, &progress);
        let stdin = config.input.iter().any(|input| input == "-");
        let unsaid = config.load.rating_col.is_none() && !stdin;
        let (mut interactions, events) = match found {
            Err(Error::MissingColumn { role: "rating", .. }) if unsaid => {
                let options = LoadOptions { counts: true, ..options };
                (load(&config.input, &[], &options, job.stop, &progress)?, true)
            }
            found => (found?, false),
        };
        let times = interactions.chunks.iter().filter_map(|c| c.times.as_ref()).flatten().copied();
        let time_range = times.fold(None, |range: Option<(i64, i64)>, t| {
            Some(range.map_or((t, t), |(lo, hi)| (lo.min(t), hi.max(t))))
        });
        let reports = interactions.inputs.clone();
        let mut warnings = std::mem::take(&mut interactions.warnings);
        let left_out = interactions.zero_weight
            + interactions.outside_time
            + interactions.without_id
            + interactions.dropped_ratings;
        let bad_rows = interactions.rejects.len() as u64;
        let first_bad_row = interactions.rejects.first().map(ToString::to_string);
        let preparation = Preparation {
            duplicates: match events {
                true => config.load.duplicates.unwrap_or(Duplicates::Sum),
                false => config.load.duplicates(),
            },
            minimum: config.load.minimum(),
            ..Preparation::default()
        };
        let prepared = prepare(interactions, &preparation, job.stop)?;
        if !events {
            warnings.append(&mut value_warnings(&prepared, &reports));
        }
        let (users, items, ratings) =
            (prepared.users.len(), prepared.items.len(), prepared.cells.len());
        let (mut by_user, mut by_item) = (vec![0_usize; users], vec![0_usize; items]);
        let (mut sum, mut squares) = (0.0, 0.0);
        for cell in &prepared.cells {
            by_user[cell.user as usize] += 1;
            by_item[cell.item as usize] += 1;
            sum += f64::from(cell.value);
            squares += f64::from(cell.value).powi(2);
        }
        let mean = sum / ratings as f64;
        Ok(Inspection {
            inputs: reports.iter().map(InspectedInput::new).collect(),
            warnings,
            left_out,
            user_ids: prepared.users.kind().into(),
            item_ids: prepared.items.kind().into(),
            users,
            items,
            ratings,
            density: ratings as f64 / (users as f64 * items as f64),
            duplicates: prepared.duplicates,
            bad_rows,
            first_bad_row,
            mean,
            std: (squares / ratings as f64 - mean * mean).max(0.0).sqrt(),
            histogram: histogram(prepared.cells.iter().map(|c| c.value)),
            ratings_per_user: percentiles(by_user),
            ratings_per_item: percentiles(by_item),
            time_range: time_range.map(|(lo, hi)| (time::iso(lo), time::iso(hi))),
            events,
            cost: estimated(config, events, &prepared)?,
        })
    })
}

/// The cost of training with the settings that `train` chooses.
fn estimated(config: &InspectConfig, events: bool, prepared: &Prepared) -> Result<Cost> {
    let settings = TrainConfig {
        algorithm: events.then_some(AlgorithmName::Ials),
        factors: config.factors,
        load: config.load.clone(),
        ..TrainConfig::default()
    };
    let plan = Plan::new(&settings)?;
    let rows = Pair::new(prepared.users.len(), prepared.items.len());
    let ratings = Ratings::from_sorted(rows.users, rows.items, &prepared.cells);
    let mut fit = plan.fit.clone();
    fit.settle(&ratings);
    let holdout = ratings.len() / 10;
    Ok(cost(&plan.with_fit(fit), Size { rows, ratings: ratings.len(), holdout }))
}

fn percentiles(mut counts: Vec<usize>) -> Vec<usize> {
    counts.sort_unstable();
    let at = |p: u32| counts[(counts.len() - 1) * p as usize / 100];
    PERCENTILES.iter().map(|&p| at(p)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_run_from_least_to_most() {
        assert_eq!(percentiles((1..=101).rev().collect()), [1, 26, 51, 76, 91, 100, 101]);
        assert_eq!(percentiles(vec![7]), [7; 7]);
    }
}
