//! Operands and results of kernels that belong together.

/// The rows of a matrix that a sum reads.
#[derive(Debug, Clone, Copy)]
pub struct RowList<'a> {
    /// Positions of the rows.
    pub indices: &'a [u32],
    /// Positions of the rows that the next sum reads. They are only prefetched.
    pub following: &'a [u32],
}

impl<'a> RowList<'a> {
    /// Rows without rows to prefetch.
    #[must_use]
    pub const fn new(indices: &'a [u32]) -> Self {
        Self { indices, following: &[] }
    }
}

/// The sums of [`super::Kernels::accumulate`], for `n` unknowns.
#[derive(Debug)]
pub struct RowSums<'a> {
    /// `n x n`, row-major: weighted products of the vectors.
    pub gram: &'a mut [f32],
    /// `n` numbers: the vectors times their targets.
    pub rhs: &'a mut [f32],
    /// `n` numbers: the weighted vectors.
    pub sums: &'a mut [f32],
}

/// A vector `x` and a number that is added to each of its products.
#[derive(Debug, Clone, Copy)]
pub struct Shifted<'a> {
    /// The vector, as long as a padded row.
    pub x: &'a [f32],
    /// The number.
    pub shift: f32,
}

/// Cells of [`super::Kernels::descend`], with one entry per cell in each field.
#[derive(Debug, Clone, Copy)]
pub struct DescentCells<'a> {
    /// Positions among the user's rows.
    pub users: &'a [u32],
    /// Positions among the item's rows.
    pub items: &'a [u32],
    /// Targets.
    pub targets: &'a [f32],
    /// Weights; without them every weight is 1.
    pub weights: Option<&'a [f32]>,
}
