//! The k-core: users and items with enough ratings of each other.

use crate::ratings::Cell;

/// Minimum numbers of cells of users and items in the k-core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinimumCounts {
    /// Minimum number of cells of a user.
    pub user: u32,
    /// Minimum number of cells of an item.
    pub item: u32,
}

/// User and item of a cell as one number, which sorts by user, then item.
pub(super) const fn key(cell: &Cell) -> u64 {
    (cell.user as u64) << 32 | cell.item as u64
}

/// Maximum number of rounds of [`k_core`] over all cells, before [`peel`] takes over. A chain of
/// users and items can need as many rounds as its length.
const ROUNDS: usize = 8;

/// Removes users and items with too few cells until all remaining ones have enough.
pub(super) fn k_core(cells: &mut Vec<Cell>, minimum: MinimumCounts, users: usize, items: usize) {
    if minimum.user <= 1 && minimum.item <= 1 {
        return;
    }
    for _ in 0..ROUNDS {
        let (mut by_user, mut by_item) = (vec![0_u32; users], vec![0_u32; items]);
        for (user, item) in pairs(cells) {
            by_user[user] += 1;
            by_item[item] += 1;
        }
        let before = cells.len();
        cells.retain(|c| {
            by_user[c.user as usize] >= minimum.user && by_item[c.item as usize] >= minimum.item
        });
        if cells.len() == before {
            return;
        }
    }
    peel(cells, minimum, users, items);
}

/// The user and item of every cell. A cell on both sides of a boundary in time counts once.
fn pairs(cells: &[Cell]) -> impl Iterator<Item = (usize, usize)> {
    let mut previous = None;
    let new = move |cell: &&Cell| previous.replace(key(cell)) != Some(key(cell));
    cells.iter().filter(new).map(|cell| (cell.user as usize, cell.item as usize))
}

/// Computes the same core by removing one user or item after the other.
///
/// It looks at every cell a constant number of times and needs 8 bytes per cell.
fn peel(cells: &mut Vec<Cell>, minimum: MinimumCounts, users: usize, items: usize) {
    // Rows are numbered users first, then items.
    let least = |row: usize| if row < users { minimum.user } else { minimum.item };
    let mut counts = vec![0_usize; users + items];
    for (user, item) in pairs(cells) {
        counts[user] += 1;
        counts[users + item] += 1;
    }
    // Starts of the neighbours of each row. The next loop advances them to the ends.
    let mut ends: Vec<usize> =
        counts.iter().scan(0, |end, count| Some(std::mem::replace(end, *end + count))).collect();
    let mut neighbours = vec![0_u32; counts.iter().sum()];
    for (user, item) in pairs(cells) {
        for (row, other) in [(user, users + item), (users + item, user)] {
            neighbours[ends[row]] = other as u32;
            ends[row] += 1;
        }
    }
    let begins = |row: usize| if row == 0 { 0 } else { ends[row - 1] };
    let mut gone: Vec<bool> =
        counts.iter().enumerate().map(|(row, count)| *count < least(row) as usize).collect();
    let mut next: Vec<usize> = (0..gone.len()).filter(|&row| gone[row]).collect();
    while let Some(row) = next.pop() {
        for &other in &neighbours[begins(row)..ends[row]] {
            let other = other as usize;
            counts[other] -= 1;
            if !gone[other] && counts[other] < least(other) as usize {
                gone[other] = true;
                next.push(other);
            }
        }
    }
    cells.retain(|c| !gone[c.user as usize] && !gone[users + c.item as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(u32, u32)]) -> Vec<Cell> {
        let cell = |&(user, item): &(u32, u32)| Cell { user, item, ..Cell::default() };
        pairs.iter().map(cell).collect()
    }

    /// The definition of the core, applied round by round.
    fn naive(cells: &mut Vec<Cell>, minimum: MinimumCounts) {
        loop {
            let before = cells.clone();
            let user = |c: &Cell| before.iter().filter(|d| d.user == c.user).count();
            let item = |c: &Cell| before.iter().filter(|d| d.item == c.item).count();
            cells.retain(|c| user(c) >= minimum.user as usize && item(c) >= minimum.item as usize);
            if cells.len() == before.len() {
                return;
            }
        }
    }

    #[test]
    fn what_is_left_is_the_largest_core() {
        for seed in 0..20_u32 {
            let mix = |n: u32| (n + 1000 * seed).wrapping_mul(2_654_435_769) >> 16;
            let mut pairs: Vec<(u32, u32)> = (0..250)
                .map(|n| (mix(2 * n) % (20 + 5 * seed), mix(2 * n + 1) % (60 - 2 * seed)))
                .collect();
            pairs.sort_unstable();
            pairs.dedup();
            let minimum = MinimumCounts { user: 1 + seed % 4, item: 2 + seed % 3 };
            let mut expected = cells(&pairs);
            let (mut all, mut peeled) = (expected.clone(), expected.clone());
            naive(&mut expected, minimum);
            k_core(&mut all, minimum, 120, 60);
            peel(&mut peeled, minimum, 120, 60);
            assert!(all == expected && peeled == expected, "{seed}");
        }
    }

    #[test]
    fn a_chain_is_taken_apart_in_one_go() {
        // User n has the items n and n + 1. Without the last item, users are removed one by one.
        let length = 200_000;
        let mut pairs: Vec<(u32, u32)> = (0..length).flat_map(|n| [(n, n), (n, n + 1)]).collect();
        pairs.pop();
        let mut chain = cells(&pairs);
        let (rows, minimum) = (length as usize + 1, MinimumCounts { user: 2, item: 1 });
        k_core(&mut chain, minimum, rows, rows);
        assert_eq!(chain.len(), pairs.len() - 1);
        k_core(&mut chain, MinimumCounts { user: 2, item: 2 }, rows, rows);
        assert!(chain.is_empty());
    }
}
