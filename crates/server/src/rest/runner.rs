//! Runners, as people manage them.

use axum::http::StatusCode;
use model::{DisplayName, Error, Result, Runner, RunnerId};
use service::{NewRunner, RunnerChange, RunnerPlace, RunnerState, Service};
use wire::runner::{Registration, RunnerInput, RunnerVersion};

use super::{Shape, list_request, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

fn place(cx: &Cx) -> Result<RunnerPlace> {
    Ok(match cx.param("repo_slug") {
        "" => RunnerPlace::Workspace(cx.param("workspace").to_owned()),
        _ => RunnerPlace::Repository(repository_path(cx)?),
    })
}

fn here(cx: &Cx) -> String {
    let (workspace, repository) = (cx.param("workspace"), cx.param("repo_slug"));
    let shape = Shape::of(cx);
    match repository {
        "" => shape.api(&["workspaces", workspace, "pipelines-config", "runners"]),
        _ => shape.api(&["repositories", workspace, repository, "pipelines-config", "runners"]),
    }
}

fn id(cx: &Cx) -> Result<RunnerId> {
    cx.param("runner_uuid").parse().map_err(|_| Error::not_found("the runner"))
}

/// The version that a runner told of itself.
fn version(runner: &Runner) -> Option<String> {
    let program: serde_json::Value = serde_json::from_str(runner.program.as_deref()?).ok()?;
    program.get("version")?.as_str().map(str::to_owned)
}

fn shown(service: &Service, runner: &Runner) -> wire::runner::Runner {
    let status = match service.runner_state(runner) {
        RunnerState::Unregistered => "UNREGISTERED",
        RunnerState::Disabled => "DISABLED",
        RunnerState::Online => "ONLINE",
        RunnerState::Offline => "OFFLINE",
    };
    let mut labels: Vec<String> = runner.own_labels.iter().chain(&runner.labels).cloned().collect();
    if labels.is_empty() || !labels.iter().any(|label| label == "self.hosted") {
        labels.insert(0, "self.hosted".to_owned());
    }
    let current = env!("CARGO_PKG_VERSION");
    wire::runner::Runner {
        uuid: runner.id.into(),
        name: runner.name.to_string(),
        labels,
        state: wire::runner::RunnerState {
            status,
            version: version(runner).map(|version| RunnerVersion { version, current }),
            cordoned: !runner.enabled,
        },
        created_on: runner.created_on.into(),
        updated_on: runner.seen_on.map(Into::into),
        registration: None,
    }
}

/// The command that registers a runner. The code is no part of it: arguments are seen by everybody on a machine.
fn command(cx: &Cx) -> String {
    format!("bastide runner register --url {} --directory /var/lib/bastide-runner", cx.app.settings.base_url)
}

fn change(input: RunnerInput) -> Result<RunnerChange> {
    let name = input.name.map(|name| name.parse::<DisplayName>()).transpose();
    let enabled = match input.state.and_then(|state| state.status).as_deref() {
        None => None,
        Some("ENABLED" | "ONLINE") => Some(true),
        Some("DISABLED") => Some(false),
        Some(_) => return Err(Error::invalid_field("state.status", "use `ENABLED` or `DISABLED`")),
    };
    Ok(RunnerChange {
        name: name.map_err(|error| Error::invalid_field("name", error))?,
        labels: input.labels,
        enabled,
    })
}

/// `GET …/pipelines-config/runners`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let service = cx.service()?;
    let found = service.runners(&cx.caller, &place(&cx)?, window).await?;
    let page = page(&cx, &request, found, &here(&cx), |runner| shown(service, &runner));
    send(&cx, StatusCode::OK, &page)
}

/// `POST …/pipelines-config/runners`: the answer has the one-time code, once.
///
/// # Errors
/// When the caller may not, or there is one of this name.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?)?;
    let place = place(&cx)?;
    let service = cx.service()?;
    let NewRunner { runner, code, code_expires_on } = service.create_runner(&cx.caller, &place, new).await?;
    let mut shape = shown(service, &runner);
    shape.registration = Some(Registration {
        code: code.secret().expose().to_owned(),
        expires_on: code_expires_on.into(),
        command: command(&cx),
    });
    send(&cx, StatusCode::OK, &shape)
}

/// `GET …/pipelines-config/runners/{runner_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let service = cx.service()?;
    let found = service.runner(&cx.caller, &place(&cx)?, id(&cx)?).await?;
    send(&cx, StatusCode::OK, &shown(service, &found))
}

/// `PUT …/pipelines-config/runners/{runner_uuid}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?)?;
    let (place, id) = (place(&cx)?, id(&cx)?);
    let service = cx.service()?;
    let after = service.update_runner(&cx.caller, &place, id, change).await?;
    send(&cx, StatusCode::OK, &shown(service, &after))
}

/// `DELETE …/pipelines-config/runners/{runner_uuid}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    cx.service()?.remove_runner(&cx.caller, &place(&cx)?, id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
