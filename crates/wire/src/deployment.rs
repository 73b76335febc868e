//! Deployments.

use schemars::JsonSchema;
use serde::Serialize;

use crate::DateTime;
use crate::account::User;
use crate::commit::Commit;
use crate::environment::Environment;
use crate::format::{Braced, typed};

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "deployment")]
#[schemars(transform = typed("deployment"))]
pub struct Deployment {
    /// Its id.
    pub uuid: Braced,
    /// Its number among those to this environment.
    pub number: i64,
    /// How far it is.
    pub state: DeploymentState,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What it brings.
    pub release: DeploymentRelease,
    /// The run that it is of.
    pub pipeline: Part,
    /// The step that it is.
    pub step: Part,
    /// When it was made.
    pub created_on: DateTime,
}

/// Something that is named by its id alone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "deployment_part")]
pub struct Part {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its id.
    pub uuid: Braced,
}

/// How far a deployment is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "deployment_state")]
pub struct DeploymentState {
    /// `deployment_state_` and the name in lower case.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `UNDEPLOYED`, `IN_PROGRESS` or `COMPLETED`.
    pub name: &'static str,
    /// Where its run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who started the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployer: Option<User>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeploymentStatus>,
    /// When its step started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<DateTime>,
    /// When its step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_date: Option<DateTime>,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "deployment_state_completed_status")]
pub struct DeploymentStatus {
    /// `deployment_state_completed_status_` and the name in lower case.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `SUCCESSFUL`, `FAILED` or `STOPPED`.
    pub name: &'static str,
}

/// What a deployment brings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "deployment_release")]
#[schemars(transform = typed("deployment_release"))]
pub struct DeploymentRelease {
    /// Its id: that of the run.
    pub uuid: Braced,
    /// The run's number.
    pub name: String,
    /// Where the run is.
    pub url: String,
    /// The commit.
    pub commit: Commit,
    /// When it was made.
    pub created_on: DateTime,
}
