//! The plain double-precision solve: the second try of a row whose pivots failed in single precision.

use super::{NormalEquations, NotPositiveDefinite, Solution};

/// Solves the bordered system of [`super::solve_bordered`] in double precision, with the bias as the
/// last unknown of a textbook Cholesky factorisation, `noise` as there.
///
/// # Errors
/// [`NotPositiveDefinite`] if a pivot is not positive and finite.
pub fn solve_bordered_f64(
    system: &NormalEquations,
    with_bias: bool,
    noise: Option<&[f32]>,
    x: &mut [f32],
) -> Result<Solution, NotPositiveDefinite> {
    let (rank, stride) = (system.rank(), system.stride());
    let order = rank + usize::from(with_bias);
    let mut a = vec![0.0; order * order];
    let mut b: Vec<f64> = system.rhs[..rank].iter().map(|&v| f64::from(v)).collect();
    for i in 0..rank {
        for j in i..rank {
            a[i * order + j] = f64::from(system.gram[i * stride + j]);
        }
        if with_bias {
            a[i * order + rank] = f64::from(system.sums[i]);
        }
    }
    if with_bias {
        a[order * order - 1] = system.weight;
        b.push(system.target);
    }
    for i in 0..order {
        let pivot = a[i * order + i];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Err(NotPositiveDefinite { pivot: i });
        }
        let root = pivot.sqrt();
        for j in i..order {
            a[i * order + j] /= root;
        }
        b[i] /= root;
        for r in i + 1..order {
            let factor = a[i * order + r];
            for j in r..order {
                a[r * order + j] -= factor * a[i * order + j];
            }
            b[r] -= factor * b[i];
        }
    }
    let mut explained: f64 = b.iter().map(|v| v * v).sum();
    for (b, &z) in b.iter_mut().zip(noise.unwrap_or_default()) {
        *b += f64::from(z);
        explained -= f64::from(z).powi(2);
    }
    for i in (0..order).rev() {
        let tail: f64 = (i + 1..order).map(|j| a[i * order + j] * b[j]).sum();
        b[i] = (b[i] - tail) / a[i * order + i];
    }
    for (x, &value) in x.iter_mut().zip(&b) {
        *x = value as f32;
    }
    let bias = if with_bias { b[rank] as f32 } else { 0.0 };
    Ok(Solution::new(bias, system.at_zero, explained))
}
