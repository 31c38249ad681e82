//! Compares two runs.

use serde::Serialize;
use serde_json::Value;

use super::records::Record;

/// One difference between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The group: `run`, `gates`, `inputs`, `data`, `config`, `metrics` or `lineage`.
    pub of: &'static str,
    /// The name of the value in the manifest, or the name of the gate or file.
    pub name: String,
    /// The value in the first run.
    pub before: Value,
    /// The value in the second run.
    pub after: Value,
}

/// The groups of differences, in the order in which they are reported.
const GROUPS: [&str; 7] = ["run", "gates", "inputs", "data", "config", "metrics", "lineage"];

/// The numbers that are compared: group and path in the manifest.
const NUMBERS: [(&str, &[&str]); 18] = [
    ("data", &["data", "n_ratings"]),
    ("data", &["data", "n_users"]),
    ("data", &["data", "n_items"]),
    ("data", &["data", "mean"]),
    ("data", &["data", "std"]),
    ("data", &["data", "duplicates"]),
    ("data", &["data", "new_item_share"]),
    ("metrics", &["metrics", "train_rmse"]),
    ("metrics", &["metrics", "holdout_rmse"]),
    ("metrics", &["metrics", "baselines", "bias_only", "rmse"]),
    ("metrics", &["metrics", "n_holdout"]),
    ("metrics", &["model", "sweeps"]),
    ("lineage", &["lineage", "runs_since_cold"]),
    ("lineage", &["lineage", "alignment", "median_cosine_after"]),
    ("lineage", &["lineage", "alignment", "overlap_at_10"]),
    ("run", &["durations_s", "train"]),
    ("run", &["durations_s", "total"]),
    ("run", &["resources", "peak_rss_bytes"]),
];

/// The differences of the second run from the first, in the order run, gates, inputs, data, config,
/// metrics, lineage.
#[must_use]
pub fn diff(first: &Record, second: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut push = |of, name: &str, before: Value, after: Value| {
        if before != after {
            found.push(Difference { of, name: name.to_owned(), before, after });
        }
    };
    let (a, b) = (&first.manifest, &second.manifest);
    push("run", "status", a["status"].clone(), b["status"].clone());
    push("run", "reason", a["reason"].clone(), b["reason"].clone());
    for gate in b["gates"].as_array().into_iter().flatten() {
        let name = gate["name"].as_str().unwrap_or_default();
        let same = |other: &&Value| other["name"] == gate["name"];
        let before = a["gates"].as_array().into_iter().flatten().find(same);
        let state = |gate: Option<&Value>| gate.map_or(Value::Null, |gate| gate["passed"].clone());
        if state(before) != gate["passed"] || gate["passed"] == false {
            let message = |gate: Option<&Value>| gate.map_or(Value::Null, |g| g["message"].clone());
            push("gates", name, message(before), message(Some(gate)));
        }
    }
    inputs(a, b, &mut push);
    let get = |of: &Value, path: &[&str]| {
        path.iter().try_fold(of, |value, key| value.get(key)).cloned().unwrap_or_default()
    };
    for (of, path) in NUMBERS.iter().filter(|(of, _)| *of == "data") {
        push(of, path[1..].join(".").as_str(), get(a, path), get(b, path));
    }
    if let (Some(before), Some(after)) = (a["config"].as_object(), b["config"].as_object()) {
        for (key, value) in after {
            push("config", key, before.get(key).cloned().unwrap_or_default(), value.clone());
        }
    }
    push(
        "lineage",
        "warm_start_from",
        get(a, &["lineage", "warm_start_from"]),
        get(b, &["lineage", "warm_start_from"]),
    );
    for (of, path) in NUMBERS.iter().filter(|(of, _)| *of != "data") {
        push(of, path[1..].join(".").as_str(), get(a, path), get(b, path));
    }
    let names = b["metrics"]["ranking"].as_object().into_iter().flat_map(|values| values.keys());
    for name in names.filter(|name| name.contains('@') || *name == "auc") {
        for (label, path) in [
            ("ranking", &["metrics", "ranking", name] as &[&str]),
            ("popularity", &["metrics", "baselines", "popularity", name]),
        ] {
            push("metrics", &format!("{label}.{name}"), get(a, path), get(b, path));
        }
    }
    let order = |of: &str| GROUPS.iter().position(|group| *group == of);
    found.sort_by_key(|difference| order(difference.of));
    found
}

/// Reports the input files that were added, removed or changed.
fn inputs(a: &Value, b: &Value, push: &mut impl FnMut(&'static str, &str, Value, Value)) {
    let files = |of: &Value| -> Vec<(String, Value)> {
        let entries = of["inputs"].as_array().cloned().unwrap_or_default();
        let describe = |input: &Value| {
            let rejected: u64 = input["rows_rejected"]
                .as_object()
                .map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum());
            let sha256 = input["sha256"].as_str().unwrap_or_default();
            serde_json::json!({
                "rows": input["rows"],
                "rows_rejected": rejected,
                "sha256": sha256.get(..12).unwrap_or(sha256),
            })
        };
        let name = |input: &Value| input["uri"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(|input| (name(input), describe(input))).collect()
    };
    let (before, after) = (files(a), files(b));
    let find = |among: &[(String, Value)], name: &str| {
        among.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    for (name, value) in &after {
        push("inputs", name, find(&before, name).unwrap_or_default(), value.clone());
    }
    for (name, value) in before.iter().filter(|(name, _)| find(&after, name).is_none()) {
        push("inputs", name, value.clone(), Value::Null);
    }
}
