use super::*;
use crate::ratings::Cell;

#[test]
fn every_cell_lies_in_one_block() {
    let mut cells = Vec::new();
    for user in 0..70_u32 {
        for item in (0..90_u32).filter(|i| (user * 31 + i * 17) % 7 < 2 || user == 3) {
            cells.push(Cell { user, item, value: 1.0, weight: 1.0, time: 0 });
        }
    }
    let ratings = Ratings::from_sorted(70, 90, &cells);
    let grid = Grid::new(&ratings, &Scale::preferences(), 1.0);
    assert_eq!((grid.ranges, grid.users.len(), grid.items.len()), (4, 4, 4));
    let mut seen = Vec::new();
    for (at, block) in grid.blocks.iter().enumerate() {
        let (row, col) = (&grid.users[at / 4], &grid.items[at % 4]);
        for (&u, &i) in block.users.iter().zip(&block.items) {
            seen.push((row.start + u as usize, col.start + i as usize));
            assert!(row.contains(&seen[seen.len() - 1].0));
            assert!(col.contains(&seen[seen.len() - 1].1));
        }
    }
    seen.sort_unstable();
    let want: Vec<_> = cells.iter().map(|c| (c.user as usize, c.item as usize)).collect();
    assert_eq!(seen, want);
    // With fewer rows than ranges, some ranges are empty.
    let few = Ratings::from_sorted(2, 1, &cells[..1]);
    assert_eq!(cut(&few.by_user, 4).iter().map(Range::len).sum::<usize>(), 2);
}
