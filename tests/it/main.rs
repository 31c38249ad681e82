//! Integration tests: one binary, one module per subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod algorithms;
mod golden;
#[cfg(feature = "cli")]
mod gradient;
mod house;
#[cfg(feature = "cli")]
mod implicit;
mod ranking;
mod serving;
mod support;
mod tidy;
mod worked;

#[cfg(feature = "cli")]
mod bad_input;
#[cfg(feature = "cli")]
mod bayes;
#[cfg(feature = "cli")]
mod cli;
#[cfg(all(feature = "cli", feature = "cloud"))]
mod cloud;
#[cfg(feature = "cli")]
mod defaults;
#[cfg(feature = "cli")]
mod evaluate;
#[cfg(feature = "cli")]
mod formats;
#[cfg(feature = "cli")]
mod fuzz;
#[cfg(feature = "cli")]
mod model;
#[cfg(feature = "cli")]
mod nights;
#[cfg(feature = "cli")]
mod real_files;
#[cfg(feature = "cli")]
mod serve;
#[cfg(feature = "cli")]
mod snapshots;
#[cfg(feature = "cli")]
mod tune;
#[cfg(feature = "cli")]
mod update;
