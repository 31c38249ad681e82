//! Compares a new model with an earlier model on the same held-out cells.

use super::held_out::HeldOut;
use super::ranked::{Ranked, Relevance, Vectors};
use super::results::Comparison;
use super::sets::Sets;
use super::warm::{Units, placed};
use crate::error::Result;
use crate::job::Job;
use crate::metric::RatingErrors;
use crate::model::{Factors, Model, Scale, Scorer};
use crate::ratings::Cell;
use crate::settings::Plan;

/// Measures new factors and an earlier model on the held-out cells whose users and items both know.
pub(super) fn compare(
    plan: &Plan,
    sets: &Sets,
    new: &Scorer<'_>,
    model: &Model,
    job: &Job<'_>,
) -> Result<Comparison> {
    let (ids, units) = (&*sets.ids, Units { vectors: 1.0, biases: 1.0 });
    let (user_rows, item_rows) =
        (ids.users.rows_among(&model.users.ids), ids.items.rows_among(&model.items.ids));
    let factors = Factors {
        users: placed(&model.factors.users, &user_rows, units),
        items: placed(&model.factors.items, &item_rows, units),
    };
    let trained = &sets.ratings;
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
                let score = scorer.score(job.kernels, Some(user), Some(item));
                errors.push(f64::from(cell.value) - scorer.clip(score));
            }
            errors.metrics()
        };
        (outcome.previous, outcome.new) = (errors(&previous), errors(new));
    }
    if !plan.watch.sampled && !shared.is_empty() {
        let held_out = HeldOut { cells: &shared, ..sets.held_out() };
        let relevance = Relevance { from: plan.watch.relevant_from, sample: None };
        let ranked = Ranked::new(held_out, &relevance);
        let measured = |scorer: &Scorer<'_>| {
            let Factors { users, items } = scorer.factors;
            let by = ranked.items(items, &scorer.scale);
            let items = by.as_ref().unwrap_or(items);
            let vectors = Vectors { users: &users.vectors, items };
            let ranking = ranked.measure(vectors, &plan.watch.metrics, job)?;
            Ok(Some(ranked.summary(&ranking)))
        };
        (outcome.ranking, outcome.new_ranking) = (measured(&previous)?, measured(new)?);
    }
    Ok(outcome)
}
