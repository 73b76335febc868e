//! What steps of pipelines leave.

use schemars::JsonSchema;
use serde::Serialize;

use crate::DateTime;

/// An artifact: files as a tar, compressed with gzip.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "step_artifact")]
pub struct StepArtifact {
    /// Its id.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its length, packed.
    pub file_size_bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was left.
    pub created_on: DateTime,
    /// Until when it is kept.
    pub expires_on: DateTime,
}
