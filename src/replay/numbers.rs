//! Positions of ids in a model, and numbers for unknown ids.

use std::collections::HashMap;

use crate::ids::{Id, Ids};
use crate::pair::Pair;
use crate::ratings::Cell;

/// Numbers for ids.
///
/// Known ids have their positions in the model. Unknown ids have the numbers after those, in order
/// of appearance.
pub(crate) struct Numbers<'m> {
    known: &'m Ids,
    unknown: HashMap<String, u32>,
    /// The texts of the unknown ids, in order of appearance.
    pub names: Vec<String>,
}

impl<'m> Numbers<'m> {
    pub(crate) fn new(known: &'m Ids) -> Self {
        Self { known, unknown: HashMap::new(), names: Vec::new() }
    }

    /// The position of an id in the model.
    fn position(&self, id: Id<'_>) -> Option<usize> {
        match id {
            Id::Int(id) => self.known.find_int(id),
            Id::Text(id) => self.known.find(id).filter(|_| canonical(id, self.known)),
        }
    }

    /// The number of an id, if it has one.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        let known = self.position(Id::Text(id)).map(|position| position as u32);
        known.or_else(|| self.unknown.get(id).copied())
    }

    /// The number of an id; an unknown id without a number gets the next one.
    fn number(&mut self, id: Id<'_>) -> u32 {
        if let Some(position) = self.position(id) {
            return position as u32;
        }
        let next = (self.known.len() + self.unknown.len()) as u32;
        let names = &mut self.names;
        *self.unknown.entry(id.text().into_owned()).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }

    /// How many ids have a number.
    pub(crate) fn len(&self) -> usize {
        self.known.len() + self.unknown.len()
    }

    /// The numbers of these ids, in their order.
    pub(crate) fn of(&mut self, ids: &Ids) -> Vec<u32> {
        (0..ids.len()).map(|at| self.number(ids.get(at))).collect()
    }
}

/// Whether a text is the canonical form of an id: "007" and " 7" are not the integer 7.
fn canonical(id: &str, ids: &Ids) -> bool {
    match ids {
        Ids::Int(_) => id.parse::<i64>().is_ok_and(|number| number.to_string() == id),
        Ids::Text(_) => true,
    }
}

/// Replaces the users and items of cells by their numbers and sorts the result.
pub(crate) fn translate(cells: &[Cell], numbers: &Pair<Vec<u32>>) -> Vec<Cell> {
    let number = |cell: &Cell| Cell {
        user: numbers.users[cell.user as usize],
        item: numbers.items[cell.item as usize],
        ..*cell
    };
    let mut cells: Vec<Cell> = cells.iter().map(number).collect();
    cells.sort_unstable_by_key(|c| (c.user, c.item));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ids_are_numbered_behind_the_known_ones() {
        let known = Ids::Int(vec![3, 7, 9]);
        let mut numbers = Numbers::new(&known);
        let texts = Ids::Text(vec!["07".into(), "7".into(), "x".into()]);
        // "07" is not the integer 7.
        assert_eq!(numbers.of(&texts), [3, 1, 4]);
        assert_eq!(numbers.of(&Ids::Int(vec![9, 10])), [2, 5]);
        assert_eq!(numbers.of(&texts), [3, 1, 4], "the same numbers again");
        assert_eq!(
            (numbers.len(), &numbers.names[..]),
            (6, &["07", "x", "10"].map(String::from)[..])
        );
        assert_eq!(["7", "x", "y"].map(|id| numbers.find(id)), [Some(1), Some(4), None]);
    }

    #[test]
    fn translated_cells_are_sorted_again() {
        let cell = |user, item| Cell { user, item, value: 1.0, weight: 1.0, time: 0 };
        let cells = [cell(0, 0), cell(0, 1), cell(1, 0)];
        let numbers = Pair::new(vec![5, 2], vec![9, 8]);
        assert_eq!(translate(&cells, &numbers), [cell(2, 9), cell(5, 8), cell(5, 9)]);
    }
}
