//! Gate `previous-model`: the model relative to that of the latest run, on the held-out ratings
//! that both models know.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::ModelLook;
use crate::store::Severity;
use crate::training::RankingMetrics;

/// Ranking metrics may be worse by this many times the share that is allowed for RMSE. From night
/// to night, ranking metrics of the same quality differ by a few per cent, errors by tenths of a
/// per cent.
const RANKING: f64 = 5.0;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    let compared = look.metrics.baselines.previous_model.as_ref().filter(|compared| compared.n > 0);
    let rmse = compared.and_then(|c| Some((c.new.rmse()?, c.previous.rmse()?, c.n)));
    let ranking = || {
        let compared = compared?;
        let name = look.config.train.metrics.first()?.to_string();
        let value = |ranking: &Option<RankingMetrics>| {
            ranking.as_ref()?.values.get(&name).copied().flatten()
        };
        Some((value(&compared.new_ranking)?, value(&compared.ranking)?, compared.n, name))
    };
    let (worse, message) = match (rmse, ranking()) {
        (Some((own, before, n)), _) if before > 0.0 => (
            Some(own / before - 1.0),
            format!(
                "RMSE is {own:.4}, and {before:.4} for the earlier run \
                 (held-out ratings that both models know: {n})"
            ),
        ),
        (_, Some((own, before, n, name))) if before > 0.0 => (
            Some(1.0 - own / before),
            format!(
                "{name} is {own:.4}, and {before:.4} for the earlier run \
                 (held-out ratings that both models know: {n})"
            ),
        ),
        _ if compared.is_none() && look.metrics.baselines.previous_model.is_some() => {
            (None, "there are no held-out ratings that both models know".to_owned())
        }
        _ => (None, look.no_comparison.unwrap_or(NO_PREVIOUS).to_owned()),
    };
    let most = look.config.max_worse.get() * if look.rates { 1.0 } else { RANKING };
    let limits = vec![limit(Severity::Error, most, worse.unwrap_or(0.0) <= most)];
    Some(Finding { observed: worse, message, limits })
}
