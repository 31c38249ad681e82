//! JSON for the files of a model, and checksums of text.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Serialises a value as indented JSON, the form of manifests and metrics.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))
}

/// Converts plain data to JSON, which cannot fail because its keys are text.
///
/// If it failed all the same, the result would be the error message. The failure would be visible,
/// and different data would not look equal.
#[must_use]
pub(crate) fn value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|e| Value::String(format!("no JSON: {e}")))
}

/// SHA-256 in hexadecimal over the parts, each preceded by its length.
pub(crate) fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    crate::load::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_has_no_json_says_so() {
        let map = |key: (u8, u8)| value(&BTreeMap::from([(key, 1)]));
        assert!(map((1, 2)).as_str().is_some_and(|text| text.starts_with("no JSON: ")));
        assert_eq!(value(&[1.5, f64::NAN]), serde_json::json!([1.5, null]));
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_eq!(digest([]).len(), 64);
    }
}
