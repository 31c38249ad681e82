//! Metrics of predicted ratings: one file per metric, and one line each in the registry.
//!
//! A metric is a term of each error and a function of the mean of the terms.

mod errors;
mod mae;
mod registry;
mod rmse;

#[cfg(feature = "files")]
pub(crate) use errors::holdout;
pub use errors::{Errors, RatingErrors};
pub use registry::RATING_METRICS;
