//! What caches of pipelines keep.

use schemars::JsonSchema;
use serde::Serialize;

use crate::DateTime;
use crate::format::{Braced, typed};

/// A version of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_cache")]
#[schemars(transform = typed("pipeline_cache"))]
pub struct PipelineCache {
    /// Its id.
    pub uuid: Braced,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_uuid: Option<Braced>,
    /// The step that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_uuid: Option<Braced>,
    /// Its name.
    pub name: String,
    /// What the files of its key contained, as a hash; empty where it has no key.
    pub key_hash: String,
    /// Where its content lay in the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its length, packed.
    pub file_size_bytes: i64,
    /// When it was kept.
    pub created_on: DateTime,
}

/// Where the content of a cache is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_cache_content_uri")]
#[schemars(transform = typed("pipeline_cache_content_uri"))]
pub struct PipelineCacheContent {
    /// The address.
    pub uri: String,
}
