//! Aligns the vectors of a run with those of an earlier run.

use super::previous::Previous;
use crate::ids::Ids;
use crate::model::{Model, Rotation, median_cosine, neighbour_overlap};
use crate::store::Alignment;

/// Rows of the same id in both models: the row in this model, the row in the earlier one.
fn shared(ids: &Ids, before: &Ids) -> Vec<(u32, u32)> {
    let rows = ids.rows_among(before);
    let pair = |(at, row): (usize, &Option<u32>)| row.map(|row| (at as u32, row));
    rows.iter().enumerate().filter_map(pair).collect()
}

/// Aligns the vectors with those of an earlier run if `turn` is set, and measures how they moved.
///
/// The rotation is fitted on the items that both models have. `None` if the model has no vectors,
/// if the ranks differ, or if no rotation can be fitted.
pub(super) fn align(model: &mut Model, previous: &Previous, turn: bool) -> Option<Alignment> {
    let before = &previous.model;
    if model.factors.rank() == 0 || model.factors.rank() != before.factors.rank() {
        return None;
    }
    let items = shared(&model.items.ids, &before.items.ids);
    let users = shared(&model.users.ids, &before.users.ids);
    let (own, old) = (&model.factors.items.vectors, &before.factors.items.vectors);
    let mut moved = Alignment {
        shared_users: users.len(),
        shared_items: items.len(),
        median_cosine_before: median_cosine(own, old, &items),
        overlap_at_10: neighbour_overlap(own, old, &items),
        ..Alignment::default()
    };
    if turn {
        let rotation = Rotation::procrustes(own, old, &items)?;
        rotation.rotate_factors(&mut model.factors);
        if let Some(uncertainty) = &mut model.uncertainty {
            uncertainty.rotate(&rotation);
        }
    }
    let (own, old) = (&model.factors, &before.factors);
    moved.median_cosine_after = median_cosine(&own.items.vectors, &old.items.vectors, &items);
    moved.user_median_cosine_after = median_cosine(&own.users.vectors, &old.users.vectors, &users);
    Some(moved)
}
