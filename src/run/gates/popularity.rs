//! Gate `popularity`: the first ranking metric of a preference model relative to popularity.

use super::entries::{Finding, limit};
use super::look::ModelLook;
use crate::store::Severity;
use crate::training::RankingMetrics;

/// The share by which a ranking may be worse than that of popularity. Without anything to
/// personalise, both are about the same.
const TOLERANCE: f64 = 0.05;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    if look.rates {
        return None;
    }
    let metrics = look.metrics;
    let found = look.config.train.metrics.first().and_then(|metric| {
        let name = metric.to_string();
        let value = |of: &Option<RankingMetrics>| of.as_ref()?.values.get(&name).copied().flatten();
        Some((name.clone(), value(&metrics.ranking)?, value(&metrics.baselines.popularity)?))
    });
    let message = match &found {
        Some((name, own, popular)) => {
            format!("{name} is {own:.4}, and {popular:.4} for the most popular items")
        }
        None => "there is no holdout to rank".to_owned(),
    };
    let observed = found.filter(|found| found.2 > 0.0).map(|(_, own, popular)| own / popular - 1.0);
    let value = observed.unwrap_or(0.0);
    let limits = vec![
        limit(Severity::Error, -TOLERANCE, value >= -TOLERANCE),
        limit(Severity::Warn, 0.0, value >= 0.0),
    ];
    Some(Finding { observed, message, limits })
}
