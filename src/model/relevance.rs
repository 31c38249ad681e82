//! The order of recommendation lists.
//!
//! A rating model predicts how a user rates an item, not whether the user ever encounters it. Its
//! highest predictions are for items that few people chose. The probability that a user chooses an
//! item is roughly the item's popularity times a factor that grows with the rating:
//!
//! ```text
//! ln P(user chooses item) = ln n_i + r̂_ui / s + constant
//! ```
//!
//! Lists are therefore ordered by `r̂_ui + s ln((n_i + 1) / (n_max + 1))`, where `s` is the
//! standard deviation of the ratings. This is the predicted rating minus a penalty for being less
//! popular than the most popular item.

use serde::{Deserialize, Serialize};

use super::Embedding;
use crate::error::{Error, Result};

/// The order of the lists of a rating model. Preference scores are relevance already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// The predicted rating combined with the popularity of the item.
    Relevance,
    /// The predicted rating alone, or the preference of ials.
    Rating,
}

impl RankBy {
    /// The order of the lists: the requested one, or the default. No order can be requested for a
    /// model whose scores are preferences.
    ///
    /// # Errors
    /// [`Error::Usage`] if an order is requested for such a model.
    pub fn chosen(asked: Option<Self>, rates: bool) -> Result<Self> {
        match (asked, rates) {
            (Some(_), false) => Err(Error::Usage(
                "--rank-by goes with models of ratings: the scores of ials are relevance already"
                    .into(),
            )),
            (Some(asked), true) => Ok(asked),
            (None, true) => Ok(Self::Relevance),
            (None, false) => Ok(Self::Rating),
        }
    }
}

/// Adds the effect of popularity to the items' biases.
///
/// The bias of an item grows by `deviation` times `ln((n + 1) / (n_max + 1))`, where `n` is its
/// number of training ratings and `n_max` that of the most popular item.
#[must_use]
pub fn by_relevance(items: &Embedding, counts: &[u32], deviation: f64) -> Embedding {
    let most = f64::from(counts.iter().copied().max().unwrap_or(0)) + 1.0;
    let shifted = |(&bias, &count): (&f32, &u32)| {
        (f64::from(bias) + deviation * ((f64::from(count) + 1.0) / most).ln()) as f32
    };
    Embedding {
        vectors: items.vectors.clone(),
        biases: items.biases.iter().zip(counts).map(shifted).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;

    #[test]
    fn popularity_is_taken_off_what_is_less_popular() {
        let items = Embedding { vectors: Matrix::zeros(3, 2), biases: vec![0.5, 0.5, 1.0] };
        let ranked = by_relevance(&items, &[99, 9, 0], 2.0);
        let ln10 = 10.0_f64.ln();
        for (got, want) in ranked.biases.iter().zip([0.5, 0.5 - 2.0 * ln10, 1.0 - 4.0 * ln10]) {
            assert!((f64::from(*got) - want).abs() < 1e-6);
        }
        assert_eq!(ranked.vectors, items.vectors);
    }
}
