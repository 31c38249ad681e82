//! Runs a training unattended, from the rating files to the published model.
//!
//! ```text
//! lock → inputs → (nothing new: done) → read → data gates → train → measure → align
//!      → write, export → quality gates → publish → retain
//! ```
//!
//! A run starts from the factors of the latest run and is measured on the same held-out ratings. It
//! is published only if its gates pass. The published model stays complete, whatever happens. The
//! module `places` describes the directory, [`GateName`] lists the gates, and [`LogLine`] is a line
//! of the log.

mod align;
mod choices;
mod config;
mod copy;
mod diff;
mod directory;
mod estimate;
#[cfg(feature = "cli")]
mod fetch;
mod gates;
mod holder;
mod inputs;
mod lease;
mod lock;
mod log;
mod look;
mod mirror;
mod mode;
mod night;
mod once;
mod places;
mod previous;
mod prometheus;
mod publish;
mod records;
mod report;
mod resume;
mod retention;
mod run_id;
mod settings;
mod trigger;
mod units;

pub use choices::{Align, WarmStart};
pub use config::RunConfig;
#[cfg(feature = "cli")]
pub(crate) use copy::name_source;
pub use diff::{Difference, diff};
pub use estimate::Estimate;
#[cfg(feature = "cli")]
pub(crate) use fetch::fetch_model;
#[cfg(feature = "cli")]
pub(crate) use gates::all_names;
pub use gates::{GateName, GateSetting, NoGate};
pub use log::{Level, LogLine, Sink};
pub use mode::Mode;
pub use once::{Ended, run};
pub use places::Pointer;
pub use records::{Record, list, rollback, show};
pub use report::{Counts, RankingReport, RmseReport, RunReport, RunResult};
pub use retention::{Pruned, prune};
pub use units::{Memory, NoAmount, Span};
