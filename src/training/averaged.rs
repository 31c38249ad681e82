//! Measures the predictions of a posterior.

use super::results::PosteriorMetrics;
use crate::metric::PosteriorMean;
use crate::model::Scorer;
use crate::ratings::Ratings;
use crate::train::Fit;

/// Largest number of held-out ratings whose predictive intervals are computed. It is enough to know
/// shares of them to a tenth of a per cent.
const MOST_INTERVALS: usize = 200_000;

/// Measures the predictions averaged over samples, or those of a posterior with known variances.
///
/// Drops the distributions of the rows from the fit. Returns `None` for a fit that is not Bayesian.
pub(super) fn averaged(
    fit: &mut Fit,
    ratings: &Ratings,
    mut posterior: PosteriorMean<'_>,
) -> Option<PosteriorMetrics> {
    if let Some(averaged) = fit.averaged.as_ref().filter(|a| a.uncertainty.is_some()) {
        let scale = fit.scale.deviation * fit.scale.deviation;
        let variance = |user, item| {
            averaged.variance(&fit.factors, ratings, user, item).map_or(0.0, |v| scale * v)
        };
        let scorer = Scorer { factors: &fit.factors, scale: fit.scale };
        posterior.thin(MOST_INTERVALS);
        posterior.set(&scorer, variance, averaged.noise);
    }
    if let Some(averaged) = &mut fit.averaged {
        averaged.spread = None;
    }
    fit.averaged.as_ref().map(|averaged| {
        PosteriorMetrics::new(averaged, &posterior.errors(&fit.scorer()), posterior.coverage())
    })
}
