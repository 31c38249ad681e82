//! The algorithms' settings: one file per algorithm, and one line each in the registry.

mod als;
mod bayes;
mod gd;
mod ials;
mod method;
mod registry;
mod ridge;
mod sgd;
mod solver;

#[cfg(test)]
mod tests;

pub(crate) use method::{Facts, Fit, RowSolve, SearchedSetting};
pub(crate) use registry::{method, method_named, takers, takes};
