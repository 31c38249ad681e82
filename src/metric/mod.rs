//! Measures of prediction quality.

mod bootstrap;
mod calibration;
mod drift;
mod holdout;
mod posterior;
pub mod ranking;
pub mod rating;
mod training;

pub use bootstrap::{Interval, bootstrap_rmse};
pub use calibration::Calibration;
pub use drift::{Bin, histogram, stability_index};
pub use holdout::{HoldoutErrors, holdout_errors};
pub use posterior::{Coverage, PosteriorMean};
pub use rating::{Errors, RATING_METRICS, RatingErrors};
pub use training::{TrainingErrors, training_errors};
