//! Runs of pipelines and their steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::User;
use crate::format::typed;
use crate::repository::Repository;
use crate::{Base, Braced, DateTime, Link};

/// An object that is a type and a name, and perhaps one more inside.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_state")]
pub struct State {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: &'static str,
    /// How far it is, where it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Box<State>>,
    /// What came of it, where it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<State>>,
    /// Why it could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StateError>,
}

impl State {
    /// A state of a run or of a step: `of` is `pipeline` or `pipeline_step`.
    #[must_use]
    pub fn new(of: &str, name: &'static str) -> Self {
        let kind = format!("{of}_state_{}", name.to_ascii_lowercase());
        Self { kind, name, stage: None, result: None, error: None }
    }

    /// One that is under way.
    #[must_use]
    pub fn in_progress(of: &str, stage: &'static str) -> Self {
        let kind = format!("{of}_state_in_progress_{}", stage.to_ascii_lowercase());
        let stage = Self { kind, name: stage, stage: None, result: None, error: None };
        Self { stage: Some(Box::new(stage)), ..Self::new(of, "IN_PROGRESS") }
    }

    /// One that is over.
    #[must_use]
    pub fn completed(of: &str, result: &'static str, error: Option<StateError>) -> Self {
        let kind = format!("{of}_state_completed_{}", result.to_ascii_lowercase());
        let result = Self { kind, name: result, stage: None, result: None, error };
        Self { result: Some(Box::new(result)), ..Self::new(of, "COMPLETED") }
    }
}

/// Why something could not be run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_error")]
#[schemars(transform = typed("pipeline_error"))]
pub struct StateError {
    /// A word for programs.
    pub key: String,
    /// For people.
    pub message: String,
}

/// Where in the file a run was chosen from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_selector")]
pub struct Selector {
    /// `default`, `branches`, `tags` or `custom`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The pattern that fitted, or the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// A commit, by its name alone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "commit")]
#[schemars(rename = "pipeline_commit", transform = typed("commit"))]
pub struct CommitName {
    /// Its full id.
    pub hash: String,
    /// Where it is found.
    pub links: SelfLink,
}

/// Where something is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_links")]
pub struct SelfLink {
    /// Itself.
    #[serde(rename = "self")]
    pub this: Link,
}

/// What a run is on.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_target")]
pub struct Target {
    /// `pipeline_ref_target` or `pipeline_commit_target`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `branch` or `tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_type: Option<&'static str>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_name: Option<String>,
    /// Where in the file it was chosen from.
    pub selector: Selector,
    /// The commit.
    pub commit: CommitName,
}

/// What started a run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_trigger")]
pub struct Trigger {
    /// `pipeline_trigger_push` and its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// `PUSH`, `MANUAL` or `SCHEDULE`.
    pub name: &'static str,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_configuration_source")]
pub struct ConfigurationSource {
    /// Its kind.
    pub source: String,
    /// Where it is found.
    pub uri: String,
}

/// A variable of a run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_variable")]
#[schemars(rename = "pipeline_run_variable", transform = typed("pipeline_variable"))]
pub struct RunVariable {
    /// Its name.
    pub key: String,
    /// Its value; empty where it is secured.
    pub value: String,
    /// Whether it is secured.
    pub secured: bool,
}

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline")]
#[schemars(transform = typed("pipeline"))]
pub struct Pipeline {
    /// Its id.
    pub uuid: Braced,
    /// Its number in the repository.
    pub build_number: i64,
    /// Who started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<User>,
    /// The repository.
    pub repository: Repository,
    /// What it is on.
    pub target: Target,
    /// What started it.
    pub trigger: Trigger,
    /// Where it stands.
    pub state: State,
    /// What was set for it.
    pub variables: Vec<RunVariable>,
    /// When it was started.
    pub created_on: DateTime,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_on: Option<DateTime>,
    /// For how long its steps ran, in seconds.
    pub build_seconds_used: i64,
    /// Where its configuration came from.
    pub configuration_sources: Vec<ConfigurationSource>,
    /// Where it is found.
    pub links: PipelineLinks,
}

/// Where a run's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipelines_pipeline_links")]
pub struct PipelineLinks {
    /// The run itself.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its steps.
    pub steps: Link,
}

impl PipelineLinks {
    /// From the repository's full name and the run's id.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, uuid: &str) -> Self {
        Self {
            this: base.api(&["repositories", full_name, "pipelines", uuid]),
            steps: base.api(&["repositories", full_name, "pipelines", uuid, "steps"]),
        }
    }
}

/// A command of a step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_command")]
pub struct Command {
    /// For people.
    pub name: String,
    /// For the shell; of a pipe, its name.
    pub command: String,
}

/// The image that a step runs in.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_image")]
pub struct Image {
    /// Its name.
    pub name: String,
}

/// A runner, by its name alone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_step_runner")]
pub struct StepRunner {
    /// Its id.
    pub uuid: Braced,
    /// Its name.
    pub name: String,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_step")]
#[schemars(transform = typed("pipeline_step"))]
pub struct PipelineStep {
    /// Its id.
    pub uuid: Braced,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The run, by its id alone.
    pub pipeline: BTreeMap<&'static str, String>,
    /// Where it stands.
    pub state: State,
    /// The image that it runs in.
    pub image: Image,
    /// The commands that it runs.
    pub script_commands: Vec<Command>,
    /// The commands that run before those.
    pub setup_commands: Vec<Command>,
    /// Which attempt at it is the last one.
    pub run_number: i64,
    /// The longest it may take, in seconds.
    #[serde(rename = "maxTime")]
    pub max_time: u32,
    /// How many it may run beside, and which of them it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_group: Option<BTreeMap<&'static str, usize>>,
    /// The labels that its runner must have.
    pub runs_on: Vec<String>,
    /// The runner that has or had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<StepRunner>,
    /// When it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_on: Option<DateTime>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_on: Option<DateTime>,
    /// For how long it ran, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_in_seconds: Option<i64>,
    /// Who approves it, where its environment asks for approvals; not part of the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<StepApprovals>,
}

/// The approvals of a step that deploys.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_step_approvals")]
pub struct StepApprovals {
    /// How many its environment asks for.
    pub required: i64,
    /// Those that were given, the first one first.
    pub given: Vec<StepApproval>,
}

/// Somebody's approval of a step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_step_approval")]
pub struct StepApproval {
    /// Who gave it.
    pub user: User,
    /// When.
    pub created_on: DateTime,
}

/// A run as it is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_input")]
pub struct PipelineInput {
    /// What it is on.
    #[serde(default)]
    pub target: TargetInput,
    /// What is set for it.
    #[serde(default)]
    pub variables: Option<Vec<RunVariableInput>>,
}

/// What a run is to be on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_target_input")]
pub struct TargetInput {
    /// `pipeline_ref_target` or `pipeline_commit_target`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `branch`, `named_branch` or `tag`.
    #[serde(default)]
    pub ref_type: Option<String>,
    /// Its name.
    #[serde(default)]
    pub ref_name: Option<String>,
    /// Which pipeline of the file.
    #[serde(default)]
    pub selector: Option<SelectorInput>,
    /// The commit.
    #[serde(default)]
    pub commit: Option<CommitInput>,
}

/// Which pipeline of the file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_selector_input")]
pub struct SelectorInput {
    /// `custom`, `branches`, `tags` or `default`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The name of a custom pipeline.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// A commit by its name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_commit_input")]
pub struct CommitInput {
    /// Its id, or the beginning of it.
    #[serde(default)]
    pub hash: Option<String>,
}

/// A variable for a run.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_run_variable_input")]
pub struct RunVariableInput {
    /// Its name.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
    /// Whether it is hidden in logs and answers.
    #[serde(default)]
    pub secured: bool,
}

/// Without the value.
impl std::fmt::Debug for RunVariableInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunVariableInput").field("key", &self.key).finish_non_exhaustive()
    }
}
