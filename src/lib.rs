//! Factorises large sparse rating data and publishes the factors.
//!
//! Given ratings `r_ui` of items `i` by users `u`, lacuna finds vectors `p_u`, `q_i` of `rank` numbers
//! and biases `b_u`, `b_i` that minimise, on standardised ratings `z = (r − μ) / s`,
//!
//! ```text
//! Σ w (z_ui − b_u − b_i − p_u·q_i)² + λ Σ ρ(n) |vector|² + Σ (d + λ_b ρ(n)) bias²,   ρ(n) = n̄ (n / n̄)^e
//! ```
//!
//! over the observed cells (or, for implicit feedback and by sampling, what [`train`] lists), and predicts `r̂_ui = μ + b_u + b_i + p_u·q_i` (on the rating scale) for
//! every cell. Shapes: users `m x rank`, items `n x rank`.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::atomic::AtomicBool;
//!
//! use lacuna::ids::Ids;
//! use lacuna::linalg::simd::Kernels;
//! use lacuna::objective::Regularization;
//! use lacuna::ratings::{Cell, Ratings};
//! use lacuna::train::{Algorithm, Als, Problem, SolverChoice, Start};
//!
//! // [[5, 3, ?], [4, ?, 1], [?, 2, 5]]
//! let cells = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 4.0), (1, 2, 1.0), (2, 1, 2.0), (2, 2, 5.0)]
//!     .map(|(user, item, value)| Cell { user, item, value, weight: 1.0, time: 0 });
//! let ratings = Ratings::from_sorted(3, 3, &cells);
//! let (user_keys, item_keys) = (Ids::range(3).keys("user"), Ids::range(3).keys("item"));
//! let regularization = Regularization { users: 1e-3, items: 1e-3, biases: 1e-3, damping: 0.0, exponent: 0.5 };
//! let als = Als {
//!     rank: 2, iterations: 200, tolerance: 0.0, regularization, biases: true, mean: true,
//!     solver: SolverChoice::Cholesky, seed: 42,
//! };
//! let fit = als.fit(
//!     &Problem {
//!         ratings: &ratings,
//!         moments: &ratings.moments(),
//!         user_keys: &user_keys,
//!         item_keys: &item_keys,
//!         start: Start::Random,
//!         stop: &AtomicBool::new(false),
//!         kernels: Kernels::detect(),
//!     },
//!     &mut |_| ControlFlow::Continue(()),
//! )?;
//! let predicted = fit.scorer().score(Kernels::detect(), Some(0), Some(0));
//! assert!((predicted - 5.0).abs() < 0.1);
//! # Ok::<(), lacuna::error::Error>(())
//! ```
//!
//! # The way of the data
//!
//! ```text
//! files ─load→ Interactions ─prepare→ unique cells, Ids ─split→ training and holdout cells
//!       ─Ratings→ CSR by user and by item ─Algorithm::fit→ Factors ─metric→ errors beside baselines
//!       ─Model─store→ model directory ─evaluate→ errors and rankings
//! ```
//!
//! # Architecture
//!
//! Modules in reading order; each names only modules above its line (a test holds that):
//!
//! ```text
//! pair
//! error
//! param  system
//! remote  linalg
//! job  ids  ratings
//! rng  model  objective
//! split  metric  solver
//! train  synthetic
//! load
//! store
//! export
//! settings
//! training
//! tuning  replay
//! serving
//! run
//! cli
//! ```
//!
//! What never happens: Polars outside `load` and `store`; external ids below `load`; a clock, the
//! environment or printing below `settings`, `system` apart; an allocation in a kernel; a floating-point
//! sum whose order depends on the number of threads; a panic on user data; unsafe code outside
//! `linalg::simd`.

pub mod error;
pub mod pair;
pub mod param;
#[cfg(feature = "files")]
mod system;

pub mod linalg;

pub mod ids;
#[cfg(feature = "files")]
pub mod job;
pub mod ratings;

pub mod model;
pub mod objective;
pub mod rng;

pub mod metric;
pub mod solver;
pub mod split;

pub mod synthetic;
pub mod train;

#[cfg(feature = "files")]
pub mod remote;

#[cfg(feature = "files")]
pub mod load;
#[cfg(feature = "files")]
pub mod store;

#[cfg(feature = "files")]
pub mod export;

#[cfg(feature = "files")]
pub mod settings;

#[cfg(feature = "files")]
pub mod training;

#[cfg(feature = "files")]
mod replay;
#[cfg(feature = "files")]
pub mod tuning;

#[cfg(feature = "files")]
pub mod serving;

#[cfg(feature = "files")]
pub mod run;

#[cfg(feature = "cli")]
pub mod cli;
