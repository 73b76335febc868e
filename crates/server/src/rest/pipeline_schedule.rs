//! Schedules of pipelines.

use axum::http::StatusCode;
use model::{Result, ScheduleExecution as Execution, ScheduleOutcome};
use service::{PipelineScheduleChange, ScheduleTargetChange};
use wire::pipeline_schedule::{
    PipelineSchedule, PipelineScheduleInput, ScheduleError, ScheduleExecution, ScheduleSelector,
    ScheduleTarget, ScheduleTargetInput, StartedPipeline,
};

use super::{Shape, list_request, located, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

fn shown(one: model::PipelineSchedule) -> PipelineSchedule {
    PipelineSchedule {
        uuid: one.id.into(),
        enabled: one.enabled,
        target: ScheduleTarget {
            ref_type: "branch",
            ref_name: one.target.branch,
            selector: ScheduleSelector { kind: one.target.selector.as_str(), pattern: one.target.pattern },
        },
        cron_pattern: one.cron.to_string(),
        next_on: one.next_on.map(Into::into),
        created_on: one.created_on.into(),
        updated_on: one.updated_on.into(),
    }
}

fn execution(one: Execution) -> ScheduleExecution {
    let (kind, pipeline, error) = match one.outcome {
        ScheduleOutcome::Started(run) => {
            ("pipeline_schedule_execution_executed", Some(StartedPipeline { uuid: run.into() }), None)
        }
        ScheduleOutcome::Failed { key, message } => {
            ("pipeline_schedule_execution_errored", None, Some(ScheduleError { key, message }))
        }
    };
    ScheduleExecution { kind, pipeline, error, due_on: one.due_on.into(), created_on: one.ran_on.into() }
}

fn change(input: PipelineScheduleInput) -> PipelineScheduleChange {
    let target = |one: ScheduleTargetInput| {
        let selector = one.selector.unwrap_or_default();
        ScheduleTargetChange {
            ref_type: one.ref_type,
            ref_name: one.ref_name,
            selector: selector.kind,
            pattern: selector.pattern,
        }
    };
    PipelineScheduleChange {
        cron: input.cron_pattern,
        target: input.target.map(target),
        enabled: input.enabled,
    }
}

/// `GET …/pipelines_config/schedules`
///
/// # Errors
/// When the caller may not see the repository's pipelines.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (at, found) = cx.service()?.pipeline_schedules(&cx.caller, &repository_path(&cx)?, window).await?;
    let here = Shape::of(&cx).below(&at, &["pipelines_config", "schedules"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, shown))
}

/// `POST …/pipelines_config/schedules`. The contract answers 401 where a repository has too many, which tells clients to
/// sign in again; here it is 409.
///
/// # Errors
/// When the caller may not, there are too many, or the pattern is none.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let path = repository_path(&cx)?;
    let (at, made) = cx.service()?.create_pipeline_schedule(&cx.caller, &path, new).await?;
    let address = Shape::of(&cx).below(&at, &["pipelines_config", "schedules", &made.id.braced()]);
    located(send(&cx, StatusCode::CREATED, &shown(made))?, &address)
}

/// `GET …/pipelines_config/schedules/{schedule_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let schedule = cx.param("schedule_uuid");
    let found = cx.service()?.pipeline_schedule(&cx.caller, &repository_path(&cx)?, schedule).await?;
    send(&cx, StatusCode::OK, &shown(found))
}

/// `PUT …/pipelines_config/schedules/{schedule_uuid}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?);
    let (path, schedule) = (repository_path(&cx)?, cx.param("schedule_uuid"));
    let after = cx.service()?.update_pipeline_schedule(&cx.caller, &path, schedule, change).await?;
    send(&cx, StatusCode::OK, &shown(after))
}

/// `DELETE …/pipelines_config/schedules/{schedule_uuid}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    let schedule = cx.param("schedule_uuid");
    cx.service()?.remove_pipeline_schedule(&cx.caller, &repository_path(&cx)?, schedule).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET …/pipelines_config/schedules/{schedule_uuid}/executions`: the newest first.
///
/// # Errors
/// When there is no such schedule, or the caller may not see it.
pub async fn executions(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (path, schedule) = (repository_path(&cx)?, cx.param("schedule_uuid"));
    let (at, found) = cx.service()?.pipeline_schedule_executions(&cx.caller, &path, schedule, window).await?;
    let here = Shape::of(&cx).below(&at, &["pipelines_config", "schedules", schedule, "executions"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, execution))
}
