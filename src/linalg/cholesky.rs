//! Cholesky solve of one row's system. The bias is eliminated by its Schur complement.

use super::failure::NotPositiveDefinite;
use super::normal::{NormalEquations, Solution};
use super::simd::Kernels;

/// A bias pivot below this share of its diagonal entry has lost its digits to cancellation.
pub(super) const CANCELLED: f64 = 1e-5;

/// Solves `[A a; aᵀ d] [x; b] = [g; h]` with `A = UᵀU`, `a′ = U⁻ᵀa` and
/// `g′ = U⁻ᵀg`.
///
/// ```text
/// b = (h − a′·g′) / (d − a′·a′),    x = U⁻¹ (g′ − b a′)
/// ```
///
/// A single back substitution is therefore enough. The minimum is the objective at zero minus
/// `|g′|² + (d − a′·a′) b²`. The solve takes `rank³/3 + 3 rank²` flops and works in
/// place.
///
/// `noise` holds `rank` independent draws `z` and one more, `z_b`, for the bias, each of variance
/// `σ²`. With it the result is a draw from the normal distribution around the solution, whose
/// covariance is `σ²` times the inverse of the whole matrix: `z_b / √(d − a′·a′)` is
/// added to `b`, and `x = U⁻¹ (g′ − b a′ + z)`. The objective at the draw exceeds the
/// minimum by the sum of squares of the noise.
///
/// # Errors
/// [`NotPositiveDefinite`] if a pivot is not positive and finite, or the bias's pivot cancelled
/// out.
pub fn solve_bordered(
    system: &mut NormalEquations,
    kernels: Kernels,
    with_bias: bool,
    noise: Option<&[f32]>,
    x: &mut [f32],
) -> Result<Solution, NotPositiveDefinite> {
    let (rank, n) = (system.rank(), system.stride());
    let NormalEquations { gram, rhs, sums, weight, target, at_zero, .. } = system;
    let (mut bias, mut explained) = (0.0, 0.0);
    if with_bias {
        kernels.cholesky(gram, n, rank, [&mut rhs[..], &mut sums[..]])?;
        let pivot = *weight - f64::from(kernels.dot(&sums[..rank], &sums[..rank]));
        if pivot.is_nan() || pivot <= *weight * CANCELLED {
            return Err(NotPositiveDefinite { pivot: rank });
        }
        bias = ((*target - f64::from(kernels.dot(&sums[..rank], &rhs[..rank]))) / pivot) as f32;
        explained = pivot * f64::from(bias).powi(2) + f64::from(kernels.dot(rhs, rhs));
        if let Some(noise) = noise {
            bias += (f64::from(noise[rank]) / pivot.sqrt()) as f32;
            explained -= f64::from(noise[rank]).powi(2);
        }
        for (g, &a) in rhs.iter_mut().zip(sums.iter()) {
            *g -= bias * a;
        }
    } else {
        kernels.cholesky(gram, n, rank, [&mut rhs[..]])?;
        explained += f64::from(kernels.dot(rhs, rhs));
    }
    if let Some(noise) = noise {
        rhs.iter_mut().zip(&noise[..rank]).for_each(|(g, &z)| *g += z);
        explained -= f64::from(kernels.dot(&noise[..rank], &noise[..rank]));
    }
    kernels.solve(gram, n, rank, rhs);
    x.copy_from_slice(&rhs[..rank]);
    Ok(Solution::new(bias, *at_zero, explained))
}

#[cfg(test)]
mod tests {
    use super::super::Matrix;
    use super::super::simd::RowList;
    use super::*;

    /// Sums over synthetic cells, with ridge.
    fn system(rank: usize, cells: usize) -> NormalEquations {
        let rows: Vec<f32> =
            (0..cells * rank).map(|i| ((i * 7919 % 1013) as f32 / 1013.0 - 0.5) * 2.0).collect();
        let fixed = Matrix::from_rows(cells, rank, &rows);
        let indices: Vec<u32> = (0..cells as u32).collect();
        let targets: Vec<f32> = (0..cells).map(|i| (i * 31 % 17) as f32 / 17.0 - 0.4).collect();
        let mut system = NormalEquations::new(rank);
        system.accumulate(Kernels::detect(), &fixed, RowList::new(&indices), None, &targets);
        system.add_ridge(0.3, 0.2);
        system.set_at_zero(targets.iter().map(|&t| f64::from(t).powi(2)).sum());
        system
    }

    #[test]
    fn single_precision_agrees_with_double_precision() {
        for rank in [0, 1, 2, 7, 8, 9, 16, 31, 64, 100] {
            for with_bias in [false, true] {
                let system = system(rank, 80);
                let (mut x, mut exact) = (vec![0.0; rank], vec![0.0; rank]);
                let got = system.clone().solve(Kernels::detect(), with_bias, &mut x);
                let want = system.solve_f64(with_bias, &mut exact);
                let (got, want) = (got.expect("solves"), want.expect("solves"));
                // Condition numbers stay below 1e3, so four of the seven digits remain.
                assert!((got.bias - want.bias).abs() < 1e-4, "rank {rank}: {got:?} {want:?}");
                assert_eq!(got.minimum.is_some(), want.minimum.is_some());
                if let (Some(got), Some(want)) = (got.minimum, want.minimum) {
                    assert!((got - want).abs() < 1e-4 * want, "rank {rank}: {got} {want}");
                }
                for (a, b) in x.iter().zip(&exact) {
                    assert!((a - b).abs() < 1e-4, "rank {rank}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_reported_with_its_pivot() {
        let mut system = system(9, 40);
        let diagonal = 3 * system.stride() + 3;
        system.gram[diagonal] = -1.0;
        let error = system.solve(Kernels::detect(), true, &mut [0.0; 9]);
        assert_eq!(error, Err(NotPositiveDefinite { pivot: 3 }));
    }
}
