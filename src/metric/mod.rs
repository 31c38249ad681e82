//! Measures of prediction quality.

mod bootstrap;
mod calibration;
mod drift;
mod holdout;
mod mae;
mod posterior;
pub mod ranking;
mod rmse;
mod training;

pub use bootstrap::{Interval, bootstrap_rmse};
pub use calibration::Calibration;
pub use drift::{Bin, histogram, stability_index};
pub use holdout::{HoldoutErrors, holdout_errors};
pub use mae::mae;
pub use posterior::{Coverage, PosteriorMean};
pub use rmse::rmse;
pub use training::{TrainingErrors, training_errors};

/// Sums of the errors of a set of predictions, in double precision.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RatingErrors {
    /// Number of predictions.
    pub count: u64,
    /// Sum of squared errors.
    pub squared: f64,
    /// Sum of absolute errors.
    pub absolute: f64,
}

impl RatingErrors {
    /// Adds one error.
    pub fn push(&mut self, error: f64) {
        self.count += 1;
        self.squared += error * error;
        self.absolute += error.abs();
    }

    /// Adds the sums of another set.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.squared += other.squared;
        self.absolute += other.absolute;
    }
}
