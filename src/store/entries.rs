//! What manifests say about single files, and about the program that wrote them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Axis;

/// The program that wrote the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `lacuna`.
    pub name: String,
    /// Release.
    pub version: String,
    /// Operating system and processor.
    pub target: String,
    /// Commit that the program was built from, if the build set `LACUNA_GIT_SHA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_sha: Option<String>,
    /// Cargo features that the program was built with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// One input file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputEntry {
    /// Path or URL as specified; `archive:member` for a member of an archive.
    pub uri: String,
    /// `ratings`, `test` for a test file, or `folded-in` for a file of a fold-in or update.
    pub role: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Time of the last change, in seconds since 1970.
    pub mtime: Option<i64>,
    /// ETag of an object; its time and size if the object store gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// SHA-256 of the file, or `skipped`.
    pub sha256: String,
    /// The recognised layout of the file.
    pub layout: String,
    /// Number of rows read.
    pub rows: u64,
    /// Number of rejected rows by reason.
    #[serde(deserialize_with = "by_reason")]
    pub rows_rejected: BTreeMap<String, u64>,
    /// Earliest time of a rating, in seconds since 1970.
    #[serde(default)]
    pub min_timestamp: Option<i64>,
    /// Latest time of a rating, in seconds since 1970.
    pub max_timestamp: Option<i64>,
}

/// One file of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputEntry {
    /// Name in the directory.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Number of rows.
    pub rows: usize,
    /// Columns and their types.
    pub schema: String,
}

/// Reads the rejected rows by reason; early manifests have only their total number.
fn by_reason<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u64),
        Reasons(BTreeMap<String, u64>),
    }
    Ok(match Form::deserialize(from)? {
        Form::Number(0) => BTreeMap::new(),
        Form::Number(rows) => BTreeMap::from([("not recorded".to_owned(), rows)]),
        Form::Reasons(reasons) => reasons,
    })
}

/// The record of a fold-in or an update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldedEntry {
    /// The side of the rows that were folded in.
    pub side: Axis,
    /// Version of the model that the rows were folded into.
    pub model_version: String,
    /// Time of the fold-in, ISO 8601 in UTC.
    pub folded_at: String,
    /// The files with the complete ratings of the rows, or with the added ones of `update --add`.
    pub inputs: Vec<InputEntry>,
    /// Number of folded-in rows that the model did not have.
    pub added: usize,
    /// Number of folded-in rows that replaced earlier ones.
    pub replaced: usize,
    /// Number of rows of the other side that an update solved; 0 for a fold-in.
    #[serde(default)]
    pub items: usize,
    /// Number of ratings that are new or changed; for a fold-in, all ratings of its rows.
    #[serde(default)]
    pub changed_ratings: usize,
    /// Number of ratings that the rows were solved from.
    pub n_ratings: usize,
}
