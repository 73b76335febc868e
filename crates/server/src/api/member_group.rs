//! Groups with a level on a whole workspace.

use axum::http::StatusCode;
use model::{Error, GroupSlug, Result};
use wire::PageRequest;
use wire::api::{MemberGroup, MemberSet};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

fn slug(cx: &Cx) -> Result<GroupSlug> {
    // What cannot be a group's name names none.
    cx.param("group_slug").parse().map_err(|_| Error::not_found("the group"))
}

/// `GET /api/workspaces/{workspace}/member-groups`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let groups = admitted(&cx)?.member_groups(&cx.caller, cx.param("workspace"), window(&request)?).await?;
    page(&cx, &request, groups, |held| MemberGroup::new(&held.group, held.permission))
}

/// `PUT /api/workspaces/{workspace}/member-groups/{group_slug}`
///
/// # Errors
/// When the caller may not, or there is no such group.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: MemberSet = cx.json().await?;
    let slug = slug(&cx)?;
    let held =
        cx.service()?.set_member_group(&cx.caller, cx.param("workspace"), slug, body.permission).await?;
    answer::json(StatusCode::OK, &MemberGroup::new(&held.group, held.permission))
}

/// `DELETE /api/workspaces/{workspace}/member-groups/{group_slug}`
///
/// # Errors
/// When the caller may not, or the group has no level on the workspace.
pub async fn remove(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    service.remove_member_group(&cx.caller, cx.param("workspace"), slug(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
