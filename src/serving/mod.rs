//! Uses of a published model, and of rating files before there is a model.

mod evaluate;
mod export;
mod fold_in;
mod inspect;
mod lists;
mod new_rows;
mod predict;
mod recommend;
mod reconstruct;
mod similar;
mod update;
mod verify;

pub use evaluate::{EvaluateConfig, Evaluation, EvaluationSeconds, RatingMetrics, evaluate};
pub use export::{ExportConfig, ExportSpec, Exported, NoExport, Sides, export};
pub(crate) use export::{add_export, mips_norm};
pub use fold_in::{FoldInConfig, FoldInSeconds, FoldedIn, fold_in};
pub use inspect::{InspectConfig, InspectedInput, Inspection, inspect};
pub use lists::{Because, Destination, List, Listed, TitleConfig};
pub use predict::{
    Intervals, PairsConfig, PairsOutcome, PredictConfig, Prediction, predict, predict_pairs,
};
pub use recommend::{RecommendConfig, RecommendSeconds, Recommended, recommend};
pub use reconstruct::{ReconstructConfig, Reconstructed, reconstruct};
pub use similar::{SimilarConfig, Similars, similar};
pub use update::{UpdateConfig, Updated, update};
pub use verify::{Verified, verify_files};
