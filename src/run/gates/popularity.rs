//! Gate `popularity`: the first ranking metric of events beside that of popularity.

use super::entries::{Finding, limit};
use super::look::ModelLook;
use crate::store::Severity;
use crate::training::RankingMetrics;

/// A ranking may be worse than that of popularity by this share: where there is nothing to personalise,
/// both are about the same.
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
            format!("{name} {own:.4} beside the {popular:.4} of the most popular items")
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
