//! Compares the kernels of every available instruction set with naive double-precision versions.

use std::ops::Range;

use super::super::failure::NotPositiveDefinite;
use super::super::matrix::Matrix;
use super::*;

/// Numbers in [-1, 1) that look random and are the same everywhere.
fn noise(len: usize, salt: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|i| {
            let mut h = (i ^ salt.rotate_left(17)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            h = (h ^ (h >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (h >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn levels() -> impl Iterator<Item = Kernels> {
    Level::available().into_iter().filter_map(Kernels::with_level)
}

const RANKS: [usize; 19] =
    [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 40, 48, 64, 65, 100, 128, 200, 257];

#[test]
fn accumulate_equals_the_naive_sums() {
    for rank in RANKS {
        for cells in [0, 1, 2, 63, 64, 65, 200] {
            check_accumulate(rank, cells);
        }
    }
    check_accumulate(24, 5000);
    check_accumulate(64, 5000);
}

fn check_accumulate(rank: usize, cells: usize) {
    let rows = 97;
    let fixed = Matrix::from_rows(rows, rank, &noise(rows * rank, 1));
    let indices: Vec<u32> = (0..cells).map(|i| (i * 53 % rows) as u32).collect();
    let weights: Vec<f32> = noise(cells, 2).iter().map(|v| v + 1.5).collect();
    let targets = noise(cells, 3);
    let n = rank.next_multiple_of(BLOCK);
    for kernels in levels() {
        for weighted in [false, true] {
            let (mut gram, mut rhs, mut sums) = (vec![0.5; n * n], vec![0.25; n], vec![0.125; n]);
            let w = weighted.then_some(&weights[..]);
            kernels.accumulate(
                &fixed,
                RowList { indices: &indices, following: &[1, 0] },
                w,
                &targets,
                RowSums { gram: &mut gram, rhs: &mut rhs, sums: &mut sums },
                false,
            );
            let mut again = (vec![f32::NAN; n * n], vec![f32::NAN; n], vec![f32::NAN; n]);
            kernels.accumulate(
                &fixed,
                RowList::new(&indices),
                w,
                &targets,
                RowSums { gram: &mut again.0, rhs: &mut again.1, sums: &mut again.2 },
                true,
            );
            // Sums reach 2.5 x cells; their rounding errors add up like a random walk.
            let tolerance = 1.2e-7 * 2.5 * (cells as f64 + 4.0).powf(1.5);
            let weight = |p: usize| if weighted { f64::from(weights[p]) } else { 1.0 };
            let y = |p: usize, i: usize| f64::from(fixed.row(indices[p] as usize)[i]);
            let close = |got: f32, want: f64, what: &str| {
                let level = kernels.level().name();
                assert!(
                    (f64::from(got) - want).abs() <= tolerance,
                    "{level}, rank {rank}, {cells} cells, {what}: {got} {want}"
                );
            };
            for i in 0..rank {
                // Checks all columns for small ranks and a few for large ones, because the naive
                // sums are slow.
                for j in (i..rank).filter(|j| rank <= 40 || (i * 7 + j * 3) % 11 == 0) {
                    let want: f64 = (0..cells).map(|p| weight(p) * y(p, i) * y(p, j)).sum();
                    close(gram[i * n + j], want + 0.5, "gram");
                    close(again.0[i * n + j], want, "gram anew");
                }
                let want: f64 = (0..cells).map(|p| f64::from(targets[p]) * y(p, i)).sum();
                close(rhs[i], want + 0.25, "rhs");
                close(again.1[i], want, "rhs anew");
                let want: f64 = (0..cells).map(|p| weight(p) * y(p, i)).sum();
                close(sums[i], want + 0.125, "sums");
                close(again.2[i], want, "sums anew");
            }
        }
    }
}

/// A well-conditioned symmetric matrix of order `order`, with row length `n`.
fn spd(order: usize, n: usize) -> Vec<f32> {
    let b = noise(order * order, 5);
    let mut a = vec![0.0; n * n];
    for i in 0..order {
        for j in 0..order {
            let dot: f32 = (0..order).map(|p| b[i * order + p] * b[j * order + p]).sum();
            a[i * n + j] = dot / order as f32 + if i == j { 0.5 } else { 0.0 };
        }
    }
    a
}

#[test]
fn cholesky_and_the_solves_leave_a_small_residual() {
    for order in RANKS {
        let n = order.next_multiple_of(BLOCK);
        let a = spd(order, n);
        let b = noise(order, 6);
        for kernels in levels() {
            let mut u = a.clone();
            let mut x = b.clone();
            x.resize(n, 0.0);
            let (mut twice, mut alone, mut again) = (x.clone(), x.clone(), a.clone());
            kernels.cholesky(&mut u, n, order, [&mut x, &mut twice]).expect("positive definite");
            kernels.cholesky(&mut again, n, order, [&mut alone]).expect("positive definite");
            assert!(u == again && x == twice && x == alone);
            kernels.solve(&u, n, order, &mut x);
            for i in 0..order {
                let ax: f64 = (0..order).map(|j| f64::from(a[i * n + j]) * f64::from(x[j])).sum();
                let residual = (ax - f64::from(b[i])).abs();
                assert!(residual < 2e-5, "{}, order {order}: {residual}", kernels.level().name());
            }
        }
    }
}

#[test]
fn cholesky_names_the_first_pivot_that_fails() {
    for kernels in levels() {
        for bad in [0, 3, 8, 12] {
            let mut a = spd(13, 16);
            a[bad * 16 + bad] = f32::NAN;
            assert_eq!(
                kernels.cholesky(&mut a, 16, 13, []),
                Err(NotPositiveDefinite { pivot: bad })
            );
        }
    }
}

#[test]
fn dots_equal_the_naive_products_and_the_single_dot() {
    for rank in RANKS.into_iter().chain([0]) {
        let fixed = Matrix::from_rows(11, rank, &noise(11 * rank, 7));
        let x = noise(rank, 8);
        let indices: Vec<u32> = [3, 10, 0, 0, 7, 5, 9].into();
        for kernels in levels() {
            let mut out = [0.0; 7];
            kernels.dots(&x, &fixed, &indices, &mut out);
            for (&index, &got) in indices.iter().zip(&out) {
                let row = fixed.row(index as usize);
                let want: f64 = x.iter().zip(row).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                assert!((f64::from(got) - want).abs() < 1e-6 * (rank as f64 + 1.0));
                assert_eq!(got.to_bits(), kernels.dot(&x, row).to_bits());
            }
        }
    }
}

#[test]
#[should_panic(expected = "row 4 of 4")]
fn an_index_outside_the_matrix_is_refused() {
    let fixed = Matrix::zeros(4, 8);
    Kernels::detect().dots(&[0.0; 8], &fixed, &[0, 4], &mut [0.0; 2]);
}

#[test]
fn combine_equals_the_naive_product() {
    for rank in RANKS {
        for cells in [0, 1, 3, 4, 5, 70] {
            let rows = 31;
            let fixed = Matrix::from_rows(rows, rank, &noise(rows * rank, 1));
            let indices: Vec<u32> = (0..cells).map(|i| (i * 17 % rows) as u32).collect();
            let (weights, targets) = (noise(cells, 2), noise(cells, 3));
            let mut x = noise(rank, 4);
            x.resize(fixed.stride(), 0.0);
            for kernels in levels() {
                for (weighted, residual) in
                    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(w, r)| (w > 0, r > 0))
                {
                    let (mut dots, mut out) = (vec![f32::NAN; cells], vec![0.5; fixed.stride()]);
                    let (w, t) =
                        (weighted.then_some(&weights[..]), residual.then_some(&targets[..]));
                    let from = Shifted { x: &x, shift: 0.25 };
                    let total = kernels.combine(from, &fixed, &indices, w, t, &mut dots, &mut out);
                    let y = |p: usize| fixed.row(indices[p] as usize).iter().map(|&v| f64::from(v));
                    let dot =
                        |p: usize| y(p).zip(&x).map(|(y, &x)| y * f64::from(x)).sum::<f64>() + 0.25;
                    let c = |p: usize| {
                        let s = if weighted { f64::from(weights[p]) * dot(p) } else { dot(p) };
                        if residual { f64::from(targets[p]) - s } else { s }
                    };
                    // A product has up to 257 terms below 1, and a sum has up to 70 products.
                    let close =
                        |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-3, "{a} {b}");
                    (0..cells).for_each(|p| close(dots[p], dot(p)));
                    close(total, (0..cells).map(c).sum());
                    for (i, &out) in out[..rank].iter().enumerate() {
                        close(
                            out,
                            0.5 + (0..cells)
                                .map(|p| c(p) * y(p).nth(i).unwrap_or(0.0))
                                .sum::<f64>(),
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn columns_alone_come_out_as_within_all() {
    let (rank, rows) = (37, 20);
    let fixed = Matrix::from_rows(rows, rank, &noise(rows * rank, 1));
    let indices: Vec<u32> = (0..50).map(|i| (i * 7 % rows) as u32).collect();
    let targets = noise(50, 2);
    for (first, last) in [(0, 8), (8, 16), (16, 37), (5, 12), (36, 37)] {
        let len = last - first;
        let part: Vec<f32> = (0..rows).flat_map(|r| fixed.row(r)[first..last].to_vec()).collect();
        let alone = Matrix::from_rows(rows, len, &part);
        let n = len.next_multiple_of(BLOCK);
        for kernels in levels() {
            let run = |matrix: &Matrix, columns: Range<usize>| {
                let mut sums = (vec![0.0; n * n], vec![0.0; n], vec![0.0; n]);
                let all = RowSums { gram: &mut sums.0, rhs: &mut sums.1, sums: &mut sums.2 };
                kernels.accumulate_columns(
                    matrix,
                    columns,
                    RowList::new(&indices),
                    None,
                    &targets,
                    all,
                    true,
                );
                sums
            };
            let (got, want) = (run(&fixed, first..last), run(&alone, 0..len));
            for i in 0..len {
                assert_eq!(got.0[i * n + i..i * n + len], want.0[i * n + i..i * n + len]);
                assert_eq!((got.1[i], got.2[i]), (want.1[i], want.2[i]));
            }
            let (mut got, mut want) = (vec![0.0; 50], vec![0.0; 50]);
            let x = noise(len, 5);
            kernels.dots_columns(&x, &fixed, first, &indices, &mut got);
            kernels.dots(&x, &alone, &indices, &mut want);
            assert_eq!(got, want);
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the naive steps in full")]
fn descend_equals_the_naive_steps() {
    for rank in [1, 8, 17, 64] {
        let fixed = |rows: usize, salt| Matrix::from_rows(rows, rank, &noise(rows * rank, salt));
        let stride = fixed(1, 0).stride();
        let users: Vec<u32> = (0..40).map(|c| c * 7 % 5).collect();
        let items: Vec<u32> = (0..40).map(|c| c * 11 % 6).collect();
        let (targets, weights) = (noise(40, 3), noise(40, 4));
        for kernels in levels() {
            for (weighted, biases, growth) in
                [(false, true, 0.1), (true, true, 0.0), (true, false, 0.1)]
            {
                let step = Descent { rate: 0.1, growth, bias_growth: growth, biases };
                let sides = [fixed(5, 1), fixed(6, 2)];
                let mut vectors = sides.clone();
                let mut numbers = [5, 6].map(|rows| {
                    (noise(rows, 5), vec![[1.0_f32, 2.0]; rows], vec![[0.3_f32, 0.2]; rows])
                });
                let squares = {
                    let [(pb, ps, pr), (qb, qs, qr)] = &mut numbers;
                    let [p, q] = &mut vectors;
                    let w = weighted.then_some(&weights[..]);
                    kernels.descend(
                        &step,
                        stride,
                        DescentCells {
                            users: &users,
                            items: &items,
                            targets: &targets,
                            weights: w,
                        },
                        DescentSide {
                            vectors: p.padded_rows_mut(),
                            biases: pb,
                            sums: ps,
                            ridge: pr,
                        },
                        DescentSide {
                            vectors: q.padded_rows_mut(),
                            biases: qb,
                            sums: qs,
                            ridge: qr,
                        },
                    )
                };
                // The same steps in naive double precision.
                let wide = |m: &Matrix| -> Vec<Vec<f64>> {
                    (0..m.rows())
                        .map(|r| m.row(r).iter().map(|&v| f64::from(v)).collect())
                        .collect()
                };
                let [mut p, mut q] = [wide(&sides[0]), wide(&sides[1])];
                let [mut pb, mut qb] = [5, 6]
                    .map(|rows| noise(rows, 5).iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
                let [mut ps, mut qs] = [5, 6].map(|rows| vec![[1.0_f64, 2.0]; rows]);
                let mut want = 0.0;
                let growth = f64::from(growth);
                for c in 0..40 {
                    let (u, i) = (users[c] as usize, items[c] as usize);
                    let dot: f64 = p[u].iter().zip(&q[i]).map(|(a, b)| a * b).sum();
                    let w = if weighted { f64::from(weights[c]) } else { 1.0 };
                    let error = f64::from(targets[c]) - dot - pb[u] - qb[i];
                    want += w * error * error;
                    let error = w * error;
                    let (x, y) = (p[u].clone(), q[i].clone());
                    for (own, other, sums) in
                        [(&mut p[u], &y, &mut ps[u]), (&mut q[i], &x, &mut qs[i])]
                    {
                        let rate = 0.1 / sums[0].sqrt();
                        let rate = rate / (1.0 + rate * 0.3);
                        for (own, other) in own.iter_mut().zip(other) {
                            let down = error * other - 0.3 * *own;
                            *own += rate * down;
                            sums[0] += growth * down * down;
                        }
                    }
                    if biases {
                        for (own, sums) in [(&mut pb[u], &mut ps[u]), (&mut qb[i], &mut qs[i])] {
                            let down = error - 0.2 * *own;
                            let rate = 0.1 / sums[1].sqrt();
                            *own += rate / (1.0 + rate * 0.2) * down;
                            sums[1] += growth * down * down;
                        }
                    }
                }
                // The tolerance covers forty steps in single precision.
                let close = |a: f32, b: f64| {
                    assert!((f64::from(a) - b).abs() < 1e-3 * (1.0 + b.abs()), "{a} {b}");
                };
                close(squares as f32, want);
                for (got, want) in vectors.iter().zip([&p, &q]) {
                    for (row, want) in want.iter().enumerate() {
                        got.row(row).iter().zip(want).for_each(|(&a, &b)| close(a, b));
                        assert!(
                            got.padded()[row * stride + rank..(row + 1) * stride]
                                .iter()
                                .all(|&v| v == 0.0)
                        );
                    }
                }
                for ((biases, sums, _), (b, s)) in numbers.iter().zip([(&pb, &ps), (&qb, &qs)]) {
                    biases.iter().zip(b).for_each(|(&a, &b)| close(a, b));
                    sums.iter().zip(s).for_each(|(a, b)| (0..2).for_each(|j| close(a[j], b[j])));
                }
            }
        }
    }
}

#[test]
fn scores_equal_the_naive_sums_whatever_they_are_computed_with() {
    for (rank, items) in [(0, PANEL), (1, PANEL), (7, 3 * PANEL), (64, 2 * PANEL), (65, PANEL)] {
        let users = Matrix::from_rows(29, rank, &noise(29 * rank, 1));
        let (panels, biases) = (noise(items * rank, 2), noise(items, 3));
        let rows: Vec<u32> = (0..29).rev().collect();
        for kernels in levels() {
            let mut out = vec![f32::NAN; rows.len() * items];
            kernels.scores(&users, &rows, &panels, &biases, &mut out);
            for (nth, &row) in rows.iter().enumerate() {
                for item in 0..items {
                    let at = |f| (item / PANEL * rank + f) * PANEL + item % PANEL;
                    let dot: f64 = (0..rank)
                        .map(|f| f64::from(users.row(row as usize)[f]) * f64::from(panels[at(f)]))
                        .sum();
                    let expected = f64::from(biases[item]) + dot;
                    let found = out[nth * items + item];
                    // The tolerance covers the rounding of a sum of `rank` products below 1.
                    assert!((f64::from(found) - expected).abs() < 1e-6 * (rank as f64 + 1.0));
                }
                let mut alone = vec![f32::NAN; PANEL];
                let panel = (items / PANEL - 1) * PANEL;
                let last = &panels[panel * rank..];
                kernels.scores(&users, &[row], last, &biases[panel..], &mut alone);
                assert_eq!(alone, out[nth * items + panel..][..PANEL]);
            }
        }
    }
}

#[test]
fn scores_are_counted_and_found() {
    // The scores are longer than one stretch of any instruction set, but not whole stretches.
    let scores = [1.0, 3.0, f32::NEG_INFINITY, 2.0, 3.0, 0.0].repeat(50);
    for kernels in levels() {
        let mut found = Vec::new();
        kernels.at_least(&scores, 3.0, &mut found);
        let expected: Vec<u32> = (0..300).filter(|at| matches!(at % 6, 1 | 4)).collect();
        assert_eq!(found, expected);
        assert_eq!(kernels.count(&scores, 2.0), (100, 50));
        kernels.at_least(&scores, f32::INFINITY, &mut found);
        assert_eq!(found.len(), 100);
        // A single large score lies far from the start of its stretch.
        let mut one = vec![0.0; 300];
        one[200] = 1.0;
        found.clear();
        kernels.at_least(&one, 0.5, &mut found);
        assert_eq!(found, [200]);
    }
}
