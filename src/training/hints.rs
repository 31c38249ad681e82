//! Warnings about a training that succeeded.

use super::ranked::RankingMetrics;
use super::results::Metrics;
use super::sets::Sets;
use crate::model::Model;
use crate::ratings::{Moments, Ratings};
use crate::settings::{Plan, TrainConfig};

/// Largest value that may still belong to a scale of ratings.
const SCALE: f32 = 20.0;

/// Counts of events have a long tail: their largest value is more than this many times their mean.
const TAIL: f64 = 8.0;

/// Returns a warning if the ratings are all equal or look like counts.
pub(crate) fn of_values(plan: &Plan, sets: &Sets) -> Option<String> {
    plan.facts().rates.then(|| of_ratings(&sets.ratings, &sets.moments)).flatten()
}

fn of_ratings(ratings: &Ratings, moments: &Moments) -> Option<String> {
    let values = ratings.by_user.values.data();
    if moments.min == moments.max {
        return Some(format!(
            "all training ratings are {}: there is nothing to learn from their values; if every \
             row is an event (a click, a play), train with -a ials",
            moments.min
        ));
    }
    let tail = moments.max > SCALE && f64::from(moments.max) > TAIL * moments.mean;
    let counts = moments.min >= 0.0 && tail && values.iter().all(|v| v.fract() == 0.0);
    counts.then(|| {
        format!(
            "the values look like counts (whole numbers from {} to {}, mean {:.1}) but were fitted \
             as ratings; if they count plays, clicks or purchases, train with -a ials",
            moments.min, moments.max, moments.mean
        )
    })
}

/// Returns a warning if the rank of an earlier run was kept, but these ratings would get another
/// rank by default.
pub(crate) fn of_kept_rank(plan: &Plan, ratings: &Ratings) -> Option<String> {
    let kept = plan.facts().rank;
    let record = TrainConfig { factors: None, ..plan.record.clone() };
    let mut free = Plan::of_record(&record).ok()?.fit;
    free.settle(ratings);
    let own = free.facts().rank;
    (kept != own).then(|| {
        format!(
            "the rank stays {kept}, as in the earlier run, so that vectors keep their width; the \
             default for these ratings is {own}: set -k {own} to change the rank, or -k {kept} to \
             keep it without this warning"
        )
    })
}

/// Returns a warning if the model is worse than its baseline: biases alone, or the most popular
/// items.
pub(super) fn of_fit(plan: &Plan, metrics: &Metrics) -> Option<String> {
    let facts = plan.facts();
    if facts.rates {
        let (own, simple) = (metrics.errors.holdout.rmse()?, metrics.baselines.bias_only.rmse()?);
        return (own > simple && facts.rank > 0).then(|| {
            format!(
                "the holdout RMSE {own:.4} is above the {simple:.4} of biases alone: these ratings \
                 are too few or too noisy for vectors; -a als -k 0 fits biases alone"
            )
        });
    }
    let name = plan.watch.metrics.first()?.to_string();
    let value = |of: &RankingMetrics| of.values.get(&name).copied().flatten();
    let own = value(metrics.ranking.as_ref()?)?;
    let popular = value(metrics.baselines.popularity.as_ref()?)?;
    (own < popular).then(|| {
        format!(
            "{name} {own:.4} is below the {popular:.4} of the most popular items for everyone: the \
             model ranks worse than no model; compare other settings with lacuna tune -a ials"
        )
    })
}

/// Returns a warning if the vectors of a model of preferences have vanished.
pub(super) fn of_model(plan: &Plan, model: &Model) -> Option<String> {
    let (users, items) = model.median_norms();
    let vanished = !model.scale.rates() && users * items < Model::COLLAPSED;
    vanished.then(|| {
        let lambda = plan.facts().lambda;
        format!(
            "the vectors have vanished (median norms {users:.1e} and {items:.1e}), so all scores \
             are about 0: --regularization {lambda} is too strong for these data; leave it out, or \
             use a tenth of it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratings::Cell;

    fn hint(values: &[f32]) -> Option<String> {
        let cell = |(at, &value): (usize, &f32)| Cell {
            user: at as u32,
            item: 0,
            value,
            weight: 1.0,
            time: 0,
        };
        let cells: Vec<Cell> = values.iter().enumerate().map(cell).collect();
        let ratings = Ratings::from_sorted(cells.len(), 1, &cells);
        of_ratings(&ratings, &ratings.moments())
    }

    #[test]
    fn counts_are_told_from_ratings() {
        assert_eq!(hint(&[1.0, 5.0, 3.0, 4.0, 0.5]), None);
        assert_eq!(hint(&[70.0, 95.0, 20.0, 100.0]), None, "a scale to 100");
        assert_eq!(hint(&[-9.5, 3.25, 9.0]), None);
        let plays = [1.0, 1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0, 250.0];
        assert!(hint(&plays).is_some_and(|text| text.contains("-a ials")));
        assert_eq!(hint(&plays.map(|v| v + 0.5)), None, "no whole numbers");
        assert!(hint(&[1.0, 1.0]).is_some_and(|text| text.contains("nothing to learn")));
    }
}
