//! A trained model with its external ids.

use super::{Embedding, Factors, Scale, Scorer, Uncertainty};
use crate::ids::Ids;
use crate::ratings::{Ratings, Side};

/// One side of a model; it holds only rows with training ratings.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// External ids, sorted; row `i` of the vectors belongs to id `i`.
    pub ids: Ids,
    /// Number of training ratings per row.
    pub counts: Vec<u32>,
}

/// Factors on the rating scale, with their external ids.
///
/// `score(u, i) = mean + b_u + b_i + p_u · q_i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Vectors and biases; their rows match `users` and `items`.
    pub factors: Factors,
    /// The users.
    pub users: Trained,
    /// The items.
    pub items: Trained,
    /// How vectors and biases become scores; the deviation is 1.
    pub scale: Scale,
    /// The uncertainty of a Bayesian fit. It is rotated together with the factors.
    pub uncertainty: Option<Uncertainty>,
}

impl Model {
    /// Builds a model from factors on the rating scale. Keeps only rows that have training ratings.
    #[must_use]
    pub fn new(
        factors: &Factors,
        users: &Ids,
        items: &Ids,
        training: &Ratings,
        scale: &Scale,
    ) -> Self {
        let (users, p) = trained(users, &training.by_user, &factors.users);
        let (items, q) = trained(items, &training.by_item, &factors.items);
        let scale = Scale { deviation: 1.0, ..*scale };
        let factors = Factors { users: p, items: q };
        Self { factors, users, items, scale, uncertainty: None }
    }

    /// If the product of [`Model::median_norms`] is below this, all preference scores are about 0.
    pub const COLLAPSED: f64 = 1e-4;

    /// The median norms of the user vectors and of the item vectors; 0 without rows.
    #[must_use]
    pub fn median_norms(&self) -> (f64, f64) {
        let median = |side: &Embedding| {
            let norms =
                (0..side.vectors.rows()).map(|row| side.vectors.row_norm_squared(row).sqrt());
            let mut norms: Vec<f64> = norms.collect();
            let middle = norms.len() / 2;
            if norms.is_empty() {
                return 0.0;
            }
            *norms.select_nth_unstable_by(middle, f64::total_cmp).1
        };
        (median(&self.factors.users), median(&self.factors.items))
    }

    /// The scorer over this model's rows.
    #[must_use]
    pub const fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }
}

fn trained(ids: &Ids, side: &Side, embedding: &Embedding) -> (Trained, Embedding) {
    let known = |row: usize| side.count(row) > 0;
    let counts = (0..side.rows()).map(|row| side.count(row)).filter(|&n| n > 0);
    let counts = counts.map(|n| u32::try_from(n).unwrap_or(u32::MAX)).collect();
    (Trained { ids: ids.select(known), counts }, embedding.select(known))
}
