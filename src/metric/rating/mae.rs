//! Mean absolute error on the rating scale, `Σ |r − r̂| / n`, unweighted.

/// The term of one error.
pub(super) const fn term(error: f64) -> f64 {
    error.abs()
}

/// The metric, from the mean of the terms.
pub(super) const fn value(mean: f64) -> f64 {
    mean
}
