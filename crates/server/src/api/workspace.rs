//! Workspaces, for those who make and run them.

use axum::http::StatusCode;
use model::Result;
use service::WorkspaceChange;
use wire::PageRequest;
use wire::api::{Workspace, WorkspaceCreate, WorkspaceUpdate};

use super::{admitted, bound_to, document, page, window};
use crate::http::{Cx, Response, answer};

/// `GET /api/workspaces`: the caller's own.
///
/// # Errors
/// When the caller is not a user.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let own = admitted(&cx)?.own_workspaces(&cx.caller, window(&request)?).await?;
    page(&cx, &request, own, |(workspace, _)| Workspace::from(&workspace))
}

/// `POST /api/workspaces`
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn create(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: WorkspaceCreate = cx.json().await?;
    let workspace = cx.service()?.create_workspace(&cx.caller, body.slug, body.name).await?;
    document(StatusCode::CREATED, &Workspace::from(&workspace))
}

/// `GET /api/workspaces/{workspace}`
///
/// # Errors
/// When the caller may not see it, or there is none.
pub async fn get(cx: Cx) -> Result<Response> {
    let workspace = admitted(&cx)?.workspace(&cx.caller, cx.param("workspace")).await?;
    document(StatusCode::OK, &Workspace::from(&workspace))
}

/// `PUT /api/workspaces/{workspace}`
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn update(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: WorkspaceUpdate = cx.json().await?;
    let service = cx.service()?;
    let name = cx.param("workspace");
    let seen = service.workspace(&cx.caller, name).await?;
    let bound = bound_to(&cx, &Workspace::from(&seen))?;
    let change = WorkspaceChange { slug: body.slug, name: body.name, only_if: bound.then_some(seen) };
    let workspace = service.update_workspace(&cx.caller, name, change).await?;
    document(StatusCode::OK, &Workspace::from(&workspace))
}

/// `DELETE /api/workspaces/{workspace}`
///
/// # Errors
/// When the caller may not, or it holds projects.
pub async fn delete(cx: Cx) -> Result<Response> {
    admitted(&cx)?.delete_workspace(&cx.caller, cx.param("workspace")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
