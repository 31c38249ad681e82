//! Root mean squared error on the rating scale, `√(Σ (r − r̂)² / n)`, unweighted.

/// The term of one error.
pub(super) const fn term(error: f64) -> f64 {
    error * error
}

/// The metric, from the mean of the terms.
pub(super) fn value(mean: f64) -> f64 {
    mean.sqrt()
}
