//! Groups' grants on one repository in the form of version 1.0, the older one of `permissions-config`.

use axum::http::StatusCode;
use model::{Error, Result};
use serde_json::{Value, json};
use service::{GrantHolder, GrantPlace, HeldGrant, HolderName, Window};

use super::group::with_members;
use super::{Shape, repository_path};
use crate::http::{Cx, Response, answer};

/// More groups than any repository has.
const ALL: Window = Window { limit: 10_000, offset: 0 };

async fn shown(cx: &mut Cx, grant: &HeldGrant) -> Result<Option<Value>> {
    let (GrantHolder::Group(group), Some(level)) = (&grant.holder, grant.permission) else { return Ok(None) };
    let service = cx.service()?;
    let located = service.repository(&cx.caller, &repository_path(cx)?).await?;
    let workspace = located.workspace.slug.as_str();
    let (workspace, group) = service.group(&cx.caller, workspace, group.slug.as_str()).await?;
    let shape = Shape::of(cx);
    Ok(Some(json!({
        "repo": super::shape::full_name(&located),
        "privilege": level.as_str(),
        "group": with_members(&shape, &workspace, &group),
        "repository": { "name": located.repository.name, "slug": located.repository.slug },
    })))
}

/// The group that the path names: its owner is the workspace, by slug or id.
async fn holder(cx: &mut Cx) -> Result<HolderName> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(cx)?).await?;
    let owner = cx.param("group_owner");
    if owner != located.workspace.slug.as_str() && owner != located.workspace.id.braced() {
        return Err(Error::not_found("the group"));
    }
    Ok(HolderName::Group(cx.param("group_slug").to_owned()))
}

/// `GET /1.0/group-privileges/{workspace}/{repo_slug}`
///
/// # Errors
/// When the caller may not see who may do what.
pub async fn list(mut cx: Cx) -> Result<Response> {
    let place = GrantPlace::Repository(repository_path(&cx)?);
    let grants = cx.service()?.grants(&cx.caller, &place, true, ALL).await?;
    let mut privileges = Vec::with_capacity(grants.values.len());
    for grant in &grants.values {
        privileges.extend(shown(&mut cx, grant).await?);
    }
    answer::json(StatusCode::OK, &privileges)
}

/// `GET /1.0/group-privileges/{workspace}/{repo_slug}/{group_owner}/{group_slug}`: an array of one, or empty.
///
/// # Errors
/// When the caller may not see who may do what, or there is no such group.
pub async fn get(mut cx: Cx) -> Result<Response> {
    let place = GrantPlace::Repository(repository_path(&cx)?);
    let name = holder(&mut cx).await?;
    let grant = cx.service()?.grant(&cx.caller, &place, name).await?;
    let privileges: Vec<_> = shown(&mut cx, &grant).await?.into_iter().collect();
    answer::json(StatusCode::OK, &privileges)
}

/// `PUT /1.0/group-privileges/{workspace}/{repo_slug}/{group_owner}/{group_slug}`: the level alone is the body.
///
/// # Errors
/// When the caller may not grant, or the level is none.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let body = cx.bytes().await?;
    let level = std::str::from_utf8(&body).unwrap_or_default().trim().trim_matches('"').to_owned();
    let place = GrantPlace::Repository(repository_path(&cx)?);
    let name = holder(&mut cx).await?;
    let grant = cx.service()?.set_grant(&cx.caller, &place, name, &level).await?;
    let privileges: Vec<_> = shown(&mut cx, &grant).await?.into_iter().collect();
    answer::json(StatusCode::OK, &privileges)
}

/// `DELETE /1.0/group-privileges/{workspace}/{repo_slug}/{group_owner}/{group_slug}`
///
/// # Errors
/// When the caller may not take grants back, or there is no such group.
pub async fn delete(mut cx: Cx) -> Result<Response> {
    let place = GrantPlace::Repository(repository_path(&cx)?);
    let name = holder(&mut cx).await?;
    cx.service()?.remove_grant(&cx.caller, &place, name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
