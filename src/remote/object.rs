//! Objects of a store, as listings describe them.

use object_store::ObjectMeta;

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Path of the object, relative to the location that was searched.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The ETag, which changes whenever the content changes; time and size if the store gives none.
    pub etag: String,
    /// Time of the last write, in seconds since 1970.
    pub modified: i64,
    /// Whether the store itself can compare `etag`.
    pub(super) compared: bool,
}

/// The object that a listing describes, under a name relative to what was searched.
pub(super) fn object(meta: &ObjectMeta, name: String) -> Object {
    let modified = meta.last_modified.timestamp();
    // Without an ETag, the time and the size stand in for it.
    let compared = meta.e_tag.is_some();
    let etag = meta.e_tag.clone().unwrap_or_else(|| format!("{modified}/{}", meta.size));
    Object { name, size: meta.size, etag, modified, compared }
}
