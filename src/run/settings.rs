//! The settings of a run in other forms.

use super::config::RunConfig;
use crate::store::json;

impl RunConfig {
    /// Every setting that has a value, in the form of configuration files.
    #[must_use]
    pub fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = json::value(self);
        let serde_json::Value::Object(mut map) = value else { return serde_json::Map::new() };
        map.retain(|_, value| !value.is_null());
        for key in ["since", "until", "split_time"] {
            if let Some(value) = map.get_mut(key).filter(|value| value.is_number()) {
                *value = format!("@{value}").into();
            }
        }
        // TOML integers are signed: larger numbers become text.
        for value in map.values_mut() {
            if value.as_u64().is_some_and(|number| i64::try_from(number).is_err()) {
                *value = value.to_string().into();
            }
        }
        map
    }

    /// The settings that affect the published files but not the training.
    #[must_use]
    pub fn published(&self) -> serde_json::Value {
        serde_json::json!({ "export": self.export, "align": self.aligns() })
    }
}
