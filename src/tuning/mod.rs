//! Searches for good settings (`lacuna tune`).

mod config;
mod outcome;
mod search;
mod space;
mod trials;

pub use config::TuneConfig;
pub use outcome::{Chosen, Tuning};
pub use search::tune;
