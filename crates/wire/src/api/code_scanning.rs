//! Which findings of scanners fail a run of a pipeline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A workspace's rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "code_scanning")]
pub struct CodeScanning {
    /// `none`, or how grave an open finding must be to fail a run: `critical`, `high`, `medium`, `low`.
    pub fail_at: String,
    /// The tools that it is about, in small letters; all of them where it is empty.
    #[serde(default)]
    pub tools: Vec<String>,
}
