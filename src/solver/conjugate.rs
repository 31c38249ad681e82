//! Approximate solution by a few steps of conjugate gradients from the row's previous value.
//!
//! ```text
//! r = g − A x, p = r;   each step: α = r·r / p·A p, x += α p, r −= α A p,
//!                      β = r·r after / before, p = r + β p
//! ```
//!
//! The matrix is never formed. A step costs `4 n k` flops for `n` cells at rank `k`, and `2 k²`
//! more if the rows share a part. The method is that of Takács, Pilászy, Tikk 2011 (Applications of
//! the conjugate gradient method for implicit feedback collaborative filtering), with the bias as
//! one more unknown. The shared part must have no right-hand side and no entries for the bias. In
//! exact arithmetic, as many steps as unknowns would give the exact solution.

use rayon::prelude::*;

use super::{RowProblem, Solver};
use crate::linalg::simd::{Kernels, Shifted};
use crate::linalg::{CHUNK, Matrix, NotPositiveDefinite, Solution};

/// The conjugate-gradient solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConjugateGradient {
    kernels: Kernels,
    steps: u32,
}

impl ConjugateGradient {
    /// Creates the solver with a number of steps per row.
    #[must_use]
    pub(crate) const fn new(kernels: Kernels, steps: u32) -> Self {
        Self { kernels, steps }
    }
}

/// The iteration ends when the squared residual has shrunk to this share of its first value. Single
/// precision cannot resolve more.
const CONVERGED: f32 = 1e-13;

/// The matrix `Σ w ỹ ỹᵀ` of a row, represented by its cells.
#[derive(Clone, Copy)]
struct Operands<'a> {
    kernels: Kernels,
    fixed: &'a Matrix,
    indices: &'a [u32],
    weights: Option<&'a [f32]>,
}

impl Operands<'_> {
    /// Runs [`Kernels::combine`]. It splits more than [`CHUNK`] cells into chunks of fixed length,
    /// runs these in parallel, and adds them up in order in double precision.
    fn combine(
        &self,
        from: Shifted<'_>,
        targets: Option<&[f32]>,
        dots: &mut [f32],
        out: &mut [f32],
    ) -> f32 {
        let Self { kernels, fixed, indices, weights } = *self;
        if indices.len() <= CHUNK {
            return kernels.combine(from, fixed, indices, weights, targets, dots, out);
        }
        let parts: Vec<(Vec<f32>, f32)> = dots[..indices.len()]
            .par_chunks_mut(CHUNK)
            .enumerate()
            .map(|(chunk, dots)| {
                let cells = chunk * CHUNK..chunk * CHUNK + dots.len();
                let (weights, targets) =
                    (weights.map(|w| &w[cells.clone()]), targets.map(|t| &t[cells.clone()]));
                let mut part = vec![0.0; out.len()];
                let indices = &indices[cells];
                let sum = kernels.combine(from, fixed, indices, weights, targets, dots, &mut part);
                (part, sum)
            })
            .collect();
        for (at, out) in out.iter_mut().enumerate() {
            let parts = parts.iter().map(|(part, _)| f64::from(part[at]));
            *out = parts.fold(f64::from(*out), |total, part| total + part) as f32;
        }
        parts.iter().map(|(_, sum)| f64::from(*sum)).sum::<f64>() as f32
    }
}

/// Memory of one worker: vectors of unknowns, as long as a padded row, and one number per cell.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    x: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    product: Vec<f32>,
    shared: Vec<f32>,
    dots: Vec<f32>,
}

impl Solver for ConjugateGradient {
    type Scratch = Scratch;

    fn scratch(&self, rank: usize) -> Scratch {
        let zeros = vec![0.0; Matrix::zeros(0, rank).stride()];
        Scratch {
            x: zeros.clone(),
            residual: zeros.clone(),
            direction: zeros.clone(),
            product: zeros.clone(),
            shared: vec![0.0; rank],
            dots: Vec::new(),
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let RowProblem { fixed, indices, weights, targets, shared, ridge, .. } = *problem;
        let Scratch { x, residual, direction, product, shared: common, dots } = scratch;
        let (kernels, rank) = (self.kernels, out.len());
        dots.resize(dots.len().max(indices.len()), 0.0);
        let (mut bias, with_bias) = (problem.bias, problem.with_bias());
        let bias_ridge = ridge.bias.unwrap_or(0.0) as f32;
        x[..rank].copy_from_slice(out);

        // The residual g - A x, and the objective at x.
        residual.fill(0.0);
        let some = Some(targets);
        let operands = Operands { kernels, fixed, indices, weights };
        let sum = operands.combine(Shifted { x, shift: bias }, some, dots, residual);
        let squares = kernels.dot(x, x);
        let mut value = problem.at_zero
            + change(dots, weights, targets)
            + f64::from(ridge.vector) * f64::from(squares)
            + f64::from(bias_ridge) * f64::from(bias).powi(2);
        debug_assert!(shared.is_none_or(|s| s.plain), "no right side, no bias");
        if let Some(shared) = shared {
            kernels.dots(x, &shared.matrix, &shared.rows, common);
            value += f64::from(kernels.dot(&x[..rank], common));
            add(residual, -1.0, common);
        }
        add(&mut residual[..rank], -ridge.vector, &x[..rank]);
        let mut bias_residual = if with_bias { sum - bias_ridge * bias } else { 0.0 };

        direction.copy_from_slice(residual);
        let mut bias_direction = bias_residual;
        let mut size = kernels.dot(residual, residual) + bias_residual * bias_residual;
        let enough = size * CONVERGED;
        for step in 0..self.steps {
            // Single precision allows no further improvement.
            if size <= enough {
                break;
            }
            product.fill(0.0);
            let from = Shifted { x: direction, shift: bias_direction };
            let sum = operands.combine(from, None, dots, product);
            if let Some(shared) = shared {
                kernels.dots(direction, &shared.matrix, &shared.rows, common);
                add(product, 1.0, common);
            }
            add(&mut product[..rank], ridge.vector, &direction[..rank]);
            let bias_product = if with_bias { sum + bias_ridge * bias_direction } else { 0.0 };
            let curvature = kernels.dot(direction, product) + bias_direction * bias_product;
            if curvature.is_nan() || curvature <= 0.0 {
                // After the first step this is rounding error in directions that no longer matter.
                if step > 0 && !curvature.is_nan() {
                    break;
                }
                return Err(NotPositiveDefinite { pivot: 0 });
            }
            let length = size / curvature;
            add(x, length, direction);
            add(residual, -length, product);
            bias += length * bias_direction;
            bias_residual -= length * bias_product;
            value -= f64::from(length) * f64::from(size);
            let next = kernels.dot(residual, residual) + bias_residual * bias_residual;
            let ratio = next / size;
            size = next;
            for (p, &r) in direction.iter_mut().zip(residual.iter()) {
                *p = ratio * *p + r;
            }
            bias_direction = ratio * bias_direction + bias_residual;
        }
        out.copy_from_slice(&x[..rank]);
        let at_zero = problem.at_zero;
        Ok(Some(Solution::new(bias, at_zero, at_zero - value)))
    }
}

/// `Σ s (w s − 2 t)`: the cells' part of the objective minus its value at zero.
pub(super) fn change(dots: &[f32], weights: Option<&[f32]>, targets: &[f32]) -> f64 {
    let dots = &dots[..targets.len()];
    match weights {
        None => sum_of(dots, targets, targets, |s, t, _| s * (s - 2.0 * t)),
        Some(weights) => sum_of(dots, targets, weights, |s, t, w| s * (w * s - 2.0 * t)),
    }
}

/// Sums over three slices of equal length, in double precision and eight lanes. In a single lane,
/// each addition would wait for the previous one.
fn sum_of(x: &[f32], y: &[f32], z: &[f32], of: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    for ((x, y), z) in x.chunks(8).zip(y.chunks(8)).zip(z.chunks(8)) {
        for (((lane, &x), &y), &z) in lanes.iter_mut().zip(x).zip(y).zip(z) {
            *lane += of(f64::from(x), f64::from(y), f64::from(z));
        }
    }
    lanes.iter().sum()
}

/// Adds `factor * from` to `to`.
fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}
