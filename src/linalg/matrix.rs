//! Dense row-major single-precision matrices with padded rows.

use super::simd::{Buffer, LANES};

/// The Euclidean norm of a vector, in double precision.
#[must_use]
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// A dense row-major matrix of `rows x cols`, each row padded with zeros to whole vectors.
///
/// The padding lets kernels read whole vectors, and every row starts on a cache line: `stride` is
/// `cols` rounded up to a multiple of [`LANES`]. One further vector of zeros follows the last row.
/// Padding is always zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    stride: usize,
    values: Buffer,
}

impl Matrix {
    /// A matrix of zeros.
    ///
    /// # Panics
    /// If it does not fit the address space.
    #[must_use]
    pub fn zeros(rows: usize, cols: usize) -> Self {
        let stride = cols.next_multiple_of(LANES);
        // A length that wraps around would make every later bounds check wrong.
        let len = rows.checked_mul(stride).and_then(|len| len.checked_add(LANES));
        assert!(len.is_some(), "a {rows} x {cols} matrix does not fit memory");
        Self { rows, cols, stride, values: Buffer::zeros(len.unwrap_or(0)) }
    }

    /// A matrix from row-major values without padding.
    ///
    /// # Panics
    /// If `values` does not hold `rows * cols` numbers.
    #[must_use]
    pub fn from_rows(rows: usize, cols: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), rows * cols, "values of a {rows} x {cols} matrix");
        let mut matrix = Self::zeros(rows, cols);
        for row in 0..rows {
            matrix.row_mut(row).copy_from_slice(&values[row * cols..][..cols]);
        }
        matrix
    }

    /// Number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (the rank, for a matrix of factors).
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between the starts of two rows.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// One row, without its padding.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.cols]
    }

    /// One row for writing, without its padding.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..][..self.cols]
    }

    /// All rows with their padding, and the vector of zeros after the last one.
    #[must_use]
    pub fn padded(&self) -> &[f32] {
        &self.values
    }

    /// The padded rows for writing: `rows * stride` numbers. Padding must stay zero.
    pub(crate) fn padded_rows_mut(&mut self) -> &mut [f32] {
        let len = self.rows * self.stride;
        &mut self.values[..len]
    }

    /// Turns this into a matrix of zeros with the same number of rows and `cols` columns, in place.
    ///
    /// # Panics
    /// If the new matrix needs more memory than was allocated.
    pub(super) fn set_cols(&mut self, cols: usize) {
        (self.cols, self.stride) = (cols, cols.next_multiple_of(LANES));
        self.values[..self.rows * self.stride + LANES].fill(0.0);
    }

    /// Writes one column.
    pub(super) fn set_col(&mut self, col: usize, values: &[f32]) {
        assert!(col < self.cols && values.len() == self.rows, "a column of {} numbers", self.rows);
        for (row, &value) in self.values.chunks_exact_mut(self.stride).zip(values) {
            row[col] = value;
        }
    }

    /// Multiplies every entry by `factor`.
    pub fn scale(&mut self, factor: f32) {
        for value in self.values.iter_mut() {
            *value *= factor;
        }
    }

    /// Replaces every entry by its absolute value.
    pub fn absolute(&mut self) {
        for value in self.values.iter_mut() {
            *value = value.abs();
        }
    }

    /// The rows whose position satisfies `keep`, in order.
    #[must_use]
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.rows).filter(|&row| keep(row)).collect();
        let mut selected = Self::zeros(kept.len(), self.cols);
        for (to, &from) in kept.iter().enumerate() {
            selected.row_mut(to).copy_from_slice(self.row(from));
        }
        selected
    }

    /// Whether every entry is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|v| v.is_finite())
    }

    /// Sum of squares of one row, in double precision.
    #[must_use]
    pub fn row_norm_squared(&self, row: usize) -> f64 {
        self.row(row).iter().map(|&v| f64::from(v) * f64::from(v)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_and_padding_is_zero() {
        let m = Matrix::from_rows(2, 3, &[1., 2., 3., 4., 5., 6.]);
        assert_eq!(m.stride(), LANES);
        assert_eq!(m.row(1), &[4., 5., 6.]);
        assert_eq!(m.padded().len(), 3 * LANES);
        assert_eq!(m.padded().iter().sum::<f32>(), 21.0);
    }

    #[test]
    fn a_matrix_without_columns_is_fine() {
        let m = Matrix::zeros(5, 0);
        assert_eq!((m.rows(), m.cols(), m.row(4).len()), (5, 0, 0));
    }
}
