//! What one rating contributes to a score.

/// The contribution of one rating to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Position of the rating among the user's ratings, which are in the order of their items.
    pub rating: u32,
    /// The rating's part of the score.
    pub share: f64,
}
