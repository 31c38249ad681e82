//! Root mean squared error, `√(Σ (r − r̂)² / n)`, unweighted.

use super::RatingErrors;

/// RMSE on the rating scale; `None` without predictions.
#[must_use]
pub fn rmse(errors: &RatingErrors) -> Option<f64> {
    (errors.count > 0).then(|| (errors.squared / errors.count as f64).sqrt())
}
