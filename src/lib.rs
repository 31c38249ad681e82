//! lacuna
pub mod error;
pub mod ids;
pub mod linalg;
pub mod metric;
pub mod model;
pub mod objective;
pub mod param;
pub mod ratings;
pub mod rng;
pub mod solver;
pub mod split;
pub mod train;
pub mod synthetic;
#[cfg(feature = "files")]
pub mod load;
