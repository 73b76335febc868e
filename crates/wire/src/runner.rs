//! Runners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::typed;
use crate::{Braced, DateTime};

/// A runner.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_runner")]
#[schemars(transform = typed("pipeline_runner"))]
pub struct Runner {
    /// Its id.
    pub uuid: Braced,
    /// Its name.
    pub name: String,
    /// Its labels: those that people gave it, and those that follow from what it can do.
    pub labels: Vec<String>,
    /// What it is up to.
    pub state: RunnerState,
    /// When it was made.
    pub created_on: DateTime,
    /// When it was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_on: Option<DateTime>,
    /// How it is registered, told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// What a runner is up to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_runner_state")]
#[schemars(transform = typed("pipeline_runner_state"))]
pub struct RunnerState {
    /// `UNREGISTERED`, `ONLINE`, `OFFLINE` or `DISABLED`.
    pub status: &'static str,
    /// Which version it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<RunnerVersion>,
    /// Whether it takes no steps.
    pub cordoned: bool,
}

/// Which version a runner is of.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_runner_version")]
pub struct RunnerVersion {
    /// What it told.
    pub version: String,
    /// What this server is of.
    pub current: &'static str,
}

/// How a runner is registered.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_runner_registration")]
pub struct Registration {
    /// The one-time code.
    pub code: String,
    /// Until when it can be used.
    pub expires_on: DateTime,
    /// The command that registers the runner; the code is given to it on its standard input.
    pub command: String,
}

/// Without the code.
impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// A runner as requests send it; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_runner_input")]
pub struct RunnerInput {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Its state.
    #[serde(default)]
    pub state: Option<RunnerStateInput>,
}

/// What a runner is to be up to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_runner_state_input")]
pub struct RunnerStateInput {
    /// `ENABLED` or `DISABLED`.
    #[serde(default)]
    pub status: Option<String>,
}
