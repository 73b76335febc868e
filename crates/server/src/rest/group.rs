//! Groups, which the published interface only has in its version 1.0: bare arrays, no `type`, a form that makes one.

use axum::http::StatusCode;
use model::{DisplayName, Error, Group, RepositoryPermission, Result, User, Workspace};
use service::{GroupChange, GroupWithMembers};
use wire::group::{BareAccount, BareGroup, GroupInput};

use super::Shape;
use crate::http::{Cx, Response, answer};

fn shown(shape: &Shape, workspace: &Workspace, group: &Group, members: &[User]) -> BareGroup {
    BareGroup {
        name: group.name.to_string(),
        slug: group.slug.to_string(),
        permission: group.default_permission.map(RepositoryPermission::as_str),
        auto_add: group.auto_add,
        email_forwarding_disabled: group.email_forwarding_disabled,
        members: members.iter().map(|user| BareAccount::user(&shape.user(user))).collect(),
        owner: BareAccount::workspace(&shape.workspace(workspace)),
    }
}

pub(super) fn with_members(shape: &Shape, workspace: &Workspace, group: &GroupWithMembers) -> BareGroup {
    shown(shape, workspace, &group.group, &group.members)
}

/// `GET /1.0/groups?group={workspace}/{slug}&…`: those of them that the caller may see.
///
/// # Errors
/// When a name is not of that form.
pub async fn list_by_name(cx: Cx) -> Result<Response> {
    if cx.caller.is_anonymous() {
        return Err(Error::Unauthenticated);
    }
    let (service, shape) = (cx.service()?, Shape::of(&cx));
    let mut found = Vec::new();
    for name in cx.query.all("group") {
        let odd = || Error::invalid_field("group", "write `workspace/group`");
        let (workspace, slug) = name.split_once('/').ok_or_else(odd)?;
        match service.group(&cx.caller, workspace, slug).await {
            Ok((workspace, group)) => found.push(with_members(&shape, &workspace, &group)),
            Err(Error::NotFound { .. } | Error::Forbidden { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    answer::json(StatusCode::OK, &found)
}

/// `GET /1.0/groups/{workspace}`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let (workspace, groups) = cx.service()?.groups(&cx.caller, cx.param("workspace")).await?;
    let shape = Shape::of(&cx);
    let shown: Vec<_> = groups.iter().map(|group| with_members(&shape, &workspace, group)).collect();
    answer::json(StatusCode::OK, &shown)
}

/// `POST /1.0/groups/{workspace}`
///
/// # Errors
/// When the caller may not, or the name is taken.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let form = cx.form().await?;
    let name: DisplayName = match form.get("name")? {
        Some(name) => name.parse().map_err(|problem| Error::invalid_field("name", problem))?,
        None => return Err(Error::invalid_field("name", "this field is required: `name=developers`")),
    };
    let (workspace, group) = cx.service()?.create_group(&cx.caller, cx.param("workspace"), name).await?;
    answer::json(StatusCode::OK, &shown(&Shape::of(&cx), &workspace, &group, &[]))
}

/// `GET /1.0/groups/{workspace}/{group_slug}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(mut cx: Cx) -> Result<Response> {
    let (workspace, group) = read(&mut cx).await?;
    answer::json(StatusCode::OK, &with_members(&Shape::of(&cx), &workspace, &group))
}

async fn read(cx: &mut Cx) -> Result<(Workspace, GroupWithMembers)> {
    cx.service()?.group(&cx.caller, cx.param("workspace"), cx.param("group_slug")).await
}

/// `PUT /1.0/groups/{workspace}/{group_slug}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn update(mut cx: Cx) -> Result<Response> {
    let body: GroupInput = cx.json().await?;
    let change = GroupChange {
        name: body.name,
        auto_add: body.auto_add,
        default_permission: body.permission,
        email_forwarding_disabled: body.email_forwarding_disabled,
    };
    let (workspace, slug) = (cx.param("workspace"), cx.param("group_slug"));
    cx.service()?.update_group(&cx.caller, workspace, slug, change).await?;
    let (workspace, group) = read(&mut cx).await?;
    answer::json(StatusCode::OK, &with_members(&Shape::of(&cx), &workspace, &group))
}

/// `DELETE /1.0/groups/{workspace}/{group_slug}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    cx.service()?.delete_group(&cx.caller, cx.param("workspace"), cx.param("group_slug")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET /1.0/groups/{workspace}/{group_slug}/members`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn members(mut cx: Cx) -> Result<Response> {
    let (_, group) = read(&mut cx).await?;
    let shape = Shape::of(&cx);
    let members: Vec<_> = group.members.iter().map(|user| BareAccount::user(&shape.user(user))).collect();
    answer::json(StatusCode::OK, &members)
}

/// `PUT /1.0/groups/{workspace}/{group_slug}/members/{member}`: an empty object for a body, or none.
///
/// # Errors
/// When the caller may not, or there is nobody of the name in the workspace.
pub async fn add_member(mut cx: Cx) -> Result<Response> {
    if !cx.body.is_empty() {
        let _: serde_json::Map<String, serde_json::Value> = cx.json().await?;
    }
    let (workspace, slug) = (cx.param("workspace"), cx.param("group_slug"));
    let user = cx.service()?.add_group_member(&cx.caller, workspace, slug, cx.param("member")).await?;
    answer::json(StatusCode::OK, &BareAccount::user(&Shape::of(&cx).user(&user)))
}

/// `DELETE /1.0/groups/{workspace}/{group_slug}/members/{member}`
///
/// # Errors
/// When the caller may not, or there is no such member.
pub async fn remove_member(cx: Cx) -> Result<Response> {
    let (workspace, slug) = (cx.param("workspace"), cx.param("group_slug"));
    cx.service()?.remove_group_member(&cx.caller, workspace, slug, cx.param("member")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
