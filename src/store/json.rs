//! JSON for the files of a model, and checksums of text.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::ids::Id;

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

/// Converts an id to JSON: an integer that a double holds exactly becomes a number, any other id
/// becomes text.
#[must_use]
pub(crate) fn json_id(id: Id<'_>) -> serde_json::Value {
    match id {
        Id::Int(id) if id.unsigned_abs() <= 1 << 53 => id.into(),
        id => id.text().into(),
    }
}

/// Converts a single-precision number to JSON, in the shortest decimal form that reads back as the
/// same number.
#[must_use]
pub(crate) fn json_number(value: f32) -> serde_json::Value {
    // The double nearest to that decimal form prints in the same form.
    value.to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into)
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
