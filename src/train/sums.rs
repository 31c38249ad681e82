//! Sums over the rows of one side, from which the rows' shared prior is drawn or fitted.

use crate::linalg::NormalEquations;
use crate::linalg::simd::Kernels;
use crate::model::Embedding;

/// `N`, `Σ x̃` and `Σ x̃ x̃ᵀ` (row-major) over rows `x̃ = [x, b]`, or `x` alone without biases.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub rows: f64,
    pub first: Vec<f64>,
    pub second: Vec<f64>,
}

impl Sums {
    /// Sums over all rows, of which `rows` are nonzero.
    pub(super) fn new(kernels: Kernels, side: &Embedding, rows: usize, biases: bool) -> Self {
        Self::of_columns(kernels, side, side.vectors.cols(), rows, biases)
    }

    /// Sums over the first `rank` columns of all rows.
    pub(super) fn of_columns(
        kernels: Kernels,
        side: &Embedding,
        rank: usize,
        rows: usize,
        biases: bool,
    ) -> Self {
        let mut system = NormalEquations::new(rank);
        let all: Vec<u32> = (0..side.vectors.rows() as u32).collect();
        // The normal equations of rows whose targets are the biases hold Σ x xᵀ and Σ b x.
        system.set_columns(kernels, &side.vectors, 0, &all, None, &side.biases);
        let order = rank + usize::from(biases);
        let mut first: Vec<f64> = system.sums().iter().map(|&v| f64::from(v)).collect();
        let mut second = vec![0.0; order * order];
        let (matrix, cross) = system.to_dense(false);
        for i in 0..rank {
            second[i * order..i * order + rank].copy_from_slice(&matrix[i * rank..][..rank]);
            if biases {
                (second[i * order + rank], second[rank * order + i]) = (cross[i], cross[i]);
            }
        }
        if biases {
            let bias = |power| side.biases.iter().map(|&b| f64::from(b).powi(power)).sum::<f64>();
            first.push(bias(1));
            second[order * order - 1] = bias(2);
        }
        Self { rows: rows as f64, first, second }
    }

    /// `Σ (x̃ᵀ G x̃ − 2 g·x̃)` for a matrix and a right-hand side.
    pub(super) fn value(&self, matrix: &[f64], rhs: &[f64]) -> f64 {
        let quadratic: f64 = matrix.iter().zip(&self.second).map(|(g, s)| g * s).sum();
        let linear: f64 = rhs.iter().zip(&self.first).map(|(g, s)| g * s).sum();
        quadratic - 2.0 * linear
    }
}
