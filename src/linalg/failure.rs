//! What can go wrong in a factorisation.

/// A pivot of a Cholesky factorisation that is not positive and finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the matrix is not positive definite (pivot {pivot})")]
pub struct NotPositiveDefinite {
    /// Position of the pivot. For the bias it equals the rank.
    pub pivot: usize,
}
