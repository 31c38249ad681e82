//! Dense systems in double precision: conversion and the fallback solve.
//!
//! The fallback solves a row again when its pivots failed in single precision.

use super::failure::NotPositiveDefinite;
use super::normal::{NormalEquations, Solution};

impl NormalEquations {
    /// Creates a system from a dense symmetric matrix and a right-hand side.
    ///
    /// The matrix is row-major, and both are in double precision. With `bias`, the last unknown is
    /// the bias.
    #[must_use]
    pub fn from_dense(matrix: &[f64], rhs: &[f64], bias: bool) -> Self {
        let order = rhs.len();
        let rank = order - usize::from(bias);
        let mut system = Self::new(rank);
        for i in 0..rank {
            for j in i..rank {
                system.gram[i * system.n + j] = matrix[i * order + j] as f32;
            }
            system.rhs[i] = rhs[i] as f32;
            if bias {
                system.sums[i] = matrix[i * order + rank] as f32;
            }
        }
        if bias {
            (system.weight, system.target) = (matrix[order * order - 1], rhs[rank]);
        }
        system
    }

    /// Returns the matrix and right-hand side: the inverse of [`NormalEquations::from_dense`].
    #[must_use]
    pub fn to_dense(&self, bias: bool) -> (Vec<f64>, Vec<f64>) {
        let order = self.rank + usize::from(bias);
        let (mut matrix, mut rhs) = (vec![0.0; order * order], vec![0.0; order]);
        self.write_dense(bias, &mut matrix, &mut rhs);
        (matrix, rhs)
    }

    /// [`NormalEquations::to_dense`] into existing memory of the right size.
    pub fn write_dense(&self, bias: bool, matrix: &mut [f64], rhs: &mut [f64]) {
        let order = self.rank + usize::from(bias);
        for i in 0..order {
            for j in i..order {
                let value = match (i < self.rank, j < self.rank) {
                    (true, true) => f64::from(self.gram[i * self.n + j]),
                    (true, false) => f64::from(self.sums[i]),
                    _ => self.weight,
                };
                (matrix[i * order + j], matrix[j * order + i]) = (value, value);
            }
            rhs[i] = if i < self.rank { f64::from(self.rhs[i]) } else { self.target };
        }
    }
}

/// Solves the bordered system of [`super::solve_bordered`] in double precision.
///
/// It is a textbook Cholesky factorisation with the bias as the last unknown. `noise` has the same
/// meaning as in [`super::solve_bordered`].
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
