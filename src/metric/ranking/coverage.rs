//! Catalogue coverage: the share of the items that appear in any list.

use super::Recommended;

/// The number of items in at least one list, divided by the number of items in the catalogue (Ge,
/// Delgado-Battenfeld, Jannach 2010). `None` without items.
pub(super) fn coverage(recommended: Recommended<'_>) -> Option<f64> {
    let items = recommended.times.len();
    let shown = recommended.times.iter().filter(|&&times| times > 0).count();
    (items > 0).then(|| shown as f64 / items as f64)
}
