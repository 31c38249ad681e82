//! Dense systems in double precision: conversion and the fallback solves.
//!
//! A fallback solves a row again when its pivots failed in single precision. If even its sums are
//! too coarse, because one weight is millions of times the others, [`Dense`] forms them again in
//! double precision.

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
    let right = solve_dense(&mut a, b, noise)?;
    for (x, &value) in x.iter_mut().zip(&right.solution) {
        *x = value as f32;
    }
    let bias = if with_bias { right.solution[rank] as f32 } else { 0.0 };
    Ok(Solution::new(bias, system.at_zero, right.explained))
}

/// The solution of a dense system, and `2 g·x − x·A x` at it.
struct Solved {
    solution: Vec<f64>,
    explained: f64,
}

/// Solves a dense system, of which the upper triangle is read and overwritten.
fn solve_dense(
    a: &mut [f64],
    mut b: Vec<f64>,
    noise: Option<&[f32]>,
) -> Result<Solved, NotPositiveDefinite> {
    let order = b.len();
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
    Ok(Solved { solution: b, explained })
}

/// The normal equations of one row with their sums in double precision.
#[derive(Debug, Clone)]
pub struct Dense {
    rank: usize,
    bias: bool,
    matrix: Vec<f64>,
    right: Vec<f64>,
}

impl Dense {
    /// Starts with the part that all rows share, or with zeros. The last unknown is the bias, if
    /// one is fitted.
    #[must_use]
    pub fn new(rank: usize, bias: bool, shared: Option<&NormalEquations>) -> Self {
        let order = rank + usize::from(bias);
        let zeros = || (vec![0.0; order * order], vec![0.0; order]);
        let (matrix, right) = shared.map_or_else(zeros, |shared| shared.to_dense(bias));
        Self { rank, bias, matrix, right }
    }

    /// Adds a cell: the vector of the other side, its weight and its weighted target.
    pub fn add(&mut self, vector: &[f32], weight: f32, target: f32) {
        let order = self.right.len();
        let entry = |at: usize| vector.get(at).map_or(1.0, |&v| f64::from(v));
        for i in 0..order {
            let scaled = f64::from(weight) * entry(i);
            for j in i..order {
                self.matrix[i * order + j] += scaled * entry(j);
            }
            self.right[i] += f64::from(target) * entry(i);
        }
    }

    /// Adds to the diagonal.
    pub fn add_ridge(&mut self, vector: f32, bias: f64) {
        let order = self.right.len();
        for i in 0..order {
            self.matrix[i * order + i] += if i < self.rank { f64::from(vector) } else { bias };
        }
    }

    /// Solves for the vector (written to `x`) and the bias. `at_zero` is the objective where both
    /// are zero.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] if a pivot is not positive and finite.
    pub fn solve(mut self, at_zero: f64, x: &mut [f32]) -> Result<Solution, NotPositiveDefinite> {
        let Solved { solution, explained } = solve_dense(&mut self.matrix, self.right, None)?;
        for (x, &value) in x[..self.rank].iter_mut().zip(&solution) {
            *x = value as f32;
        }
        let bias = if self.bias { solution[self.rank] as f32 } else { 0.0 };
        Ok(Solution::new(bias, at_zero, explained))
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Matrix;
    use super::super::simd::{Kernels, RowList};
    use super::*;

    #[test]
    fn one_weight_of_millions_is_no_obstacle() {
        let noise = |i: usize| (i * 7919 % 1013) as f32 / 1013.0 - 0.5;
        let (rank, cells) = (8, 20);
        let values: Vec<f32> = (0..cells * rank).map(noise).collect();
        let fixed = Matrix::from_rows(cells, rank, &values);
        let indices: Vec<u32> = (0..cells as u32).collect();
        let weights: Vec<f32> = (0..cells).map(|i| if i == 3 { 4e9 } else { 2.0 }).collect();
        let targets: Vec<f32> = weights.iter().map(|w| w + 1.0).collect();
        let (ridge, mut x) = (1e-3, vec![0.0; rank]);
        let mut dense = Dense::new(rank, false, None);
        for (cell, (&weight, &target)) in weights.iter().zip(&targets).enumerate() {
            dense.add(&values[cell * rank..][..rank], weight, target);
        }
        dense.add_ridge(ridge, 0.0);
        dense.solve(0.0, &mut x).expect("solves");
        // The gradient is zero, relative to the size of its terms.
        for i in 0..rank {
            let mut gradient = f64::from(ridge) * f64::from(x[i]);
            let mut size = 0.0;
            for cell in 0..cells {
                let y = &values[cell * rank..][..rank];
                let dot: f64 = y.iter().zip(&x).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                let (w, t) = (f64::from(weights[cell]), f64::from(targets[cell]));
                gradient += (w * dot - t) * f64::from(y[i]);
                size += t.abs() * f64::from(y[i]).abs();
            }
            assert!(gradient.abs() < 1e-6 * size, "{gradient} {size}");
        }
        // Ordinary sums agree.
        let kernels = Kernels::detect();
        let (weights, targets) = (vec![2.0; cells], vec![1.0; cells]);
        let mut system = NormalEquations::new(rank);
        system.set(kernels, &fixed, RowList::new(&indices), Some(&weights), &targets);
        system.add_ridge(ridge, 1.0);
        let mut dense = Dense::new(rank, true, None);
        for (y, (&weight, &target)) in values.chunks(rank).zip(weights.iter().zip(&targets)) {
            dense.add(y, weight, target);
        }
        dense.add_ridge(ridge, 1.0);
        let mut other = vec![0.0; rank];
        let one = dense.solve(1.0, &mut x).expect("solves");
        let two = system.solve_f64(true, &mut other).expect("solves");
        assert!((one.bias - two.bias).abs() < 1e-4, "{} {}", one.bias, two.bias);
        assert!(x.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}
