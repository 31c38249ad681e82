//! Measures a published model on test ratings.

mod config;
mod evaluator;
mod predicted;
mod sources;

pub use config::EvaluateConfig;
pub use evaluator::{Evaluation, EvaluationSeconds, evaluate};
pub use predicted::RatingMetrics;
