//! One run of many: from rating files to what is served, unattended.
//!
//! ```text
//! lock → inputs → (nothing new: done) → read → data gates → train → measure → align
//!      → write, export → quality gates → publish → retain
//! ```
//!
//! A run begins at the factors of the latest one, is measured on the same held-out ratings, and is
//! published only if its gates pass; whatever happens, what is served stays complete. The directory is
//! described in `places`, the gates in [`GateName`], the log in [`LogLine`].

mod align;
mod config;
mod copy;
mod diff;
mod directory;
mod estimate;
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
mod trigger;
mod units;

pub use config::{Align, RunConfig, WarmStart};
pub use copy::{fetch_model, name_source};
pub use diff::{Difference, diff};
pub use estimate::Estimate;
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
