//! Names of the files in a model directory.

/// Vectors and biases of the users.
pub const USER_FACTORS: &str = "user_factors.parquet";
/// See [`USER_FACTORS`].
pub const ITEM_FACTORS: &str = "item_factors.parquet";
/// See [`USER_FACTORS`].
pub const MANIFEST: &str = "manifest.json";
/// See [`USER_FACTORS`].
pub const METRICS: &str = "metrics.json";

/// The prefix of the file names of a posterior sample; `number` counts from 0, the name from 1.
pub(crate) fn sample_prefix(number: usize) -> String {
    format!("sample_{:03}_", number + 1)
}
