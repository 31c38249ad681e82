//! The model directory: factors as Parquet files, a manifest and metrics.
//!
//! ```text
//! OUT/
//!   user_factors.parquet  item_factors.parquet    one row per trained id, sorted by id
//!   manifest.json                inputs, settings and results of the training, file checksums
//!   metrics.json                 errors per iteration and of the final factors
//!   posterior.safetensors        priors and covariances, only of a variational Bayesian fit
//!   training_ratings.parquet  holdout_ratings.parquet   the prepared ratings, where they are kept
//!   sample_001_*                 factors of a posterior sample, where samples are kept
//!   train_*                      the factors that were measured, only after --refit
//!   folded_*_ratings.parquet     ratings of rows that were folded in after the training
//!   exports/NAME/                exports of the vectors
//!   rejected_rows.csv            only if rows were set aside
//! ```

mod checkpoint;
mod entries;
mod factors;
mod folded;
pub(crate) mod json;
mod kept;
mod manifest;
mod model_dir;
mod names;
mod outdir;
mod posterior;
mod ranked;
mod row_target;
mod run_entry;
mod table;
mod trials;

pub(crate) use checkpoint::CheckpointDir;
pub use checkpoint::parse_checkpoint;
pub use entries::{FoldedEntry, InputEntry, OutputEntry, Tool};
pub use factors::Stamp;
pub(crate) use factors::{FactorTable, Lists, write_factors, write_spark_factors};
pub(crate) use folded::{FoldedRatings, folded_file};
pub(crate) use json::{json_id, json_number};
pub(crate) use kept::{HOLDOUT_RATINGS, TRAINING_RATINGS, write_ratings};
pub use manifest::{
    Data, ExportManifest, FORMAT_VERSION, Flavor, Manifest, MeasuredScale, ModelEntry, SplitEntry,
    listed_outputs,
};
pub use model_dir::read_model;
pub(crate) use model_dir::verify;
pub(crate) use model_dir::{read_measured, read_samples};
pub(crate) use names::sample_prefix;
pub use names::{ITEM_FACTORS, MANIFEST, METRICS, USER_FACTORS};
pub(crate) use outdir::{DirKind, OutDir, REJECTED, SUCCESS};
pub(crate) use outdir::{files_below, unlisted_files, wrong_manifest};
pub(crate) use posterior::{POSTERIOR, write_posterior};
pub use ranked::RowFormat;
pub(crate) use ranked::{Reason, RowShape, RowWriter, Rows};
pub use row_target::RowTarget;
pub use run_entry::{Alignment, GateEntry, Lineage, RunEntry, Severity, Status, Trigger};
pub use table::RatingsWriter;
pub(crate) use table::{Predictions, write_predictions};
pub use trials::Trial;
pub(crate) use trials::TrialsDir;
