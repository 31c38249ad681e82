//! What a manifest says of the run that a model came from.

use serde::{Deserialize, Serialize};

/// One of the runs of a run directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Start in UTC and six hexadecimal digits: `20261121T020003Z-3f9c2a`.
    pub run_id: String,
    /// Whether it passed its gates.
    pub status: Status,
    /// Why it was rejected, or published although a gate failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Name of the machine.
    #[serde(default)]
    pub host: String,
    /// What started it, where that is known.
    #[serde(default)]
    pub trigger: Trigger,
    /// The iteration that a checkpoint was resumed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from_sweep: Option<u32>,
    /// What was checked, in order.
    #[serde(default)]
    pub gates: Vec<GateEntry>,
    /// Earlier runs that it depends on.
    #[serde(default)]
    pub lineage: Lineage,
    /// SHA-256 of the settings of the run that affect what is published, beside those of the training.
    #[serde(default)]
    pub publish_sha256: String,
}

/// Whether a run passed its gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It did, and was published.
    Promoted,
    /// It did not.
    Rejected,
}

/// What started a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// `airflow`, `kubernetes`, `systemd`, where the environment tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// The scheduler's own name of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_run_id: Option<String>,
    /// W3C trace context, as given in `TRACEPARENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The outcome of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateEntry {
    /// Its name.
    pub name: String,
    /// What follows where it does not pass: `error`, `warn`, `off`.
    pub severity: Severity,
    /// What was allowed.
    pub threshold: Option<f64>,
    /// What was found; null where there was nothing to compare with.
    pub observed: Option<f64>,
    /// Whether that is allowed.
    pub passed: bool,
    /// One sentence.
    pub message: String,
}

/// What follows where a gate does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The run is rejected.
    Error,
    /// It is said.
    Warn,
    /// Nothing: it is not looked at.
    Off,
}

/// Earlier runs that a run depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The run whose factors the fit began at.
    #[serde(default)]
    pub warm_start_from: Option<String>,
    /// Why it began at random vectors, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_because: Option<String>,
    /// Whether that was because one was due.
    #[serde(default)]
    pub cold_was_due: bool,
    /// Runs since the last cold start, or since one that was due was rejected.
    #[serde(default)]
    pub runs_since_cold: u32,
    /// The run that the vectors were turned to.
    #[serde(default)]
    pub aligned_to: Option<String>,
    /// How the vectors moved from that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
}

/// How vectors moved from one run to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Users and items in both.
    pub shared_users: usize,
    /// See `shared_users`.
    pub shared_items: usize,
    /// Median cosine of the items' vectors with those of the earlier run, as they were fitted.
    pub median_cosine_before: Option<f64>,
    /// After they were turned.
    pub median_cosine_after: Option<f64>,
    /// Of the users' vectors, after they were turned.
    pub user_median_cosine_after: Option<f64>,
    /// Mean share of an item's ten nearest items that were its nearest before.
    pub overlap_at_10: Option<f64>,
}
