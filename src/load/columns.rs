//! The rows of all inputs as columns.

use super::reports::{InputReport, Reject};
use crate::ids::Ids;
use crate::pair::Pair;

/// Consecutive rows of an input as columns, with dense positions in place of ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Positions of the users.
    pub users: Vec<u32>,
    /// Positions of the items.
    pub items: Vec<u32>,
    /// The ratings.
    pub values: Vec<f32>,
    /// The weights, if there is a weight column.
    pub weights: Option<Vec<f32>>,
    /// Times in seconds since 1970, if every training input has times.
    pub times: Option<Vec<i64>>,
    /// Number of the input, from 0.
    pub input: usize,
}

/// The usable rows of all inputs, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// The external ids of the users.
    pub users: Ids,
    /// The external ids of the items.
    pub items: Ids,
    /// The names of the id columns in the first input; numbers from 1 without header.
    pub id_columns: Pair<String>,
    /// The rows.
    pub chunks: Vec<Chunk>,
    /// Reports about the inputs.
    pub inputs: Vec<InputReport>,
    /// Warnings about inputs that could be read.
    pub warnings: Vec<String>,
    /// Rows that were set aside.
    pub rejects: Vec<Reject>,
    /// Number of inputs with test ratings; they come last.
    pub n_test: usize,
    /// Number of rows left out because their weight is 0.
    pub zero_weight: u64,
    /// Number of rows left out because of `since` and `until`.
    pub outside_time: u64,
    /// Number of rows left out because they have no id.
    pub without_id: u64,
    /// Number of rows left out because their rating means that there is none.
    pub dropped_ratings: u64,
}

impl Interactions {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.values.len()).sum()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the rows have times.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.chunks.first().is_some_and(|c| c.times.is_some())
    }
}
