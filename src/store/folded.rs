//! The ratings that rows were folded in from, stored alongside the factors.
//!
//! Recommendations, explanations and measurements then need no other file.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::InputEntry;
use super::factors::{into_io, parquet_writer};
use super::ranked::ids;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id};

/// The record of a fold-in or an update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldedEntry {
    /// The side of the rows that were folded in.
    pub side: Axis,
    /// Version of the model that the rows were folded into.
    pub model_version: String,
    /// Time of the fold-in, ISO 8601 in UTC.
    pub folded_at: String,
    /// The files with the complete ratings of the rows, or with the added ones of `update --add`.
    pub inputs: Vec<InputEntry>,
    /// Number of folded-in rows that the model did not have.
    pub added: usize,
    /// Number of folded-in rows that replaced earlier ones.
    pub replaced: usize,
    /// Number of rows of the other side that an update solved; 0 for a fold-in.
    #[serde(default)]
    pub items: usize,
    /// Number of ratings that are new or changed; for a fold-in, all ratings of its rows.
    #[serde(default)]
    pub changed_ratings: usize,
    /// Number of ratings that the rows were solved from.
    pub n_ratings: usize,
}

/// Ratings with external ids, stored by column.
#[derive(Debug, Clone, Default)]
pub struct FoldedRatings<'a> {
    /// Users.
    pub users: Vec<Id<'a>>,
    /// Items.
    pub items: Vec<Id<'a>>,
    /// Ratings.
    pub values: Vec<f32>,
    /// Weights.
    pub weights: Vec<f32>,
}

/// Name of the file with the ratings of folded-in users or items.
#[must_use]
pub const fn folded_file(axis: Axis) -> &'static str {
    match axis {
        Axis::User => "folded_user_ratings.parquet",
        Axis::Item => "folded_item_ratings.parquet",
    }
}

impl FoldedRatings<'_> {
    /// Writes the ratings as Parquet, with the columns `user_id`, `item_id`, `rating` and `weight`.
    ///
    /// `integer` says whether the user ids and the item ids are integers.
    ///
    /// # Errors
    /// [`Error::Write`], naming `shown`.
    pub fn write(&self, path: &Path, shown: &Path, integer: (bool, bool)) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let columns = vec![
                ids("user_id", integer.0, &self.users).into_column(),
                ids("item_id", integer.1, &self.items).into_column(),
                Series::new("rating".into(), &self.values).into_column(),
                Series::new("weight".into(), &self.weights).into_column(),
            ];
            let mut frame = DataFrame::new(self.values.len(), columns).map_err(into_io)?;
            let file = File::create(path)?;
            parquet_writer(&file, frame.schema()).finish(&mut frame).map_err(into_io)?;
            file.sync_all()
        };
        write().map_err(|source| Error::Write { path: shown.to_owned(), source })
    }
}
