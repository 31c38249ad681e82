//! Settings of a run that are one of a few words.

use serde::{Deserialize, Serialize};

/// Where a fit starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum WarmStart {
    /// From the factors of the latest run (a warm start).
    #[default]
    Latest,
    /// From random vectors (a cold start).
    Off,
}

/// How vectors are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// Align the vectors with those of the latest run by the rotation that fits best.
    Procrustes,
    /// Do not align the vectors.
    Off,
}

/// Parses the exit code for a run with nothing new.
#[cfg(feature = "cli")]
pub(super) fn noop_code(text: &str) -> std::result::Result<u8, String> {
    match text {
        "0" => Ok(0),
        "99" => Ok(99),
        _ => Err("the exit code must be 0 or 99".into()),
    }
}
