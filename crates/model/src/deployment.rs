//! Deployments: what went to an environment, from which run, by whom, and what became of it.

use std::fmt;
use std::str::FromStr;

use crate::{DeploymentId, EnvironmentId, PipelineId, RepositoryId, StepId, Timestamp, UserId};

/// The text names no state, or no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `UNDEPLOYED`, `IN_PROGRESS`, `SUCCESSFUL`, `FAILED`, `STOPPED`")]
pub struct BadDeploymentState;

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeploymentResult {
    /// Its step succeeded.
    Successful,
    /// Its step failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl DeploymentResult {
    /// The word for it in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "SUCCESSFUL",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeploymentState {
    /// It waits.
    Undeployed,
    /// Its step runs.
    InProgress,
    /// Its step has ended.
    Completed(DeploymentResult),
}

impl DeploymentState {
    const ALL: [Self; 5] = [
        Self::Undeployed,
        Self::InProgress,
        Self::Completed(DeploymentResult::Successful),
        Self::Completed(DeploymentResult::Failed),
        Self::Completed(DeploymentResult::Stopped),
    ];

    /// The word that the store keeps: that of the result, once there is one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undeployed => "UNDEPLOYED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed(result) => result.as_str(),
        }
    }
}

impl fmt::Display for DeploymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeploymentState {
    type Err = BadDeploymentState;

    fn from_str(text: &str) -> Result<Self, BadDeploymentState> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(BadDeploymentState)
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// In which repository.
    pub repository: RepositoryId,
    /// To which environment.
    pub environment: EnvironmentId,
    /// Its number among those to this environment, from 1.
    pub number: i64,
    /// The run that it is of.
    pub pipeline: PipelineId,
    /// The run's step that it is: one step deploys once.
    pub step: StepId,
    /// What is deployed, in words: the run's number.
    pub release: String,
    /// The commit that is deployed.
    pub commit: String,
    /// Who started the run, where it was a user.
    pub deployer: Option<UserId>,
    /// How far it is.
    pub state: DeploymentState,
    /// When it was made.
    pub created_on: Timestamp,
    /// When its step started.
    pub started_on: Option<Timestamp>,
    /// When its step ended.
    pub completed_on: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_back() {
        for state in DeploymentState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("COMPLETED".parse::<DeploymentState>().is_err());
    }
}
