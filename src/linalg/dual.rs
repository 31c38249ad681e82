//! The dual of one row's system.
//!
//! For a row of `n` cells the dual is `n x n`, which is cheaper than `k x k` for `n ≤ k / 2`.

use super::simd::{BLOCK, Buffer, Kernels, RowList, RowSums};
use super::{Matrix, NotPositiveDefinite, Solution};

/// Up to this rank the dual gains nothing; see [`super::Group`].
const SMALL_RANK: usize = 16;

/// Accepted range of `λ / λ_b`, the vector's ridge relative to the bias's. Outside it, single
/// precision would lose the smaller terms of the matrix.
const RIDGES: std::ops::RangeInclusive<f64> = 1e-3..=1e3;

/// Working memory for solving short rows in the dual.
///
/// ```text
/// (Y Yᵀ + (λ/λ_b) 1 1ᵀ + λ W⁻¹) β = z,  x = Yᵀ β,  b = (λ/λ_b) Σ β,  minimum λ z·β
/// ```
///
/// `Y` contains the row's `n` vectors, `W` its weights, and `z = t / w` its targets. This is the
/// kernel form of ridge regression (Saunders, Gammerman, Vovk 1998). The bias acts as a coordinate
/// that is 1 in every vector. The cost is `n² k + n³/3` flops instead of `n k² + k³/3`.
#[derive(Debug, Clone)]
pub struct Dual {
    /// `Yᵀ`, with one row per entry of the vectors.
    panel: Matrix,
    entries: Vec<u32>,
    zeros: Vec<f32>,
    gram: Buffer,
    right: Buffer,
    unused: Buffer,
}

impl Dual {
    /// Allocates memory for every row that [`Dual::applies`] accepts.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        let most = Self::most_cells(rank);
        let n = most.next_multiple_of(BLOCK);
        Self {
            panel: Matrix::zeros(rank, most),
            entries: (0..rank as u32).collect(),
            zeros: vec![0.0; rank],
            gram: Buffer::zeros(n * n),
            right: Buffer::zeros(n),
            unused: Buffer::zeros(n),
        }
    }

    /// Whether the dual solves a row of `cells` cells faster, and as accurately.
    ///
    /// `ridge` is `λ`. `bias_ridge` is `λ_b`, or `None` if no bias is fitted.
    #[must_use]
    pub fn applies(rank: usize, cells: usize, ridge: f32, bias_ridge: Option<f64>) -> bool {
        let comparable = bias_ridge.is_none_or(|b| RIDGES.contains(&(f64::from(ridge) / b)));
        (1..=Self::most_cells(rank)).contains(&cells) && ridge > 0.0 && comparable
    }

    const fn most_cells(rank: usize) -> usize {
        if rank <= SMALL_RANK { 0 } else { rank / 2 }
    }

    /// Solves for the row's vector (written to `x`) and bias.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`], for instance if a weight is not positive.
    ///
    /// # Panics
    /// If the row has more cells than [`Dual::applies`] allows, or lengths do not fit.
    #[expect(clippy::too_many_arguments, reason = "one row's operands")]
    pub fn solve(
        &mut self,
        kernels: Kernels,
        fixed: &Matrix,
        indices: &[u32],
        weights: Option<&[f32]>,
        targets: &[f32],
        ridge: f32,
        bias_ridge: Option<f64>,
        x: &mut [f32],
    ) -> Result<Solution, NotPositiveDefinite> {
        let cells = indices.len();
        let n = cells.next_multiple_of(BLOCK);
        let Self { panel, entries, zeros, gram, right, unused } = self;
        panel.set_cols(cells);
        for (at, &index) in indices.iter().enumerate() {
            panel.set_col(at, fixed.row(index as usize));
        }
        let sums =
            RowSums { gram: &mut gram[..n * n], rhs: &mut right[..n], sums: &mut unused[..n] };
        kernels.accumulate(panel, RowList::new(entries), None, zeros, sums, true);
        let border = bias_ridge.map_or(0.0, |b| (f64::from(ridge) / b) as f32);
        for i in 0..cells {
            for value in &mut gram[i * n + i..i * n + cells] {
                *value += border;
            }
            let weight = weights.map_or(1.0, |w| w[i]);
            gram[i * n + i] += ridge / weight;
            right[i] = targets[i] / weight;
        }
        kernels.cholesky(&mut gram[..n * n], n, cells, [&mut right[..n]])?;
        let minimum = f64::from(ridge) * f64::from(kernels.dot(&right[..n], &right[..n]));
        kernels.solve(&gram[..n * n], n, cells, &mut right[..n]);
        kernels.dots(&right[..cells], panel, entries, x);
        let bias = border * right[..cells].iter().sum::<f32>();
        Ok(Solution { bias, minimum: Some(minimum) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::NormalEquations;
    use crate::linalg::simd::Level;

    #[test]
    fn the_dual_finds_the_primal_solution() {
        for (rank, cells) in [(17, 1), (33, 16), (48, 7), (100, 50), (129, 33)] {
            let noise = |i: usize| (i * 7919 % 1013) as f32 / 1013.0 - 0.5;
            let fixed = Matrix::from_rows(60, rank, &(0..60 * rank).map(noise).collect::<Vec<_>>());
            let indices: Vec<u32> = (0..cells as u32).map(|i| i * 13 % 60).collect();
            let targets: Vec<f32> = (0..cells).map(|i| noise(i * 31 + 5)).collect();
            let heavy: Vec<f32> = (0..cells).map(|i| 0.5 + (i % 4) as f32).collect();
            for level in Level::available() {
                let kernels = Kernels::with_level(level).expect("available");
                for (weights, bias_ridge) in
                    [(None, None), (None, Some(0.4)), (Some(&heavy[..]), Some(2.0))]
                {
                    assert!(Dual::applies(rank, cells, 0.7, bias_ridge));
                    let mut primal = NormalEquations::new(rank);
                    primal.accumulate(kernels, &fixed, RowList::new(&indices), weights, &targets);
                    primal.add_ridge(0.7, bias_ridge.unwrap_or(0.0));
                    let square = |(i, &t): (usize, &f32)| {
                        f64::from(t).powi(2) / weights.map_or(1.0, |w| f64::from(w[i]))
                    };
                    primal.set_at_zero(targets.iter().enumerate().map(square).sum());
                    let (mut x, mut want) = (vec![f32::NAN; rank], vec![0.0; rank]);
                    let exact = primal.solve_f64(bias_ridge.is_some(), &mut want).expect("solves");
                    let got = Dual::new(rank)
                        .solve(
                            kernels, &fixed, &indices, weights, &targets, 0.7, bias_ridge, &mut x,
                        )
                        .expect("solves");
                    let close = |a: f64, b: f64| (a - b).abs() < 1e-5 * (1.0 + b.abs());
                    assert!(close(got.bias.into(), exact.bias.into()), "{got:?} {exact:?}");
                    assert!(x.iter().zip(&want).all(|(&a, &b)| close(a.into(), b.into())));
                    let (got, exact) = (got.minimum.expect("known"), exact.minimum);
                    assert!(exact.is_none_or(|e| close(got, e)), "rank {rank}: {got} {exact:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_dual_cannot_do_is_left_to_the_primal() {
        for (rank, cells, ridge, bias) in [
            (64, 0, 1.0, None),
            (64, 33, 1.0, None),
            (64, 5, 0.0, None),
            (64, 5, 1.0, Some(0.0)),
            (64, 5, 1e-9, Some(1.0)),
            (16, 5, 1.0, None),
        ] {
            assert!(!Dual::applies(rank, cells, ridge, bias));
        }
    }
}
