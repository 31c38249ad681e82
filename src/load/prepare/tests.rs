use super::*;
use proptest::prelude::*;

type Row = (u32, u32, f32, f32, i64);

fn interactions(chunks: &[Vec<Row>]) -> Interactions {
    let chunk = |rows: &Vec<Row>| Chunk {
        users: rows.iter().map(|r| r.0).collect(),
        items: rows.iter().map(|r| r.1).collect(),
        values: rows.iter().map(|r| r.2).collect(),
        weights: Some(rows.iter().map(|r| r.3).collect()),
        times: Some(rows.iter().map(|r| r.4).collect()),
        input: 0,
    };
    Interactions {
        users: Ids::range(50),
        items: Ids::range(50),
        id_columns: crate::pair::Pair::default(),
        chunks: chunks.iter().map(chunk).collect(),
        inputs: Vec::new(),
        warnings: Vec::new(),
        without_id: 0,
        dropped_ratings: 0,
        rejects: Vec::new(),
        n_test: 0,
        zero_weight: 0,
        outside_time: 0,
    }
}

fn run(rows: &[Row], duplicates: Duplicates, minimum: MinimumCounts) -> Result<Prepared> {
    let preparation = Preparation { duplicates, minimum, ..Preparation::default() };
    prepare(interactions(&[rows.to_vec()]), &preparation, &AtomicBool::new(false))
}

const TWICE: [Row; 4] =
    [(0, 1, 2.0, 1.0, 30), (0, 1, 5.0, 3.0, 10), (0, 1, 3.0, 1.0, 30), (2, 0, 1.0, 1.0, 0)];

#[test]
fn each_policy_resolves_duplicates_as_documented() {
    for (policy, value, weight) in [
        (Duplicates::Last, 3.0, 1.0),
        (Duplicates::First, 5.0, 3.0),
        (Duplicates::Max, 5.0, 3.0),
        (Duplicates::Mean, 4.0, 5.0),
    ] {
        let prepared = run(&TWICE, policy, MinimumCounts::default()).expect("prepares");
        assert_eq!((prepared.cells.len(), prepared.duplicates), (2, 2));
        assert_eq!(
            (prepared.cells[0].value, prepared.cells[0].weight),
            (value, weight),
            "{policy:?}"
        );
        assert_eq!((prepared.users, prepared.items), (Ids::Int(vec![0, 2]), Ids::range(2)));
    }
    let error = run(&TWICE, Duplicates::Error, MinimumCounts::default()).map(|_| ());
    assert!(matches!(error, Err(Error::Duplicate { count: 1, .. })), "{error:?}");
    assert!(matches!(run(&TWICE, Duplicates::Sum, MinimumCounts::default()), Err(Error::Usage(_))));
    let mut unweighted = interactions(&[TWICE.to_vec()]);
    unweighted.chunks[0].weights = None;
    let stop = AtomicBool::new(false);
    let sum = Preparation { duplicates: Duplicates::Sum, ..Preparation::default() };
    let sum = prepare(unweighted, &sum, &stop).expect("prepares");
    assert_eq!(sum.cells[0].value, 10.0);
}

#[test]
fn the_k_core_is_stable_and_can_be_empty() {
    // User 0 has items 1, 2, 3; user 1 has items 1, 2; user 2 has item 3. When user 2 is removed,
    // item 3 is removed too.
    let cell = |u, i| (u, i, 1.0, 1.0, 0);
    let rows = [cell(0, 1), cell(0, 2), cell(0, 3), cell(1, 1), cell(1, 2), cell(2, 3)];
    let core = run(&rows, Duplicates::Last, MinimumCounts { user: 2, item: 2 }).expect("prepares");
    assert_eq!((core.cells.len(), core.below_minimum, core.items), (4, 2, Ids::Int(vec![1, 2])));
    let empty = run(&rows, Duplicates::Last, MinimumCounts { user: 4, item: 2 });
    assert!(matches!(empty, Err(Error::NothingLeft { .. })));
}

#[test]
fn a_boundary_in_time_keeps_duplicates_apart() {
    let preparation = Preparation { boundary: Some(20), ..Preparation::default() };
    let prepared = prepare(interactions(&[TWICE.to_vec()]), &preparation, &AtomicBool::new(false));
    let cells = prepared.expect("prepares").cells;
    let of: Vec<_> = cells.iter().map(|c| (c.user, c.item, c.value, c.time)).collect();
    assert_eq!(of, [(0, 1, 5.0, 10), (0, 1, 3.0, 30), (1, 0, 1.0, 0)]);
}

#[test]
fn test_inputs_are_prepared_apart_and_taken_out_of_training() {
    let cell = |u, i, v| (u, i, v, 1.0, 0);
    let mut both = interactions(&[
        vec![cell(0, 0, 1.0), cell(0, 5, 2.0), cell(3, 0, 3.0)],
        vec![cell(0, 5, 9.0), cell(7, 9, 8.0)],
    ]);
    both.chunks[1].input = 1;
    both.inputs = vec![crate::load::InputReport::default(); 2];
    both.n_test = 1;
    let prepared =
        prepare(both, &Preparation::default(), &AtomicBool::new(false)).expect("prepares");
    let of = |cells: &[Cell]| cells.iter().map(|c| (c.user, c.item, c.value)).collect::<Vec<_>>();
    assert_eq!(of(&prepared.cells), [(0, 0, 1.0), (1, 0, 3.0)]);
    assert_eq!(of(&prepared.test), [(0, 1, 9.0), (2, 2, 8.0)]);
    assert_eq!((prepared.in_test, prepared.users), (1, Ids::Int(vec![0, 3, 7])));
}

proptest! {
    #[test]
    fn cells_do_not_depend_on_how_rows_are_cut_into_chunks(
        rows in proptest::collection::vec(
            (0_u32..50, 0_u32..50, 0.0_f32..5.0, 0.5_f32..2.0, 0_i64..4),
            1..400
        ),
        cut in 0_usize..400,
    ) {
        let cut = cut.min(rows.len());
        let two = interactions(&[rows[..cut].to_vec(), rows[cut..].to_vec()]);
        let stop = AtomicBool::new(false);
        let two = prepare(two, &Preparation::default(), &stop).expect("prepares");
        let one = run(&rows, Duplicates::Last, MinimumCounts::default()).expect("prepares");
        prop_assert!(one.cells.is_sorted_by(|a, b| key(a) < key(b)));
        prop_assert_eq!(one.cells, two.cells);
        prop_assert_eq!(one.duplicates, two.duplicates);
    }
}
