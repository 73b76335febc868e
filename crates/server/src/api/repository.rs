//! What the published interface has no words for about repositories: bringing back what was deleted, and moving.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{RepositoryPath, project_name};
use wire::api::Transfer;

use super::admitted;
use crate::http::{Cx, Response, answer};
use crate::rest::repository_in_full;

fn path(cx: &Cx) -> Result<RepositoryPath> {
    RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))
}

/// `POST /api/repositories/{workspace}/{repo_slug}/restore`
///
/// # Errors
/// When the caller may not, nothing of this name was deleted, or the name is taken again.
pub async fn restore(cx: Cx) -> Result<Response> {
    let located = admitted(&cx)?.restore_repository(&cx.caller, &path(&cx)?).await?;
    answer::json(StatusCode::OK, &repository_in_full(&cx, &located))
}

/// `POST /api/repositories/{workspace}/{repo_slug}/transfer`
///
/// # Errors
/// When the caller may not, here or there, or the body is not what it must be.
pub async fn transfer(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: Transfer = cx.json().await?;
    let project = project_name(&body.project)
        .ok_or_else(|| Error::invalid_field("project", "not a project's key or id"))?;
    let service = cx.service()?;
    let located =
        service.transfer_repository(&cx.caller, &path(&cx)?, body.workspace.as_deref(), project).await?;
    answer::json(StatusCode::OK, &repository_in_full(&cx, &located))
}
