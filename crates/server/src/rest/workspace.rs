//! Workspaces, their members, and what the caller and others may do in them.

use axum::http::StatusCode;
use model::{Member, Result, Workspace, WorkspacePermission};
use serde_json::Value;
use service::{
    EffectivePermission, Listing, MEMBER_FIELDS, PERMISSION_FIELDS, RepositoryPath, Selected,
    WORKSPACE_FIELDS,
};
use wire::permission::RepositoryEffectivePermission;
use wire::workspace::{WorkspaceAccess, WorkspaceMembership};
use wire::{Page, PageRequest};

use super::{Fields, Shape, flag, list_request, page, selection, send, send_wider, user_name};
use crate::http::{Cx, Response};

fn selected(cx: &Cx, fields: Fields) -> Result<(PageRequest, Selected)> {
    let (request, window) = list_request(cx)?;
    Ok((request, Selected { filter: cx.filter(fields)?, sort: cx.sort(fields)?, window }))
}

/// `GET /2.0/user/workspaces`
///
/// # Errors
/// When the caller is not a user.
pub async fn own(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &WORKSPACE_FIELDS)?;
    let administrator = flag(&cx, "administrator")?;
    let list = cx.service()?.own_workspaces_matching(&cx.caller, selected, administrator).await?;
    let shape = Shape::of(&cx);
    let page = page(&cx, &request, list, &shape.api(&["user", "workspaces"]), |(workspace, permission)| {
        let administrator = permission == WorkspacePermission::Owner;
        WorkspaceAccess::new(&shape.base, workspace.id, workspace.slug.to_string(), administrator)
    });
    send(&cx, StatusCode::OK, &page)
}

/// `GET /2.0/workspaces`: the older form of the same, for clients that still ask for it. `role=owner` for those that
/// the caller administers.
///
/// # Errors
/// When the caller is not a user.
pub async fn list(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &WORKSPACE_FIELDS)?;
    let administrator = match cx.query.get("role")? {
        Some("owner") => Some(true),
        None | Some("" | "member" | "collaborator") => None,
        Some(_) => {
            return Err(model::Error::invalid_field("role", "use `owner`, `collaborator` or `member`"));
        }
    };
    let list = cx.service()?.own_workspaces_matching(&cx.caller, selected, administrator).await?;
    let shape = Shape::of(&cx);
    let page = page(&cx, &request, list, &shape.api(&["workspaces"]), |(workspace, _)| {
        shape.workspace_in_full(&workspace)
    });
    send(&cx, StatusCode::OK, &page)
}

/// `GET /2.0/workspaces/{workspace}`
///
/// # Errors
/// When the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let workspace = cx.service()?.workspace(&cx.caller, cx.param("workspace")).await?;
    send(&cx, StatusCode::OK, &Shape::of(&cx).workspace_in_full(&workspace))
}

/// `GET /2.0/user/workspaces/{workspace}/permission`
///
/// # Errors
/// When the caller does not belong to it.
pub async fn own_permission(cx: Cx) -> Result<Response> {
    let name = cx.param("workspace");
    let (workspace, permission) = cx.service()?.own_membership(&cx.caller, name).await?;
    let user = cx.caller.as_user().ok_or(model::Error::Unauthenticated)?;
    let shape = Shape::of(&cx);
    let membership = WorkspaceMembership::new(&shape.base, shape.user(user), shape.workspace(&workspace));
    let membership = WorkspaceMembership { permission: Some(permission.as_str()), ..membership };
    send(&cx, StatusCode::OK, &membership)
}

/// `GET /2.0/workspaces/{workspace}/members`. With `fields=+values.user.email` the addresses that `q` named are
/// shown, and no others.
///
/// # Errors
/// When the caller may not see it, or asks for addresses without administering it.
pub async fn members(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &MEMBER_FIELDS)?;
    let found = cx.service()?.members_matching(&cx.caller, cx.param("workspace"), selected);
    let (workspace, list, named) = found.await?;
    let emails: Vec<_> = list.values.iter().map(|member| member.user.email.clone()).collect();
    let page = member_page(&cx, &request, &workspace, list, "members", false);
    if selection(&cx)?.is_default() || named.is_empty() {
        return send(&cx, StatusCode::OK, &page);
    }
    let mut wider = serde_json::to_value(&page).map_err(model::Error::internal)?;
    let users = wider.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten();
    for (member, email) in users.zip(emails) {
        if let Some(user) = member.get_mut("user").and_then(Value::as_object_mut)
            && named.contains(&email.folded())
        {
            user.insert("email".to_owned(), email.to_string().into());
        }
    }
    send_wider(&cx, StatusCode::OK, &page, Some(&wider))
}

/// `GET /2.0/workspaces/{workspace}/permissions`: members with their levels.
///
/// # Errors
/// When the caller may not see it.
pub async fn permissions(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &MEMBER_FIELDS)?;
    let found = cx.service()?.members_matching(&cx.caller, cx.param("workspace"), selected);
    let (workspace, list, _) = found.await?;
    send(&cx, StatusCode::OK, &member_page(&cx, &request, &workspace, list, "permissions", true))
}

fn member_page(
    cx: &Cx,
    request: &PageRequest,
    workspace: &Workspace,
    list: Listing<Member>,
    collection: &str,
    with_level: bool,
) -> Page<WorkspaceMembership> {
    let shape = Shape::of(cx);
    let here = shape.api(&["workspaces", workspace.slug.as_str(), collection]);
    page(cx, request, list, &here, |member| {
        let user = shape.user(&member.user);
        let membership = WorkspaceMembership::new(&shape.base, user, shape.workspace(workspace));
        match with_level {
            true => membership.with_permission(member.permission, member.granted_on.into()),
            false => membership,
        }
    })
}

/// `GET /2.0/workspaces/{workspace}/members/{member}`
///
/// # Errors
/// When there is no such member, or the caller may not know.
pub async fn member(cx: Cx) -> Result<Response> {
    let name = user_name(cx.param("member"));
    let (workspace, member) = cx.service()?.member(&cx.caller, cx.param("workspace"), &name).await?;
    let shape = Shape::of(&cx);
    let user = shape.user(&member.user);
    send(&cx, StatusCode::OK, &WorkspaceMembership::new(&shape.base, user, shape.workspace(&workspace)))
}

fn effective(
    cx: &Cx,
    request: &PageRequest,
    list: Listing<EffectivePermission>,
    here: &str,
) -> Result<Response> {
    let shape = Shape::of(cx);
    let page = page(cx, request, list, here, |one| RepositoryEffectivePermission {
        permission: one.permission.as_str(),
        user: shape.user(&one.user),
        repository: shape.repository(&one.located),
    });
    send(cx, StatusCode::OK, &page)
}

/// `GET /2.0/user/workspaces/{workspace}/permissions/repositories`
///
/// # Errors
/// When the caller does not belong to the workspace.
pub async fn own_repository_permissions(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &PERMISSION_FIELDS)?;
    let workspace = cx.param("workspace");
    let list = cx.service()?.own_repository_permissions(&cx.caller, workspace, selected).await?;
    let here = Shape::of(&cx).api(&["user", "workspaces", workspace, "permissions", "repositories"]);
    effective(&cx, &request, list, &here)
}

/// `GET /2.0/workspaces/{workspace}/permissions/repositories`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn repository_permissions(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &PERMISSION_FIELDS)?;
    let workspace = cx.param("workspace");
    let list = cx.service()?.workspace_repository_permissions(&cx.caller, workspace, selected).await?;
    let here = Shape::of(&cx).api(&["workspaces", workspace, "permissions", "repositories"]);
    effective(&cx, &request, list, &here)
}

/// `GET /2.0/workspaces/{workspace}/permissions/repositories/{repo_slug}`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn permissions_of_repository(cx: Cx) -> Result<Response> {
    let (request, selected) = selected(&cx, &PERMISSION_FIELDS)?;
    let (workspace, slug) = (cx.param("workspace"), cx.param("repo_slug"));
    let path = RepositoryPath::parse(workspace, slug)?;
    let list = cx.service()?.repository_permissions(&cx.caller, &path, selected).await?;
    let here = Shape::of(&cx).api(&["workspaces", workspace, "permissions", "repositories", slug]);
    effective(&cx, &request, list, &here)
}
