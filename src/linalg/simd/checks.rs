//! Checks of lengths and positions that several kernels share.

use super::super::matrix::Matrix;

/// Whether a slice holds `n x n` numbers. If the product overflows, it does not.
pub(super) fn holds_square(values: &[f32], n: usize) -> bool {
    n.checked_mul(n).is_some_and(|needed| values.len() >= needed)
}

/// Panics if an index lies outside of the matrix.
pub(super) fn check_rows(fixed: &Matrix, indices: &[u32]) {
    let largest = indices.iter().copied().fold(0, u32::max) as usize;
    assert!(indices.is_empty() || largest < fixed.rows(), "row {largest} of {}", fixed.rows());
}
