//! Variables of pipelines: of a workspace, a repository or an environment, as the path says.

use axum::http::StatusCode;
use model::Result;
use service::{PipelineVariableChange, PipelineVariableView, VariablesOf};
use wire::pipeline_variable::{PipelineVariable, PipelineVariableInput};

use super::{Shape, list_request, located, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

fn shown(view: PipelineVariableView) -> PipelineVariable {
    let one = view.variable;
    PipelineVariable {
        uuid: one.id.into(),
        key: one.name.to_string(),
        value: view.value.map(|value| value.expose().to_owned()),
        secured: one.secured,
        protected_only: one.protected_only,
        environments: one.environments,
    }
}

fn change(input: PipelineVariableInput) -> PipelineVariableChange {
    PipelineVariableChange {
        name: input.key,
        value: input.value,
        secured: input.secured,
        protected_only: input.protected_only,
        environments: input.environments,
    }
}

/// Whose variables the path names.
fn of(cx: &Cx) -> Result<VariablesOf> {
    let (repository, environment) = (cx.param("repo_slug"), cx.param("environment_uuid"));
    Ok(match (repository.is_empty(), environment.is_empty()) {
        (true, _) => VariablesOf::Workspace(cx.param("workspace").to_owned()),
        (false, true) => VariablesOf::Repository(repository_path(cx)?),
        (false, false) => VariablesOf::Environment(repository_path(cx)?, environment.to_owned()),
    })
}

/// The collection's own address, or that of one in it.
fn address(cx: &Cx, one: &[&str]) -> String {
    let (workspace, repository, environment) =
        (cx.param("workspace"), cx.param("repo_slug"), cx.param("environment_uuid"));
    let collection = match (repository, environment) {
        ("", _) => vec!["workspaces", workspace, "pipelines-config", "variables"],
        (_, "") => vec!["repositories", workspace, repository, "pipelines_config", "variables"],
        _ => vec![
            "repositories",
            workspace,
            repository,
            "deployments_config",
            "environments",
            environment,
            "variables",
        ],
    };
    Shape::of(cx).api(&[collection.as_slice(), one].concat())
}

/// `GET …/variables`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let found = cx.service()?.pipeline_variables(&cx.caller, &of(&cx)?, window).await?;
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &address(&cx, &[]), shown))
}

/// `POST …/variables`
///
/// # Errors
/// When the caller may not, or there is one of this name.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let made = cx.service()?.create_pipeline_variable(&cx.caller, &of(&cx)?, new).await?;
    let address = address(&cx, &[&made.variable.id.braced()]);
    located(send(&cx, StatusCode::CREATED, &shown(made))?, &address)
}

/// `GET …/variables/{variable_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let variable = cx.param("variable_uuid");
    let found = cx.service()?.pipeline_variable(&cx.caller, &of(&cx)?, variable).await?;
    send(&cx, StatusCode::OK, &shown(found))
}

/// `PUT …/variables/{variable_uuid}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, there is none, or another one has this name.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?);
    let variable = cx.param("variable_uuid");
    let after = cx.service()?.update_pipeline_variable(&cx.caller, &of(&cx)?, variable, change).await?;
    send(&cx, StatusCode::OK, &shown(after))
}

/// `DELETE …/variables/{variable_uuid}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    let variable = cx.param("variable_uuid");
    cx.service()?.remove_pipeline_variable(&cx.caller, &of(&cx)?, variable).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
