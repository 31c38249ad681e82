//! Merges and splits sets of cells, and arranges them as rows.

use std::cmp::Ordering;

use crate::ids::Ids;
use crate::load::prepare::{Duplicates, merge};
use crate::pair::Pair;
use crate::ratings::{Cell, Ratings, Side};
use crate::settings::Watch;
use crate::split::{Parts, Split};

/// Returns the values of all cells.
pub(crate) fn values(parts: &Parts) -> impl Iterator<Item = f32> + Clone {
    let Parts { training, fold_in, holdout } = parts;
    training.iter().chain(fold_in).chain(holdout).map(|cell| cell.value)
}

/// Returns all cells, training and held-out cells, sorted.
pub(crate) fn all_cells(parts: &Parts, duplicates: Duplicates) -> Vec<Cell> {
    let Parts { training, fold_in, holdout } = parts;
    match fold_in.is_empty() {
        true => union(training, holdout, duplicates),
        false => union(&union(training, fold_in, duplicates), holdout, duplicates),
    }
}

/// Returns the cells that held-out users are folded in from, as rows over all users.
///
/// Cells of items without training ratings are left out, because they cannot contribute. Returns
/// `None` if no users are held out.
pub(crate) fn fold_in_side(fold_in: &[Cell], training: &Ratings) -> Option<Side> {
    let usable = |cell: &&Cell| training.by_item.count(cell.item as usize) > 0;
    let usable: Vec<Cell> = fold_in.iter().filter(usable).copied().collect();
    let side = || Ratings::from_sorted(training.users(), training.items(), &usable).by_user;
    (!fold_in.is_empty()).then(side)
}

/// Splits the validation part off the training cells if `--patience` is set.
///
/// Returns the training cells and the validation cells.
pub(crate) fn cut_validation(
    watch: &Watch,
    cells: Vec<Cell>,
    ids: Pair<&Ids>,
) -> (Vec<Cell>, Vec<Cell>) {
    if watch.patience.is_none() {
        return (cells, Vec::new());
    }
    cut(&watch.validation, cells, ids)
}

/// Splits cells by a rule, and returns the training cells and the held-out cells.
pub(crate) fn cut(rule: &Split, cells: Vec<Cell>, ids: Pair<&Ids>) -> (Vec<Cell>, Vec<Cell>) {
    let Parts { training, holdout, .. } = rule.apply(cells, ids.users, ids.items);
    (training, holdout)
}

/// Merges two sorted sets of cells.
///
/// A cell in both sets (possible after a split by time) is resolved like a duplicate.
pub(crate) fn union(first: &[Cell], second: &[Cell], duplicates: Duplicates) -> Vec<Cell> {
    let mut all = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    let key = |c: &Cell| (c.user, c.item);
    while let (Some(&x), Some(&y)) = (a.peek(), b.peek()) {
        match key(x).cmp(&key(y)) {
            Ordering::Less => all.extend(a.next().copied()),
            Ordering::Greater => all.extend(b.next().copied()),
            Ordering::Equal => {
                all.push(merge(&[*x, *y], duplicates));
                a.next();
                b.next();
            }
        }
    }
    all.extend(a);
    all.extend(b);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_is_sorted_and_resolves_duplicates() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let all = union(
            &[cell(0, 1, 1.0), cell(0, 3, 1.0), cell(2, 0, 1.0)],
            &[cell(0, 0, 2.0), cell(0, 3, 2.0), cell(3, 0, 2.0)],
            Duplicates::Mean,
        );
        let of: Vec<_> = all.iter().map(|c| (c.user, c.item, c.value)).collect();
        assert_eq!(of, [(0, 0, 2.0), (0, 1, 1.0), (0, 3, 1.5), (2, 0, 1.0), (3, 0, 2.0)]);
    }
}
