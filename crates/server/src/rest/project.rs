//! Projects.

use axum::http::StatusCode;
use model::{Error, Project, Result, Workspace};
use service::{Changed, NewProject, PROJECT_FIELDS, ProjectChange};
use wire::project::ProjectInput;

use super::{Shape, list_request, located, page, send};
use crate::http::{Cx, Response, answer};

/// `GET /2.0/workspaces/{workspace}/projects`
///
/// # Errors
/// When the caller may see nothing of the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let (filter, sort) = (cx.filter(&PROJECT_FIELDS)?, cx.sort(&PROJECT_FIELDS)?);
    let service = cx.service()?;
    let (workspace, list) = service.projects(&cx.caller, cx.param("workspace"), filter, sort, window).await?;
    let open = service.with_public_repositories(&cx.caller, &list.values).await?;
    let shape = Shape::of(&cx);
    let here = shape.api(&["workspaces", workspace.slug.as_str(), "projects"]);
    let page = page(&cx, &request, list, &here, |project| {
        shape.project_in_full(&workspace, &project, open.contains(&project.id))
    });
    send(&cx, StatusCode::OK, &page)
}

async fn one(cx: &mut Cx, status: StatusCode, workspace: &Workspace, project: &Project) -> Result<Response> {
    let open = cx.service()?.with_public_repositories(&cx.caller, std::slice::from_ref(project)).await?;
    let shape = Shape::of(cx).project_in_full(workspace, project, open.contains(&project.id));
    let address = shape.links.this.href.clone();
    let response = send(cx, status, &shape)?;
    let moved =
        !project.key.as_str().eq(cx.param("project_key")) && !cx.param("project_key").starts_with('{');
    match status == StatusCode::CREATED || moved {
        true => located(response, &address),
        false => Ok(response),
    }
}

/// `GET /2.0/workspaces/{workspace}/projects/{project_key}`
///
/// # Errors
/// When the caller may not see it.
pub async fn get(mut cx: Cx) -> Result<Response> {
    let found = cx.service()?.project(&cx.caller, cx.param("workspace"), cx.param("project_key"));
    let (workspace, project) = found.await?;
    one(&mut cx, StatusCode::OK, &workspace, &project).await
}

/// `POST /2.0/workspaces/{workspace}/projects`
///
/// # Errors
/// When the caller may not, or the key is taken.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let body: ProjectInput = cx.json().await?;
    let key = body.key.clone().ok_or_else(|| Error::invalid_field("key", "this field is required"))?;
    make(&mut cx, key, body).await
}

async fn make(cx: &mut Cx, key: model::ProjectKey, body: ProjectInput) -> Result<Response> {
    let name = body.name.ok_or_else(|| Error::invalid_field("name", "this field is required"))?;
    let new = NewProject {
        key,
        name: Some(name),
        description: body.description.unwrap_or_default(),
        private: body.is_private.unwrap_or(true),
    };
    let made = cx.service()?.create_project(&cx.caller, cx.param("workspace"), new).await;
    let (workspace, project) = made.map_err(|error| match error {
        Error::Conflict(message) => Error::invalid_field("key", message),
        other => other,
    })?;
    one(cx, StatusCode::CREATED, &workspace, &project).await
}

/// `PUT /2.0/workspaces/{workspace}/projects/{project_key}`: changes it, or makes it.
///
/// # Errors
/// When the caller may neither change it nor make it.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let body: ProjectInput = cx.json().await?;
    let change = ProjectChange {
        key: body.key.clone(),
        name: body.name.clone(),
        description: body.description.clone(),
        private: body.is_private,
    };
    let (workspace, key) = (cx.param("workspace"), cx.param("project_key"));
    match cx.service()?.update_project(&cx.caller, workspace, key, change).await? {
        Changed::Done((workspace, project)) => one(&mut cx, StatusCode::OK, &workspace, &project).await,
        Changed::Absent(absent) => match cx.param("project_key").parse() {
            Ok(key) => make(&mut cx, key, body).await,
            Err(_) => Err(absent),
        },
    }
}

/// `DELETE /2.0/workspaces/{workspace}/projects/{project_key}`. One that holds repositories is refused with 403, as
/// the contract has it.
///
/// # Errors
/// When the caller may not, or it holds repositories.
pub async fn delete(cx: Cx) -> Result<Response> {
    let deleted = cx.service()?.delete_project(&cx.caller, cx.param("workspace"), cx.param("project_key"));
    match deleted.await {
        Ok(()) => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Err(Error::Conflict(message)) => Err(Error::forbidden(message)),
        Err(other) => Err(other),
    }
}
