//! Schedules of pipelines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DateTime;
use crate::format::{Braced, typed};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_schedule")]
#[schemars(transform = typed("pipeline_schedule"))]
pub struct PipelineSchedule {
    /// Its id.
    pub uuid: Braced,
    /// Whether it starts anything.
    pub enabled: bool,
    /// What it starts.
    pub target: ScheduleTarget,
    /// When it is due: seconds, minutes, hours, day of the month, month, day of the week, year, in UTC.
    pub cron_pattern: String,
    /// When it is due next; absent where it is not. Bastide's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_on: Option<DateTime>,
    /// When it was made.
    pub created_on: DateTime,
    /// When it was last changed.
    pub updated_on: DateTime,
}

/// What a schedule starts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_ref_target")]
#[schemars(transform = typed("pipeline_ref_target"), rename = "pipeline_schedule_target")]
pub struct ScheduleTarget {
    /// `branch`.
    pub ref_type: &'static str,
    /// The branch.
    pub ref_name: String,
    /// How the pipeline is chosen.
    pub selector: ScheduleSelector,
}

/// How a pipeline is chosen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_schedule_selector")]
pub struct ScheduleSelector {
    /// `branches`, `default` or `custom`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its name or pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// A schedule as requests send it; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_schedule_input")]
pub struct PipelineScheduleInput {
    /// When it is due.
    #[serde(default)]
    pub cron_pattern: Option<String>,
    /// What it starts.
    #[serde(default)]
    pub target: Option<ScheduleTargetInput>,
    /// Whether it starts anything.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// What a schedule starts, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_schedule_target_input")]
pub struct ScheduleTargetInput {
    /// `branch`.
    #[serde(default)]
    pub ref_type: Option<String>,
    /// The branch.
    #[serde(default)]
    pub ref_name: Option<String>,
    /// How the pipeline is chosen.
    #[serde(default)]
    pub selector: Option<ScheduleSelectorInput>,
}

/// How a pipeline is chosen, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_schedule_selector_input")]
pub struct ScheduleSelectorInput {
    /// `branches`, `default` or `custom`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Its name or pattern.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// What came of one time at which a schedule was due.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "pipeline_schedule_execution")]
pub struct ScheduleExecution {
    /// `pipeline_schedule_execution_executed` or `pipeline_schedule_execution_errored`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<StartedPipeline>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ScheduleError>,
    /// When it was due. Bastide's own.
    pub due_on: DateTime,
    /// When it was started.
    pub created_on: DateTime,
}

/// A run that a schedule started.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline")]
#[schemars(transform = typed("pipeline"), rename = "started_pipeline")]
pub struct StartedPipeline {
    /// Its id.
    pub uuid: Braced,
}

/// Why a schedule started nothing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_error")]
#[schemars(transform = typed("pipeline_error"), rename = "schedule_error")]
pub struct ScheduleError {
    /// A word for programs.
    pub key: String,
    /// Why.
    pub message: String,
}
