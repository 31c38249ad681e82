use super::*;
use proptest::prelude::*;

fn cells() -> impl Strategy<Value = Vec<Cell>> {
    proptest::collection::btree_map((0_u32..40, 0_u32..30), (-2.0_f32..5.0, 0.5_f32..2.0), 0..300)
        .prop_map(|map| {
            let cell =
                |((user, item), (value, weight))| Cell { user, item, value, weight, time: 0 };
            map.into_iter().map(cell).collect()
        })
}

proptest! {
    #[test]
    fn both_orientations_hold_the_same_cells(cells in cells()) {
        let ratings = Ratings::from_sorted(40, 30, &cells);
        prop_assert_eq!(
            ratings.by_user.values.to_other_storage().transpose_into(),
            ratings.by_item.values.clone()
        );
        let mut back = Vec::new();
        for item in 0..30 {
            let row = ratings.by_item.row(item);
            for p in 0..row.len() {
                let weight = row.weights.map_or(1.0, |w| w[p]);
                back.push(Cell {
                    user: row.indices[p],
                    item: item as u32,
                    value: row.values[p],
                    weight,
                    time: 0,
                });
            }
        }
        back.sort_by_key(|c| (c.user, c.item));
        prop_assert_eq!(back, cells);
    }
}

#[test]
fn explicit_zeros_are_cells() {
    let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
    let ratings = Ratings::from_sorted(2, 2, &[cell(0, 0, 0.0), cell(0, 1, 3.0), cell(1, 1, 0.0)]);
    assert_eq!((ratings.len(), ratings.by_item.values.nnz()), (3, 3));
    assert_eq!(ratings.by_item.row(1).values, &[3.0, 0.0]);
    assert_eq!(ratings.moments().mean, 1.0);
}

#[test]
fn moments_are_weighted_and_never_zero() {
    let cell = |item, value, weight| Cell { user: 0, item, value, weight, time: 0 };
    let m = Ratings::from_sorted(1, 2, &[cell(0, 1.0, 3.0), cell(1, 5.0, 1.0)]).moments();
    assert_eq!((m.mean, m.deviation, m.min, m.max), (2.0, 3.0_f64.sqrt(), 1.0, 5.0));
    let m = Ratings::from_sorted(1, 2, &[cell(0, 4.1, 1.0), cell(1, 4.1, 1.0)]).moments();
    assert_eq!(m.deviation, 1.0);
    assert_eq!(Ratings::from_sorted(0, 0, &[]).moments().mean, 0.0);
}

#[test]
fn ranges_cover_all_rows_once() {
    for counts in [vec![0; 5], vec![900, 0, 1, 300], vec![], vec![7], vec![1; 100]] {
        let mut offsets: Vec<usize> = std::iter::once(0).chain(counts.clone()).collect();
        prefix_sum(&mut offsets);
        let ranges = row_ranges(&offsets);
        assert!(ranges.iter().all(|r| r.start < r.end));
        let covered: Vec<usize> = ranges.into_iter().flatten().collect();
        assert_eq!(covered, (0..counts.len()).collect::<Vec<_>>());
    }
}
