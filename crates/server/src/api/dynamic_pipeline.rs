//! Who has the last word about what pipelines do: of a workspace, and of a repository.

use axum::http::StatusCode;
use model::dynamic_pipeline::USUAL_TIME_LIMIT;
use model::{DynamicPipeline, Result, Secret};
use service::{DynamicOf, NewDynamicPipeline, RepositoryPath};
use wire::api::{DynamicPipelines, DynamicPipelinesSet, PipelineDefinitions};

use super::admitted;
use crate::http::{Cx, Response, answer};

fn of(cx: &Cx) -> Result<DynamicOf> {
    let (workspace, repository) = (cx.param("workspace"), cx.param("repo_slug"));
    Ok(match repository.is_empty() {
        true => DynamicOf::Workspace(workspace.to_owned()),
        false => DynamicOf::Repository(RepositoryPath::parse(workspace, repository)?),
    })
}

fn shape(settings: Option<DynamicPipeline>, secret: Option<Secret>) -> DynamicPipelines {
    match settings {
        None => DynamicPipelines {
            address: None,
            time_limit: USUAL_TIME_LIMIT,
            enabled: true,
            rules: String::new(),
            set_by: None,
            set_on: None,
            secret: None,
        },
        Some(one) => DynamicPipelines {
            address: one.address,
            time_limit: one.time_limit,
            enabled: one.enabled,
            rules: one.rules,
            set_by: Some(one.set_by),
            set_on: Some(one.set_on.into()),
            secret,
        },
    }
}

/// `GET /api/workspaces/{workspace}/dynamic-pipelines` and `GET /api/repositories/{workspace}/{repo_slug}/dynamic-pipelines`
///
/// # Errors
/// When the caller does not administer them.
pub async fn get(cx: Cx) -> Result<Response> {
    let found = admitted(&cx)?.dynamic_pipeline(&cx.caller, &of(&cx)?).await?;
    answer::json(StatusCode::OK, &shape(found, None))
}

/// `PUT` to the same.
///
/// # Errors
/// When the caller may not, the address is not one that may be named, or the rules are none.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: DynamicPipelinesSet = cx.json().await?;
    let new = NewDynamicPipeline {
        address: body.address,
        time_limit: body.time_limit,
        enabled: body.enabled,
        rules: body.rules,
        new_secret: body.new_secret,
    };
    let set = cx.service()?.set_dynamic_pipeline(&cx.caller, &of(&cx)?, new).await?;
    let secret = set.secret.map(|secret| secret.secret().clone());
    answer::json(StatusCode::OK, &shape(Some(set.settings), secret))
}

/// `GET /api/repositories/{workspace}/{repo_slug}/pipeline-definitions?branch=`
///
/// # Errors
/// When the caller may not start pipelines, or there is no such branch.
pub async fn definitions(cx: Cx) -> Result<Response> {
    let path = RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))?;
    let branch = cx.query.get("branch")?.unwrap_or_default().to_owned();
    let custom = admitted(&cx)?.pipeline_definitions(&cx.caller, &path, &branch).await?;
    answer::json(StatusCode::OK, &PipelineDefinitions { custom })
}
