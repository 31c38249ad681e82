//! The data that the gates check.

use super::super::config::RunConfig;
use super::super::previous::Previous;
use crate::model::Model;
use crate::store::Alignment;
use crate::training::{Dataset, Metrics};

/// The data for the gates of the ratings, which are checked before the training.
pub(in crate::run) struct DataLook<'a> {
    pub config: &'a RunConfig,
    pub data: &'a Dataset,
    pub previous: Option<&'a Previous>,
    /// The current time in seconds since 1970.
    pub now: i64,
}

/// The data for the gates of the model, which are checked after the training.
pub(in crate::run) struct ModelLook<'a> {
    pub config: &'a RunConfig,
    /// Whether the model predicts ratings, and not preferences.
    pub rates: bool,
    pub model: &'a Model,
    pub metrics: &'a Metrics,
    /// How far the vectors moved from those of the earlier run.
    pub alignment: Option<&'a Alignment>,
    /// Why the model is not compared with the earlier one, if it is not.
    pub no_comparison: Option<&'a str>,
}
