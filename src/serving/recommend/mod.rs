//! The best items for all or some users of a published model.

mod config;
mod explain;
mod session;

pub use config::RecommendConfig;
pub use session::{RecommendSeconds, Recommended, recommend};
