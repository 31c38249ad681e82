//! Factorises large sparse rating data and publishes the factors.
//!
//! # Where to start
//!
//! Every command of the program is a function. Its settings are a struct with the same names as the
//! flags, and a [`Job`](job::Job) carries a stop flag and an observer of its progress.
//!
//! | to | call |
//! |---|---|
//! | train a model on rating files | [`training::train`] |
//! | search for good settings | [`tuning::tune`] |
//! | measure errors and rankings of a model | [`serving::evaluate`] |
//! | predict ratings | [`serving::predict`], [`serving::predict_pairs`], [`serving::reconstruct`] |
//! | recommend items, find similar ones | [`serving::recommend`], [`serving::similar`] |
//! | add rows or ratings to a model | [`serving::fold_in`], [`serving::update`] |
//! | write vectors for another system | [`serving::export`] |
//! | look at rating files, check a model's files | [`serving::inspect`], [`serving::verify_files`] |
//! | train, check and publish every night | [`run::run`], [`run::list`], [`run::rollback`] |
//! | load a model's factors | [`store::read_model`] |
//! | read rating files only | [`load::load`], [`load::prepare`] |
//! | fit factors to ratings in memory | [`train::Algorithm::fit`] |
//! | rank, explain and fold in in memory | [`model::Recommender`], [`train::Stored`] |
//!
//! ```no_run
//! # #[cfg(feature = "files")] {
//! use std::sync::atomic::AtomicBool;
//!
//! use lacuna::job::Job;
//! use lacuna::settings::TrainConfig;
//! use lacuna::training::train;
//!
//! let config = TrainConfig {
//!     input: vec!["ratings.csv".into()],
//!     output: Some("model".into()),
//!     ..TrainConfig::default()
//! };
//! let stop = AtomicBool::new(false);
//! let report = train(&config, &Job::new(&stop, &|event| eprintln!("{event:?}")))?;
//! println!("{:?}", report.metrics);
//! # }
//! # Ok::<(), lacuna::error::Error>(())
//! ```
//!
//! # What is fitted
//!
//! The ratings `r_ui` of items `i` by users `u` are standardised: `z = (r − μ) / s`. lacuna finds
//! vectors `p_u`, `q_i` of `rank` numbers and biases `b_u`, `b_i` that minimise
//!
//! ```text
//! Σ w (z_ui − b_u − b_i − p_u·q_i)² + λ Σ ρ(n) |vector|² + Σ (d + λ_b ρ(n)) bias²
//! ρ(n) = n̄ (n / n̄)^e
//! ```
//!
//! over the observed cells. [`train`] lists the objectives of the other algorithms. The prediction
//! of every cell is `r̂_ui = μ + b_u + b_i + p_u·q_i`, on the rating scale. Shapes: users
//! `m x rank`, items `n x rank`.
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
//! let (users, items, biases) = (1e-3, 1e-3, 1e-3);
//! let als = Als {
//!     rank: 2, iterations: 200, tolerance: 0.0, biases: true, mean: true,
//!     regularization: Regularization { users, items, biases, damping: 0.0, exponent: 0.5 },
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
//! rating files
//!   → load      rows with dense ids, unique cells
//!   → split     training, validation and holdout cells
//!   → ratings   the CSR matrix by user and by item
//!   → train     factors, iteration by iteration
//!   → metric    errors and rankings beside baselines
//!   → store     the model directory: Parquet files, manifest, metrics
//!   → serving   recommendations, predictions, exports
//! ```
//!
//! # Architecture
//!
//! Modules in reading order. Each one uses only modules above its line:
//!
//! ```text
//! pair
//! error
//! param  system
//! remote  linalg
//! ids  ratings
//! rng  model  objective
//! split  metric  solver
//! job  train  synthetic
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
//! # What never happens
//!
//! A test holds each of these:
//!
//! - A module uses a module on its own floor or above (`modules_name_only_lower_floors`)
//! - Two files use each other, directly or in a circle (`files_do_not_use_each_other_in_a_cycle`)
//! - Polars outside `load` and `store`, or a terminal library outside `cli`
//!   (`libraries_stay_in_their_rooms`)
//! - A floor below `load` reads a clock or the environment, or a floor below `cli` prints;
//!   `system` and `remote` may do so for the floors above (`libraries_stay_in_their_rooms`)
//! - Unsafe code outside `linalg::simd`, or without its reason (`every_unsafe_block_says_why`)
//! - A panic on user data (`no_panics_on_user_data`, and `tests/fuzz` for the readers)
//! - Results that depend on the number of threads (`any_number_of_threads_gives_the_same_bits`)
//! - A kernel that differs from its plain double-precision twin
//!   (`accumulate_equals_the_naive_sums`)
//! - A killed run that changes the published model (`kill_at_any_moment_loses_nothing`)
//! - A resumed fit with other bits (`a_stopped_training_resumes_with_the_same_bits`)

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
mod solver;
pub mod split;

pub mod synthetic;
pub mod train;

#[cfg(feature = "files")]
mod remote;

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
