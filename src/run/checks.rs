//! The gates of the ratings, before the training, and of the model, after it.

use super::RunConfig;
use super::gates::{GateName, Gates, Limit};
use super::previous::Previous;
use super::units::Span;
use crate::ids::Ids;
use crate::metric::stability_index;
use crate::model::Model;
use crate::pipeline::{Dataset, Metrics, RankingMetrics, values};
use crate::store::{Alignment, Severity};

/// Seconds.
const DAY: f64 = 86_400.0;

/// Ranking metrics may be this many times more worse than RMSE.
const RANKING: f64 = 5.0;

/// A ranking may be worse than popularity's by this share: where there is nothing to personalise, both are
/// about the same.
const POPULARITY: f64 = 0.05;

const NO_PREVIOUS: &str = "there is no earlier run to compare with";

fn limit(severity: Severity, threshold: f64, holds: bool) -> Limit {
    Limit { severity, threshold, holds }
}

/// Two limits of one number that should be small.
fn small(value: f64, (warn, error): (f64, f64)) -> [Limit; 2] {
    [limit(Severity::Error, error, value <= error), limit(Severity::Warn, warn, value <= warn)]
}

/// What must hold of the ratings.
pub(super) fn data(
    gates: &mut Gates<'_>,
    config: &RunConfig,
    data: &Dataset,
    previous: Option<&Previous>,
    now: i64,
) {
    freshness(gates, config, data, now);
    let reports = &data.inputs.reports[..data.inputs.reports.len() - data.inputs.n_test];
    let rows: u64 = reports.iter().map(|report| report.rows).sum();
    let rejected: u64 = reports.iter().flat_map(|r| r.rows_rejected.values()).sum();
    let compared = previous.map(|previous| {
        let inputs = previous.manifest.inputs.iter().filter(|input| input.role == "ratings");
        (inputs.map(|input| input.rows).sum::<u64>(), &previous.entry.run_id)
    });
    let (min, max) = (config.min_rows.get(), config.max_rows.get());
    let (share, message) = match compared {
        None => (None, NO_PREVIOUS.to_owned()),
        Some((before, id)) => {
            let share = rows as f64 / before.max(1) as f64;
            let message = format!("{rows} rows are {share:.2} times the {before} of run {id}");
            (Some(share), message)
        }
    };
    let value = share.unwrap_or(1.0);
    let limits =
        [limit(Severity::Error, min, value >= min), limit(Severity::Error, max, value <= max)];
    gates.check(GateName::Rows, share, &message, &limits);

    let (share, most) = (rejected as f64 / rows.max(1) as f64, config.max_rejected.get());
    let message = format!("{rejected} of {rows} rows are set aside");
    let limits = [limit(Severity::Error, most, share <= most)];
    gates.check(GateName::Rejected, Some(share), &message, &limits);
    drift(gates, config, data, previous);
}

fn freshness(gates: &mut Gates<'_>, config: &RunConfig, data: &Dataset, now: i64) {
    let Some(Span(most)) = config.max_age else { return };
    let ratings = &data.inputs.reports[..data.inputs.reports.len() - data.inputs.n_test];
    let latest = ratings.iter().filter_map(|report| report.max_timestamp).max();
    let age = latest.map(|latest| (now - latest) as f64);
    let message = match age {
        Some(age) if age < -DAY => {
            format!("the latest rating is dated {:.0} days in the future", -age / DAY)
        }
        Some(age) if age > 3.0 * DAY => format!("the latest rating is {:.0} days old", age / DAY),
        Some(age) => format!("the latest rating is {:.1} hours old", age.max(0.0) / 3600.0),
        None => "the ratings have no times".to_owned(),
    };
    let most = most.as_secs_f64();
    let limits = [limit(Severity::Error, most, age.is_some_and(|age| age <= most && age >= -DAY))];
    gates.check(GateName::Freshness, Some(age.unwrap_or(f64::INFINITY)), &message, &limits);
}

/// How far the ratings moved from those of the run before.
fn drift(gates: &mut Gates<'_>, config: &RunConfig, data: &Dataset, previous: Option<&Previous>) {
    let allowed = (config.warn_drift.get(), config.max_drift.get());
    let Some(previous) = previous else {
        for name in [GateName::MeanShift, GateName::Histogram] {
            gates.check(name, None, NO_PREVIOUS, &small(0.0, allowed));
        }
        let most = config.max_new_items.get();
        let limits = [limit(Severity::Warn, most, true)];
        gates.check(GateName::NewItems, None, NO_PREVIOUS, &limits);
        return;
    };
    let before = &previous.manifest.data;
    let (mut sum, mut weights) = (0.0, 0.0);
    // Of the same parts as the earlier mean: a refitted model has all of them.
    let all = previous.manifest.model.refit;
    let more = [&data.parts.fold_in, &data.parts.holdout].into_iter().filter(|_| all).flatten();
    for cell in data.parts.training.iter().chain(more) {
        sum += f64::from(cell.value) * f64::from(cell.weight);
        weights += f64::from(cell.weight);
    }
    let mean = sum / weights;
    let moved = (mean - before.mean).abs();
    let shift = match before.std > 0.0 {
        true => moved / before.std,
        false if moved == 0.0 => 0.0,
        false => f64::INFINITY,
    };
    let message = format!(
        "the mean rating is {mean:.3} and was {:.3}: {shift:.3} standard deviations",
        before.mean
    );
    gates.check(GateName::MeanShift, Some(shift), &message, &small(shift, allowed));

    let index = stability_index(&before.histogram, values(&data.parts));
    let message = match index {
        Some(index) => format!("the distribution of the ratings moved by {index:.3}"),
        None => "the earlier run has no histogram".to_owned(),
    };
    let limits = small(index.unwrap_or(0.0), allowed);
    gates.check(GateName::Histogram, index, &message, &limits);

    let (share, new, items) = new_shares(data, previous).1;
    let most = config.max_new_items.get();
    let message = format!("{new} of {items} items are new");
    let limits = [limit(Severity::Warn, most, share <= most)];
    gates.check(GateName::NewItems, Some(share), &message, &limits);
}

/// Of users and of items with training ratings: the share that the run before did not have, their number,
/// and the number of all.
pub(super) fn new_shares(
    data: &Dataset,
    previous: &Previous,
) -> ((f64, usize, usize), (f64, usize, usize)) {
    let mut trained = (vec![false; data.users.len()], vec![false; data.items.len()]);
    for cell in &data.parts.training {
        trained.0[cell.user as usize] = true;
        trained.1[cell.item as usize] = true;
    }
    let share = |ids: &Ids, before: &Ids, trained: &[bool]| {
        let known = ids.rows_among(before);
        let all = trained.iter().filter(|trained| **trained).count();
        let rows = known.iter().zip(trained);
        let new = rows.filter(|(row, trained)| **trained && row.is_none()).count();
        (new as f64 / all.max(1) as f64, new, all)
    };
    let model = &previous.model;
    (
        share(&data.users, &model.users.ids, &trained.0),
        share(&data.items, &model.items.ids, &trained.1),
    )
}

/// What must hold of the model.
pub(super) fn model(
    gates: &mut Gates<'_>,
    config: &RunConfig,
    (model, metrics): (&Model, &Metrics),
    alignment: Option<&Alignment>,
    no_comparison: Option<&str>,
) {
    finite(gates, config, model);
    bias_only(gates, config, metrics);
    popularity(gates, config, metrics);
    collapsed(gates, config, model);
    previous_model(gates, config, metrics, no_comparison.unwrap_or(NO_PREVIOUS));
    let aligned = alignment.filter(|_| config.aligns());
    let cosine = aligned.and_then(|alignment| alignment.median_cosine_after);
    let overlap = alignment.and_then(|alignment| alignment.overlap_at_10);
    let none = match config.aligns() {
        true => no_comparison.unwrap_or(NO_PREVIOUS),
        false => "vectors are not aligned",
    };
    let least = config.min_cosine.get();
    let message = cosine.map_or(none.to_owned(), |cosine| {
        format!("the median cosine of the items to the run before is {cosine:.3}")
    });
    let limits = [limit(Severity::Warn, least, cosine.unwrap_or(1.0) >= least)];
    gates.check(GateName::ItemCosine, cosine, &message, &limits);
    let least = config.min_overlap.get();
    let message = overlap.map_or(no_comparison.unwrap_or(NO_PREVIOUS).to_owned(), |overlap| {
        format!("{:.0} % of the ten nearest items stayed", overlap * 100.0)
    });
    let limits = [limit(Severity::Warn, least, overlap.unwrap_or(1.0) >= least)];
    gates.check(GateName::Overlap, overlap, &message, &limits);
}

fn finite(gates: &mut Gates<'_>, config: &RunConfig, model: &Model) {
    // A nonnegative vector may well be zero.
    let zeros = !config.train.nonnegative && model.factors.rank() > 0;
    let (mut strange, mut empty) = (0, 0);
    for side in [&model.factors.users, &model.factors.items] {
        for row in 0..side.vectors.rows() {
            let vector = side.vectors.row(row);
            if !vector.iter().chain([&side.biases[row]]).all(|v| v.is_finite()) {
                strange += 1;
            } else if zeros && vector.iter().all(|&v| v == 0.0) {
                empty += 1;
            }
        }
    }
    let message = format!("{strange} vectors are not finite, {empty} are zero");
    let found = f64::from(strange + empty);
    let limits = [limit(Severity::Error, 0.0, found == 0.0)];
    gates.check(GateName::Finite, Some(found), &message, &limits);
}

fn bias_only(gates: &mut Gates<'_>, config: &RunConfig, metrics: &Metrics) {
    if !config.train.algorithm_name().rates() {
        return;
    }
    let gain = match (metrics.holdout_rmse, metrics.baselines.bias_only.rmse) {
        (Some(own), Some(simple)) if simple > 0.0 => Some((1.0 - own / simple, own, simple)),
        _ => None,
    };
    let message = match gain {
        Some((gain, own, simple)) => format!(
            "RMSE {own:.4} is {:.2} % {} the {simple:.4} of biases alone",
            gain.abs() * 100.0,
            if gain >= 0.0 { "below" } else { "above" }
        ),
        None => "there is no holdout".to_owned(),
    };
    let (value, least) = (gain.map(|(gain, ..)| gain), config.min_gain.get());
    let found = value.unwrap_or(1.0);
    let limits =
        [limit(Severity::Error, 0.0, found >= 0.0), limit(Severity::Warn, least, found >= least)];
    gates.check(GateName::BiasOnly, value, &message, &limits);
}

fn popularity(gates: &mut Gates<'_>, config: &RunConfig, metrics: &Metrics) {
    if config.train.algorithm_name().rates() {
        return;
    }
    let found = config.train.metrics.first().and_then(|metric| {
        let name = metric.to_string();
        let value = |of: &Option<RankingMetrics>| of.as_ref()?.values.get(&name).copied().flatten();
        Some((name.clone(), value(&metrics.ranking)?, value(&metrics.baselines.popularity)?))
    });
    let message = match &found {
        Some((name, own, popular)) => {
            format!("{name} {own:.4} beside the {popular:.4} of the most popular items")
        }
        None => "there is no holdout to rank".to_owned(),
    };
    let gain = found.filter(|found| found.2 > 0.0).map(|(_, own, popular)| own / popular - 1.0);
    let value = gain.unwrap_or(0.0);
    let limits = [
        limit(Severity::Error, -POPULARITY, value >= -POPULARITY),
        limit(Severity::Warn, 0.0, value >= 0.0),
    ];
    gates.check(GateName::Popularity, gain, &message, &limits);
}

fn collapsed(gates: &mut Gates<'_>, config: &RunConfig, model: &Model) {
    if config.train.algorithm_name().rates() {
        return;
    }
    let norms = model.median_norms();
    let product = norms.0 * norms.1;
    let message =
        format!("the median norms of users and items are {:.1e} and {:.1e}", norms.0, norms.1);
    let least = Model::COLLAPSED;
    let limits = [limit(Severity::Error, least, product >= least)];
    gates.check(GateName::Collapsed, Some(product), &message, &limits);
}

fn previous_model(gates: &mut Gates<'_>, config: &RunConfig, metrics: &Metrics, none: &str) {
    let compared = metrics.baselines.previous_model.as_ref().filter(|compared| compared.n > 0);
    let rmse = compared.and_then(|c| Some((c.new.rmse?, c.previous.rmse?, c.n)));
    let ranking = || {
        let compared = compared?;
        let name = config.train.metrics.first()?.to_string();
        let value = |ranking: &Option<crate::pipeline::RankingMetrics>| {
            ranking.as_ref()?.values.get(&name).copied().flatten()
        };
        Some((value(&compared.new_ranking)?, value(&compared.ranking)?, compared.n, name))
    };
    let (worse, message) = match (rmse, ranking()) {
        (Some((own, before, n)), _) if before > 0.0 => (
            Some(own / before - 1.0),
            format!(
                "RMSE {own:.4} beside the {before:.4} of the run before, on {n} held-out ratings that both know"
            ),
        ),
        (_, Some((own, before, n, name))) if before > 0.0 => (
            Some(1.0 - own / before),
            format!(
                "{name} {own:.4} beside the {before:.4} of the run before, on {n} held-out ratings that both know"
            ),
        ),
        _ if compared.is_none() && metrics.baselines.previous_model.is_some() => {
            (None, "there is no held-out rating that both models know".to_owned())
        }
        _ => (None, none.to_owned()),
    };
    // Rankings of the same quality differ by some per cent from night to night, errors by tenths of one.
    let ranked = !config.train.algorithm_name().rates();
    let most = config.max_worse.get() * if ranked { RANKING } else { 1.0 };
    let limits = [limit(Severity::Error, most, worse.unwrap_or(0.0) <= most)];
    gates.check(GateName::PreviousModel, worse, &message, &limits);
}
