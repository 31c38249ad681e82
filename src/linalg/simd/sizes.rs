//! Sizes that all kernels agree on.

/// Rows of a [`crate::linalg::Matrix`] are padded to a multiple of this many numbers.
pub const LANES: usize = 16;

/// Number of items per panel of [`super::Kernels::scores`], whose entries are stored side by side.
pub const PANEL: usize = 32;

/// Rows of Gram matrices and triangular factors are padded to a multiple of this many numbers.
pub(in crate::linalg) const BLOCK: usize = 8;
