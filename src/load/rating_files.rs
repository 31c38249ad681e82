//! Recognises rating files by their names.

use std::path::Path;

use super::formats::extensions;

/// Names by which MovieLens keeps ratings among other files.
const RATINGS: [&str; 3] = ["ratings.csv", "ratings.dat", "u.data"];

/// Whether a file has a name by which MovieLens keeps ratings.
pub(super) fn is_ratings(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| RATINGS.contains(&name))
}

/// Whether a name is that of a hidden file, or of one that another program has not finished.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('_') || name.starts_with('.') && name != "." && name != ".."
}

/// Whether a path contains the name of a hidden file or directory.
pub(super) fn is_any_hidden(path: &str) -> bool {
    path.split('/').any(is_hidden)
}

/// Whether a file holds ratings, by its name. `.gz` and `.zst` may follow the extension.
pub(super) fn is_rating_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|n| n.to_string_lossy().to_lowercase()) else {
        return false;
    };
    let stem = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let ending = stem.rsplit_once('.').map(|(_, e)| e);
    !is_hidden(&name) && ending.is_some_and(|e| extensions().contains(&e))
}
