//! Who has the last word about what pipelines do.

use model::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit_sink::expose_some;
use crate::DateTime;

/// A provider and rules, of a workspace or a repository. Without `Debug`, so that the secret reaches no log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "dynamic_pipelines")]
pub struct DynamicPipelines {
    /// Where the provider is asked; null where there is none.
    pub address: Option<String>,
    /// How long each try may take, in seconds.
    pub time_limit: i64,
    /// Whether provider and rules hold.
    pub enabled: bool,
    /// The rules, as YAML; empty where there are none.
    pub rules: String,
    /// Who set them.
    pub set_by: Option<String>,
    /// When.
    pub set_on: Option<DateTime>,
    /// The key that signs what the provider is asked: shown once, when it is new.
    #[serde(serialize_with = "expose_some")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<Secret>,
}

/// The body that sets them, instead of what was set before.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "dynamic_pipelines_set")]
pub struct DynamicPipelinesSet {
    /// An HTTPS address; left out: no provider.
    pub address: Option<String>,
    /// From 1 to 30 seconds; left out: 10.
    pub time_limit: Option<i64>,
    /// Left out: true.
    pub enabled: Option<bool>,
    /// Rules as YAML; left out: none.
    #[serde(default)]
    pub rules: String,
    /// Whether a provider that was there before gets a new key. One that is elsewhere gets one in any case.
    #[serde(default)]
    pub new_secret: bool,
}

/// The pipelines that can be started by hand.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_definitions")]
pub struct PipelineDefinitions {
    /// The names of custom pipelines, in the order of the configuration.
    pub custom: Vec<String>,
}
