//! The part of a manifest that describes the run that produced the model.

use serde::{Deserialize, Serialize};

/// A run of a run directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Start time in UTC, followed by six hexadecimal digits: `20261121T020003Z-3f9c2a`.
    pub run_id: String,
    /// Whether the run was published or rejected.
    pub status: Status,
    /// Why the run was rejected, or which gates failed although it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Name of the machine.
    #[serde(default)]
    pub host: String,
    /// What started the run, if that is known.
    #[serde(default)]
    pub trigger: Trigger,
    /// The iteration of the checkpoint that the run resumed from, if it resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from_sweep: Option<u32>,
    /// The gates that were checked, in order.
    #[serde(default)]
    pub gates: Vec<GateEntry>,
    /// Earlier runs that this run depends on.
    #[serde(default)]
    pub lineage: Lineage,
    /// SHA-256 of the settings that affect the published files but not the training.
    #[serde(default)]
    pub publish_sha256: String,
}

/// Whether a run was published or rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its gates passed, or their failure was allowed, and the run was published.
    Promoted,
    /// A gate failed, and the run was not published.
    Rejected,
}

/// What started a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// `airflow`, `kubernetes` or `systemd`, if the environment shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// The scheduler's own name for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_run_id: Option<String>,
    /// W3C trace context from the variable `TRACEPARENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The outcome of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateEntry {
    /// Name of the gate.
    pub name: String,
    /// What happens if the gate fails: `error` or `warn`. A gate that is `off` has no entry.
    pub severity: Severity,
    /// The limit that the value broke, or else the one with the strictest consequence.
    pub threshold: Option<f64>,
    /// The observed value; null if it is not finite or there was nothing to compare with.
    pub observed: Option<f64>,
    /// Whether the value is within the limit, or there was nothing to compare with.
    pub passed: bool,
    /// The outcome in one sentence.
    pub message: String,
}

/// What happens if a gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The run is rejected, unless gate failures are allowed.
    Error,
    /// The failure is reported as a warning.
    Warn,
    /// Nothing: the gate is not checked.
    Off,
}

/// Earlier runs that a run depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The run whose factors the fit started from, for a warm start.
    #[serde(default)]
    pub warm_start_from: Option<String>,
    /// Why the fit started from random vectors, for a cold start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_because: Option<String>,
    /// Whether the reason was that a scheduled cold start was due.
    #[serde(default)]
    pub cold_was_due: bool,
    /// Runs since the last cold start, or since a scheduled one was rejected.
    #[serde(default)]
    pub runs_since_cold: u32,
    /// The run that the vectors were aligned with by a rotation.
    #[serde(default)]
    pub aligned_to: Option<String>,
    /// How the vectors moved from the previous run; measured even if they were not aligned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
}

/// How vectors moved from one run to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Users in both models.
    pub shared_users: usize,
    /// Items in both models.
    pub shared_items: usize,
    /// Median cosine between the item vectors and those of the earlier run, before any alignment.
    pub median_cosine_before: Option<f64>,
    /// The same for the item vectors after any alignment.
    pub median_cosine_after: Option<f64>,
    /// The same for the user vectors after any alignment.
    pub user_median_cosine_after: Option<f64>,
    /// Mean share of an item's ten nearest neighbours that it also had in the earlier run.
    pub overlap_at_10: Option<f64>,
}
