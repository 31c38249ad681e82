//! What ranking metrics are computed from.

/// The judged list of one user.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Whether the item at each place is relevant, from the top.
    pub hits: &'a [bool],
    /// Number of relevant items. It includes items that are not candidates, which count as misses.
    pub relevant: usize,
}

impl Judged<'_> {
    /// Number of relevant items among the first `k`.
    #[must_use]
    pub fn hits_at(&self, k: usize) -> usize {
        self.first(k).filter(|hit| **hit).count()
    }

    /// The first `k` places.
    pub(super) fn first(&self, k: usize) -> std::iter::Take<std::slice::Iter<'_, bool>> {
        self.hits.iter().take(k)
    }
}

/// How often the candidates are recommended, over the lists of the first `k` items of all users.
#[derive(Debug, Clone, Copy)]
pub struct Recommended<'a> {
    /// For each item of the catalogue, the number of lists that contain it.
    pub times: &'a [u64],
    /// For each item of the catalogue, its number of training ratings.
    pub popularity: &'a [u32],
}
