//! A workspace's members.

use axum::http::StatusCode;
use model::{Error, Result, Username};
use wire::PageRequest;
use wire::api::{Member, MemberSet};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

fn username(cx: &Cx) -> Result<Username> {
    // What cannot be a username is nobody's.
    cx.param("username").parse().map_err(|_| Error::not_found("the user"))
}

/// `GET /api/workspaces/{workspace}/members`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let (_, members) = admitted(&cx)?.members(&cx.caller, cx.param("workspace"), window(&request)?).await?;
    page(&cx, &request, members, |member| Member::from(&member))
}

/// `PUT /api/workspaces/{workspace}/members/{username}`
///
/// # Errors
/// When the caller may not, or it would leave the workspace without an owner.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: MemberSet = cx.json().await?;
    let username = username(&cx)?;
    let member =
        cx.service()?.set_member(&cx.caller, cx.param("workspace"), &username, body.permission).await?;
    answer::json(StatusCode::OK, &Member::from(&member))
}

/// `DELETE /api/workspaces/{workspace}/members/{username}`
///
/// # Errors
/// When the caller may not, or it would leave the workspace without an owner.
pub async fn remove(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    service.remove_member(&cx.caller, cx.param("workspace"), &username(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
