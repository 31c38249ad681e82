//! A running sum of products of tall matrices, stored as one product of bounded rank.
//!
//! The sum `M = Σ_s U_s V_sᵀ = [U_1 … U_S][V_1 … V_S]ᵀ` is stored as `L Rᵀ` of bounded
//! width. The columns of each new pair are appended to `L` and `R`. When the width is used up, the
//! product is truncated to its largest singular values. With `X = [L U …]`, `Y = [R V …]`,
//! `XᵀX = Q D Qᵀ` and `(Q √D)ᵀ YᵀY Q √D = Z Σ² Zᵀ`, the truncated product is
//!
//! ```text
//! L′ = X Q D^-½ Z Σ^½,    R′ = Y Q D^½ Z Σ^-½,    L′ R′ᵀ = X Yᵀ up to the dropped singular values
//! ```
//!
//! Only matrices as large as the width are decomposed. One truncation costs `(m + n)(w² + 2 w r)`
//! flops for width `w` and kept rank `r`.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use super::simd::{Kernels, RowList};
use super::{Matrix, NormalEquations};

/// Eigenvalues of a Gram matrix below this share of the largest are single-precision rounding
/// errors.
const ROUNDING: f64 = 1e-6;

/// Target number of new columns between two truncations.
const WIDTH: usize = 256;

/// Rows per task.
const ROWS: usize = 256;

/// A running sum of products.
#[derive(Debug, Clone)]
pub struct ProductSum {
    kernels: Kernels,
    kept: usize,
    left: Matrix,
    right: Matrix,
    used: usize,
}

impl ProductSum {
    /// Creates an empty sum of `m x n` products, each of rank up to `rank`. A truncation keeps up
    /// to `kept` singular values.
    ///
    /// The matrices take up to `4 (m + n)(kept + 4 rank)` bytes, plus padding.
    #[must_use]
    pub fn new(kernels: Kernels, m: usize, n: usize, rank: usize, kept: usize) -> Self {
        // Up to four narrow products share one truncation; a wide product gets its own.
        let at_once = (WIDTH / rank.max(1)).clamp(1, 4);
        let width = kept + at_once * rank;
        let (left, right) = (Matrix::zeros(m, width), Matrix::zeros(n, width));
        Self { kernels, kept, left, right, used: 0 }
    }

    /// Adds `U Vᵀ`.
    ///
    /// # Panics
    /// If the shapes do not fit those passed to [`ProductSum::new`].
    pub fn add(&mut self, u: &Matrix, v: &Matrix) {
        assert!(self.kept + u.cols() <= self.left.cols() && u.cols() == v.cols(), "rank");
        if self.used + u.cols() > self.left.cols() {
            self.cut(self.kept);
        }
        self.put(u, v);
    }

    /// Appends the columns of a pair.
    fn put(&mut self, u: &Matrix, v: &Matrix) {
        let used = self.used;
        for (to, from) in [(&mut self.left, u), (&mut self.right, v)] {
            assert_eq!(to.rows(), from.rows(), "rows of a product");
            let stride = to.stride().max(1);
            to.padded_rows_mut().par_chunks_mut(stride).enumerate().for_each(|(row, to)| {
                to[used..used + from.cols()].copy_from_slice(from.row(row));
            });
        }
        self.used += u.cols();
    }

    /// Restores the sum `L Rᵀ` from the matrices that [`ProductSum::parts`] returned.
    ///
    /// Returns false, and changes nothing, if their shapes do not fit.
    #[must_use]
    pub fn restore(&mut self, left: &Matrix, right: &Matrix) -> bool {
        let rows = (left.rows(), right.rows()) == (self.left.rows(), self.right.rows());
        if !rows || left.cols() != right.cols() || left.cols() > self.left.cols() {
            return false;
        }
        self.used = 0;
        self.put(left, right);
        true
    }

    /// Returns the current sum as `L` and `R`, which have the same number of columns.
    #[must_use]
    pub fn parts(&self) -> (Matrix, Matrix) {
        let used = |from: &Matrix| {
            let mut part = Matrix::zeros(from.rows(), self.used);
            for row in 0..from.rows() {
                part.row_mut(row).copy_from_slice(&from.row(row)[..self.used]);
            }
            part
        };
        (used(&self.left), used(&self.right))
    }

    /// Returns the sum times `factor` as `L Rᵀ`, where `L` and `R` have `rank` columns.
    ///
    /// Each singular value is split evenly: `L` and `R` both contain its square root.
    #[must_use]
    pub fn finish(mut self, rank: usize, factor: f64) -> (Matrix, Matrix) {
        self.cut(rank);
        let take = |from: &Matrix| {
            let mut matrix = Matrix::zeros(from.rows(), rank);
            for row in 0..from.rows() {
                let len = rank.min(self.used);
                matrix.row_mut(row)[..len].copy_from_slice(&from.row(row)[..len]);
            }
            matrix.scale(factor.sqrt() as f32);
            matrix
        };
        (take(&self.left), take(&self.right))
    }

    /// Truncates the product to its largest singular values, at most `rank` of them.
    fn cut(&mut self, rank: usize) {
        let width = self.used;
        if width == 0 {
            return;
        }
        let spectrum = |matrix: DMatrix<f64>| {
            let eigen = SymmetricEigen::new(matrix);
            let largest = eigen.eigenvalues.max();
            let mut order: Vec<usize> =
                (0..width).filter(|&i| eigen.eigenvalues[i] > ROUNDING * largest).collect();
            order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
            (eigen, order)
        };
        let gram = |of: &Matrix| {
            let mut system = NormalEquations::new(of.cols());
            let rows: Vec<u32> = (0..of.rows() as u32).collect();
            system.set_all(self.kernels, of, RowList::new(&rows), None, &vec![0.0; rows.len()]);
            let (dense, _) = system.to_dense(false);
            DMatrix::from_row_slice(of.cols(), of.cols(), &dense).resize(width, width, 0.0)
        };
        let (left, right) = (gram(&self.left), gram(&self.right));
        let (eigen, order) = spectrum(left);
        let rows = order.len();
        if rows == 0 {
            // `L` is zero, so the sum is zero and there is nothing to decompose.
            let (m, n, width) = (self.left.rows(), self.right.rows(), self.left.cols());
            (self.left, self.right, self.used) =
                (Matrix::zeros(m, width), Matrix::zeros(n, width), 0);
            return;
        }
        // Q √D and Q / √D, without the eigenvalues that are rounding errors.
        let root = DMatrix::from_fn(width, rows, |i, j| {
            eigen.eigenvectors[(i, order[j])] * eigen.eigenvalues[order[j]].sqrt()
        });
        let inverse = DMatrix::from_fn(width, rows, |i, j| {
            eigen.eigenvectors[(i, order[j])] / eigen.eigenvalues[order[j]].sqrt()
        });
        let middle = root.transpose() * right * &root;
        let eigen = SymmetricEigen::new(middle);
        let largest = eigen.eigenvalues.max();
        let mut order: Vec<usize> =
            (0..rows).filter(|&i| eigen.eigenvalues[i] > ROUNDING * largest).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        order.truncate(rank);
        // The eigenvalues are Σ², so their fourth root is √Σ.
        let scaled = |power: f64| {
            DMatrix::from_fn(rows, order.len(), |i, j| {
                eigen.eigenvectors[(i, order[j])] * eigen.eigenvalues[order[j]].powf(power)
            })
        };
        let (to_left, to_right) = (inverse * scaled(0.25), root * scaled(-0.25));
        transform(self.kernels, &mut self.left, &to_left);
        transform(self.kernels, &mut self.right, &to_right);
        self.used = order.len();
    }
}

/// Replaces every row `x` by `x T` and fills the rest of the row with zeros.
fn transform(kernels: Kernels, matrix: &mut Matrix, by: &DMatrix<f64>) {
    let (width, kept) = by.shape();
    let mut transposed = Matrix::zeros(kept, matrix.cols());
    for j in 0..kept {
        for i in 0..width {
            transposed.row_mut(j)[i] = by[(i, j)] as f32;
        }
    }
    let all: Vec<u32> = (0..kept as u32).collect();
    let (cols, stride) = (matrix.cols(), matrix.stride().max(1));
    matrix.padded_rows_mut().par_chunks_mut(stride * ROWS).for_each(|rows| {
        let mut out = vec![0.0; kept];
        for row in rows.chunks_mut(stride) {
            kernels.dots(&row[..cols], &transposed, &all, &mut out);
            row.fill(0.0);
            row[..kept].copy_from_slice(&out);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(rows: usize, cols: usize, salt: usize) -> Matrix {
        let value = |i: usize| ((i * 7919 + salt * 104_729) % 1013) as f32 / 1013.0 - 0.5;
        Matrix::from_rows(rows, cols, &(0..rows * cols).map(value).collect::<Vec<_>>())
    }

    fn entry(l: &Matrix, r: &Matrix, i: usize, j: usize) -> f64 {
        l.row(i).iter().zip(r.row(j)).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    #[test]
    fn a_sum_of_low_rank_is_kept_whole() {
        // On either side, all products lie in the same six dimensions.
        let (m, n, rank) = (300, 90, 6);
        let (u, v) = (noise(m, rank, 1), noise(n, rank, 2));
        let mut sum = ProductSum::new(Kernels::detect(), m, n, rank, 12);
        let mixed = |matrix: &Matrix, s: usize| {
            let mut out = Matrix::zeros(matrix.rows(), rank);
            for row in 0..matrix.rows() {
                for j in 0..rank {
                    out.row_mut(row)[j] = matrix.row(row)[j] * (1 + (s * (j + 1)) % 5) as f32 * 0.3;
                }
            }
            out
        };
        let mut want = vec![0.0; m * n];
        for s in 0..23 {
            let (u, v) = (mixed(&u, s), mixed(&v, s + 1));
            sum.add(&u, &v);
            for (at, want) in want.iter_mut().enumerate() {
                *want += entry(&u, &v, at / n, at % n) / 23.0;
            }
        }
        let (left, right) = sum.finish(8, 1.0 / 23.0);
        assert_eq!((left.cols(), right.cols()), (8, 8));
        let worst = (0..m * n)
            .map(|at| (entry(&left, &right, at / n, at % n) - want[at]).abs())
            .fold(0.0, f64::max);
        // Entries reach 1, and the Gram matrices of 300 rows are in single precision.
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn the_largest_singular_values_are_kept() {
        // The columns are orthogonal, so the product's singular values are known: 50 down to 1.
        let (m, width) = (64, 10);
        let unit = |i: usize, j: usize| {
            (std::f32::consts::PI * (i as f32 + 0.5) * j as f32 / m as f32).cos()
                * (2.0 / m as f32).sqrt()
        };
        let mut u = Matrix::zeros(m, width);
        for i in 0..m {
            for j in 0..width {
                u.row_mut(i)[j] = unit(i, j + 1);
            }
        }
        let mut v = u.clone();
        for i in 0..m {
            for j in 0..width {
                v.row_mut(i)[j] *= [1.0, 50.0, 2.0, 20.0, 3.0, 10.0, 4.0, 8.0, 5.0, 6.0][j];
            }
        }
        let mut sum = ProductSum::new(Kernels::detect(), m, m, width, width);
        sum.add(&u, &v);
        let (left, right) = sum.finish(3, 1.0);
        let norm: f64 = (0..m * m).map(|at| entry(&left, &right, at / m, at % m).powi(2)).sum();
        assert!((norm - (2500.0 + 400.0 + 100.0)).abs() < 0.05, "{norm}");
        // The singular values are split evenly between the sides.
        let size = |matrix: &Matrix| (0..m).map(|i| matrix.row_norm_squared(i)).sum::<f64>();
        assert!((size(&left) - 80.0).abs() < 0.01 && (size(&right) - 80.0).abs() < 0.01);
    }

    #[test]
    fn nothing_added_gives_zeros() {
        let mut sum = ProductSum::new(Kernels::detect(), 3, 2, 4, 4);
        sum.add(&Matrix::zeros(3, 4), &noise(2, 4, 1));
        let (left, right) = sum.finish(4, 1.0);
        assert!(left.padded().iter().chain(right.padded()).all(|&v| v == 0.0));
    }
}
