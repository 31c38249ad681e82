//! Gate `previous-model`: the model beside that of the latest run, on held-out ratings that both know.

use super::entries::{Finding, NO_PREVIOUS, limit};
use super::look::ModelLook;
use crate::store::Severity;
use crate::training::RankingMetrics;

/// Ranking metrics may be worse by this many times the share that is allowed for RMSE: rankings of the
/// same quality differ by some per cent from night to night, errors by tenths of one.
const RANKING: f64 = 5.0;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    let compared = look.metrics.baselines.previous_model.as_ref().filter(|compared| compared.n > 0);
    let rmse = compared.and_then(|c| Some((c.new.rmse?, c.previous.rmse?, c.n)));
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
                "RMSE {own:.4} beside the {before:.4} of the run before, on {n} held-out ratings that both know"
            ),
        ),
        (_, Some((own, before, n, name))) if before > 0.0 => (
            Some(1.0 - own / before),
            format!(
                "{name} {own:.4} beside the {before:.4} of the run before, on {n} held-out ratings that both know"
            ),
        ),
        _ if compared.is_none() && look.metrics.baselines.previous_model.is_some() => {
            (None, "there is no held-out rating that both models know".to_owned())
        }
        _ => (None, look.no_comparison.unwrap_or(NO_PREVIOUS).to_owned()),
    };
    let most = look.config.max_worse.get() * if look.rates { 1.0 } else { RANKING };
    let limits = vec![limit(Severity::Error, most, worse.unwrap_or(0.0) <= most)];
    Some(Finding { observed: worse, message, limits })
}
