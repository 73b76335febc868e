//! Explicit grants on repositories and projects.

use axum::http::StatusCode;
use model::{Permission, ProjectPermission, RepositoryPermission, Result};
use serde_json::Value;
use service::{GrantHolder, GrantPlace, HeldGrant, HolderName, Located};
use wire::permission::{
    PermissionInput, ProjectGroupPermission, ProjectUserPermission, RepositoryGroupPermission,
    RepositoryUserPermission,
};

use super::{Shape, list_request, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// Where the grants are, as the answers show it.
enum On {
    Repository(Box<Located>),
    Project(Box<(model::Workspace, model::Project)>),
}

fn place(cx: &Cx) -> Result<GrantPlace> {
    match cx.param("project_key") {
        "" => repository_path(cx).map(GrantPlace::Repository),
        key => Ok(GrantPlace::Project(cx.param("workspace").to_owned(), key.to_owned())),
    }
}

/// Whoever may list grants may also see what they are on.
async fn on(cx: &mut Cx, place: &GrantPlace) -> Result<On> {
    let service = cx.service()?;
    match place {
        GrantPlace::Repository(path) => {
            let located = service.repository(&cx.caller, path).await?;
            Ok(On::Repository(Box::new(Located::clone(&located))))
        }
        GrantPlace::Project(workspace, key) => {
            let found = service.project(&cx.caller, workspace, key).await?;
            Ok(On::Project(Box::new(found)))
        }
    }
}

fn holder(cx: &Cx) -> HolderName {
    match cx.param("group_slug") {
        "" => HolderName::User(cx.param("selected_user_id").to_owned()),
        slug => HolderName::Group(slug.to_owned()),
    }
}

fn on_repository(permission: Option<Permission>) -> Option<RepositoryPermission> {
    match permission {
        Some(Permission::Repository(level)) => Some(level),
        _ => None,
    }
}

fn on_project(permission: Option<Permission>) -> Option<ProjectPermission> {
    match permission {
        Some(Permission::Project(level)) => Some(level),
        _ => None,
    }
}

fn shown(shape: &Shape, on: &On, grant: HeldGrant) -> Result<Value> {
    let base = &shape.base;
    let value = match (on, &grant.holder) {
        (On::Repository(located), GrantHolder::User(user)) => {
            let (user, repository) = (shape.user(user), shape.repository(located));
            let level = on_repository(grant.permission);
            serde_json::to_value(RepositoryUserPermission::new(base, user, repository, level))
        }
        (On::Repository(located), GrantHolder::Group(group)) => {
            let (group, repository) = (shape.group(&located.workspace, group), shape.repository(located));
            let level = on_repository(grant.permission);
            serde_json::to_value(RepositoryGroupPermission::new(base, group, repository, level))
        }
        (On::Project(at), GrantHolder::User(user)) => {
            let (workspace, project) = at.as_ref();
            let (slug, level) = (workspace.slug.as_str(), on_project(grant.permission));
            let (user, project) = (shape.user(user), shape.project(workspace, project));
            serde_json::to_value(ProjectUserPermission::new(base, slug, user, project, level))
        }
        (On::Project(at), GrantHolder::Group(group)) => {
            let (workspace, project) = at.as_ref();
            let (slug, level) = (workspace.slug.as_str(), on_project(grant.permission));
            let (group, project) = (shape.group(workspace, group), shape.project(workspace, project));
            serde_json::to_value(ProjectGroupPermission::new(base, slug, group, project, level))
        }
    };
    value.map_err(model::Error::internal)
}

/// `GET …/permissions-config/users`
///
/// # Errors
/// When the caller may not see who may do what.
pub async fn list_users(cx: Cx) -> Result<Response> {
    list(cx, false).await
}

/// `GET …/permissions-config/groups`
///
/// # Errors
/// When the caller may not see who may do what.
pub async fn list_groups(cx: Cx) -> Result<Response> {
    list(cx, true).await
}

async fn list(mut cx: Cx, groups: bool) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let place = place(&cx)?;
    let grants = cx.service()?.grants(&cx.caller, &place, groups, window).await?;
    let on = on(&mut cx, &place).await?;
    let shape = Shape::of(&cx);
    let kind = if groups { "groups" } else { "users" };
    let here = match &on {
        On::Repository(located) => shape.below(located, &["permissions-config", kind]),
        On::Project(at) => {
            let (workspace, project) = (at.0.slug.as_str(), at.1.key.as_str());
            shape.api(&["workspaces", workspace, "projects", project, "permissions-config", kind])
        }
    };
    let (size, more) = (grants.size, grants.more);
    let values = grants.values.into_iter().map(|grant| shown(&shape, &on, grant)).collect::<Result<_>>()?;
    let list = service::Listing { values, size, more };
    send(&cx, StatusCode::OK, &page(&cx, &request, list, &here, |value: Value| value))
}

/// `GET …/permissions-config/{users,groups}/{…}`: with `none` where nothing is granted.
///
/// # Errors
/// When the caller may not see who may do what, or there is nobody of the name.
pub async fn get(mut cx: Cx) -> Result<Response> {
    let place = place(&cx)?;
    let grant = cx.service()?.grant(&cx.caller, &place, holder(&cx)).await?;
    let on = on(&mut cx, &place).await?;
    let shown = shown(&Shape::of(&cx), &on, grant)?;
    send(&cx, StatusCode::OK, &shown)
}

/// `PUT …/permissions-config/{users,groups}/{…}`
///
/// # Errors
/// When the caller may not grant, or the one named cannot hold a grant.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let body: PermissionInput<String> = cx.json().await?;
    let place = place(&cx)?;
    let grant = cx.service()?.set_grant(&cx.caller, &place, holder(&cx), &body.permission).await?;
    let on = on(&mut cx, &place).await?;
    let shown = shown(&Shape::of(&cx), &on, grant)?;
    send(&cx, StatusCode::OK, &shown)
}

/// `DELETE …/permissions-config/{users,groups}/{…}`
///
/// # Errors
/// When the caller may not take grants back, or there is nobody of the name.
pub async fn delete(cx: Cx) -> Result<Response> {
    cx.service()?.remove_grant(&cx.caller, &place(&cx)?, holder(&cx)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
