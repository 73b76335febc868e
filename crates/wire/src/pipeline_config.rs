//! How a repository's pipelines run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::typed;
use crate::repository::Repository;

/// How a repository's pipelines run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "repository_pipelines_configuration")]
#[schemars(transform = typed("repository_pipelines_configuration"))]
pub struct PipelineConfig {
    /// Whether they do.
    pub enabled: bool,
    /// The repository.
    pub repository: Repository,
}

/// The same, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipelines_config_input")]
pub struct PipelineConfigInput {
    /// Whether they do.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// The number of the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_build_number")]
#[schemars(transform = typed("pipeline_build_number"))]
pub struct BuildNumber {
    /// The number.
    pub next: i64,
}

/// The same, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_build_number_input")]
pub struct BuildNumberInput {
    /// The number.
    #[serde(default)]
    pub next: Option<i64>,
}
