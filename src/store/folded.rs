//! The ratings that rows were folded in from, stored alongside the factors.
//!
//! Recommendations, explanations and measurements then need no other file.

use crate::pair::Pair;
use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use super::factors::{into_io, parquet_writer};
use super::ranked::ids;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id};

/// Ratings with external ids, stored by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoldedRatings<'a> {
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
pub(crate) const fn folded_file(axis: Axis) -> &'static str {
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
    pub(crate) fn write(&self, path: &Path, shown: &Path, integer: Pair<bool>) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let columns = vec![
                ids("user_id", integer.users, &self.users).into_column(),
                ids("item_id", integer.items, &self.items).into_column(),
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
