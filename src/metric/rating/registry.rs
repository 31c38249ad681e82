//! The registry of rating metrics.

use super::{mae, rmse};

macro_rules! rating_metrics {
    ($($metric:ident),+ $(,)?) => {
        /// The names of the metrics, in the order in which they are reported.
        pub const RATING_METRICS: [&str; [$(stringify!($metric)),+].len()] =
            [$(stringify!($metric)),+];

        /// The terms of one error, one per metric.
        pub(super) const fn terms(error: f64) -> [f64; RATING_METRICS.len()] {
            [$($metric::term(error)),+]
        }

        /// The metrics, from the means of their terms.
        pub(super) fn values(means: [f64; RATING_METRICS.len()]) -> [f64; RATING_METRICS.len()] {
            let [$($metric),+] = means;
            [$($metric::value($metric)),+]
        }
    };
}

// RMSE stays first: gates, curves and intervals use it.
rating_metrics! { rmse, mae }
