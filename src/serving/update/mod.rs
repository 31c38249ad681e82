//! New ratings for a published model.

mod apply;
mod change;
mod config;

pub use apply::{Updated, update};
pub use config::UpdateConfig;
