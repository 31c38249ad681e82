//! What an earlier model of the same kind is good for: a start, and a comparison.

use serde::Serialize;

use super::super::measure::{Held, Ranked, RankingMetrics, Relevance};
use super::super::report::Errors;
use super::{Sets, Training};
use crate::error::Result;
use crate::ids::{Axis, Ids};
use crate::metric::RatingErrors;
use crate::model::{Embedding, Factors, Model, Scale, Scorer};
use crate::ratings::{Cell, Ratings, Side};
use crate::train::start;

/// The errors of this model and of an earlier one on the held-out cells whose user and item both know.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Held-out cells compared.
    pub n: u64,
    /// Errors of the earlier model, clipped to the range of today's training ratings.
    #[serde(flatten)]
    pub previous: Errors,
    /// Errors of this model on the same cells.
    pub new: Errors,
    /// Rankings by the earlier model, of the same cells, where rankings are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingMetrics>,
    /// Rankings by this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_ranking: Option<RankingMetrics>,
}

/// The earlier model's vectors and biases in the order of these rows; zero where it has none.
fn placed(side: &Embedding, rows: &[Option<u32>], (vectors, biases): (f64, f64)) -> Embedding {
    let mut placed = Embedding::zeros(rows.len(), side.vectors.cols());
    for (to, from) in rows.iter().enumerate() {
        let Some(from) = from.map(|row| row as usize) else { continue };
        placed.vectors.row_mut(to).copy_from_slice(side.vectors.row(from));
        placed.biases[to] = (f64::from(side.biases[from]) / biases) as f32;
    }
    placed.vectors.scale((1.0 / vectors) as f32);
    placed
}

/// Starting factors from an earlier model, on the scale of standardised ratings with this deviation: its
/// vectors for the rows that it has, random ones for other rows, zero for rows without ratings.
pub(super) fn start_from(
    model: &Model,
    (users, items): (&Ids, &Ids),
    ratings: &Ratings,
    (user_keys, item_keys): (&[u64], &[u64]),
    (deviation, seed): (f64, u64),
) -> Factors {
    let side = |axis, side: &Embedding, rows: &[Option<u32>], keys: &[u64], cells: &Side| {
        let mut begun = placed(side, rows, (deviation.sqrt(), deviation));
        let random = start(seed, axis, keys, side.vectors.cols());
        for (row, known) in rows.iter().enumerate() {
            if cells.count(row) == 0 {
                begun.vectors.row_mut(row).fill(0.0);
                begun.biases[row] = 0.0;
            } else if known.is_none() {
                begun.vectors.row_mut(row).copy_from_slice(random.row(row));
            }
        }
        begun
    };
    let Factors { users: p, items: q } = &model.factors;
    let (user_rows, item_rows) =
        (users.rows_among(&model.users.ids), items.rows_among(&model.items.ids));
    Factors {
        users: side(Axis::User, p, &user_rows, user_keys, &ratings.by_user),
        items: side(Axis::Item, q, &item_rows, item_keys, &ratings.by_item),
    }
}

impl Training<'_> {
    /// Measures an earlier model beside new factors.
    pub(super) fn compare(
        &self,
        sets: &Sets<'_>,
        (users, items): (&Ids, &Ids),
        new: &Scorer<'_>,
        model: &Model,
    ) -> Result<Comparison> {
        let (user_rows, item_rows) =
            (users.rows_among(&model.users.ids), items.rows_among(&model.items.ids));
        let factors = Factors {
            users: placed(&model.factors.users, &user_rows, (1.0, 1.0)),
            items: placed(&model.factors.items, &item_rows, (1.0, 1.0)),
        };
        let trained = sets.ratings;
        let both = |cell: &&Cell| {
            let (user, item) = (cell.user as usize, cell.item as usize);
            let known = user_rows[user].is_some() && item_rows[item].is_some();
            known && trained.by_user.count(user) > 0 && trained.by_item.count(item) > 0
        };
        let shared: Vec<Cell> = sets.holdout.iter().filter(both).copied().collect();
        let previous =
            Scorer { factors: &factors, scale: Scale { range: new.scale.range, ..model.scale } };
        let mut outcome = Comparison { n: shared.len() as u64, ..Comparison::default() };
        if new.scale.rates() {
            let errors = |scorer: &Scorer<'_>| {
                let mut errors = RatingErrors::default();
                for cell in &shared {
                    let (user, item) = (cell.user as usize, cell.item as usize);
                    let score = scorer.score(self.kernels, Some(user), Some(item));
                    errors.push(f64::from(cell.value) - scorer.clip(score));
                }
                Errors::from(&errors)
            };
            (outcome.previous, outcome.new) = (errors(&previous), errors(new));
        }
        if !self.unasked_metrics && !shared.is_empty() {
            let held = Held { cells: &shared, ..sets.held() };
            let relevance = Relevance { from: self.config.relevant_from, sample: None };
            let ranked = Ranked::new(held, &relevance);
            let measured = |scorer: &Scorer<'_>| {
                let Factors { users, items } = scorer.factors;
                let by = ranked.items(items, &scorer.scale);
                let vectors = (&users.vectors, by.as_ref().unwrap_or(items));
                let ranking =
                    ranked.measure(vectors, &self.config.metrics, self.kernels, self.stop)?;
                Ok(Some(ranked.summary(&ranking)))
            };
            (outcome.ranking, outcome.new_ranking) = (measured(&previous)?, measured(new)?);
        }
        Ok(outcome)
    }
}
