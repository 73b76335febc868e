//! Deployments.

use axum::http::StatusCode;
use model::{DeploymentResult, DeploymentState as State, Error, Result};
use service::{DeploymentView, Located};
use wire::deployment::{Deployment, DeploymentRelease, DeploymentState, DeploymentStatus, Part};

use super::{Shape, environment, list_request, page, repository_path, send};
use crate::http::{Cx, Response};

fn status(result: DeploymentResult) -> DeploymentStatus {
    let kind = match result {
        DeploymentResult::Successful => "deployment_state_completed_status_successful",
        DeploymentResult::Failed => "deployment_state_completed_status_failed",
        DeploymentResult::Stopped => "deployment_state_completed_status_stopped",
    };
    DeploymentStatus { kind, name: result.as_str() }
}

fn shown(shape: &Shape, located: &Located, view: DeploymentView) -> Deployment {
    let one = view.deployment;
    let url = shape.below(located, &["pipelines", &one.pipeline.braced()]);
    let (kind, name, result) = match one.state {
        State::Undeployed => ("deployment_state_undeployed", "UNDEPLOYED", None),
        State::InProgress => ("deployment_state_in_progress", "IN_PROGRESS", None),
        State::Completed(result) => ("deployment_state_completed", "COMPLETED", Some(result)),
    };
    let begun = one.state != State::Undeployed;
    Deployment {
        uuid: one.id.into(),
        number: one.number,
        state: DeploymentState {
            kind,
            name,
            url: begun.then(|| url.clone()),
            deployer: view.deployer.filter(|_| begun).map(|user| shape.user(&user)),
            status: result.map(status),
            start_date: one.started_on.map(Into::into),
            completion_date: one.completed_on.map(Into::into),
        },
        environment: view.environment.map(|of| environment::shown(&of, one.state == State::InProgress)),
        release: DeploymentRelease {
            uuid: one.pipeline.into(),
            name: one.release,
            url,
            commit: shape.commit_named(located, &one.commit),
            created_on: one.created_on.into(),
        },
        pipeline: Part { kind: "pipeline", uuid: one.pipeline.into() },
        step: Part { kind: "pipeline_step", uuid: one.step.into() },
        created_on: one.created_on.into(),
    }
}

/// That no other order is asked for than the one there is, and no filter but `environment`.
fn newest_first(cx: &Cx) -> Result<()> {
    if cx.query.get("q")?.is_some_and(|text| !text.is_empty()) {
        return Err(Error::invalid_field("q", "this list is filtered by `environment` alone: leave it out"));
    }
    match cx.query.get("sort")? {
        None | Some("" | "-created_on" | "-state.started_on") => Ok(()),
        Some(_) => Err(Error::invalid_field("sort", "this list is the newest first: leave it out")),
    }
}

/// `GET …/deployments`: the newest first; with `environment`, those to one.
///
/// # Errors
/// When the caller may not see the repository's pipelines.
pub async fn list(cx: Cx) -> Result<Response> {
    newest_first(&cx)?;
    let (request, window) = list_request(&cx)?;
    let environment = cx.query.get("environment")?.filter(|text| !text.is_empty());
    let path = repository_path(&cx)?;
    let (at, found) = cx.service()?.deployments(&cx.caller, &path, environment, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.below(&at, &["deployments"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| shown(&shape, &at, one)))
}

/// `GET …/deployments/{deployment_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let deployment = cx.param("deployment_uuid");
    let (at, found) = cx.service()?.deployment(&cx.caller, &repository_path(&cx)?, deployment).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &at, found))
}
