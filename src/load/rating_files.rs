//! Recognises rating files by their names.

use std::path::Path;

use super::formats::extensions;

/// Whether a file holds ratings, by its name. `.gz` and `.zst` may follow the extension.
pub(super) fn is_rating_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|n| n.to_string_lossy().to_lowercase()) else {
        return false;
    };
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let ending = name.rsplit_once('.').map(|(_, e)| e);
    !name.starts_with(['.', '_']) && ending.is_some_and(|e| extensions().contains(&e))
}
