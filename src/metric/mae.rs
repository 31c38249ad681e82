//! Mean absolute error, `Σ |r − r̂| / n`, unweighted.

use super::RatingErrors;

/// MAE on the rating scale; `None` without predictions.
#[must_use]
pub fn mae(errors: &RatingErrors) -> Option<f64> {
    (errors.count > 0).then(|| errors.absolute / errors.count as f64)
}
