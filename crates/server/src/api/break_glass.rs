//! Break-glass: an administrator of the instance reads in one workspace for a few hours, for a reason.

use axum::http::StatusCode;
use model::{BreakGlassId, Error, Result};
use service::NewBreakGlass;
use wire::PageRequest;
use wire::api::{BreakGlass, BreakGlassCreate};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

fn id(cx: &Cx) -> Result<BreakGlassId> {
    // What cannot be an id names none.
    cx.param("uuid").parse().map_err(|_| Error::not_found("the break-glass request"))
}

/// `GET /api/workspaces/{workspace}/break-glass` and `GET /api/break-glass`
///
/// # Errors
/// When the caller neither owns the workspace nor has a part in running the instance.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let (service, part) = (admitted(&cx)?, window(&request)?);
    let found = match cx.param("workspace") {
        "" => service.break_glass(&cx.caller, part).await?,
        workspace => service.workspace_break_glass(&cx.caller, workspace, part).await?.1,
    };
    let now = cx.app.clock.now();
    page(&cx, &request, found, |one| BreakGlass::at(&one, now))
}

/// `POST /api/workspaces/{workspace}/break-glass`
///
/// # Errors
/// When the caller is no administrator of the instance, or the body is not what it must be.
pub async fn request(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: BreakGlassCreate = cx.json().await?;
    let new = NewBreakGlass { reason: body.reason, hours: body.hours, username: body.username };
    let made = cx.service()?.request_break_glass(&cx.caller, cx.param("workspace"), new).await?;
    answer::json(StatusCode::CREATED, &BreakGlass::at(&made, cx.app.clock.now()))
}

/// `PUT /api/workspaces/{workspace}/break-glass/{uuid}/approval`
///
/// # Errors
/// When the caller is no administrator of the instance, or asked for it themselves.
pub async fn approve(cx: Cx) -> Result<Response> {
    let given = admitted(&cx)?.approve_break_glass(&cx.caller, cx.param("workspace"), id(&cx)?).await?;
    answer::json(StatusCode::OK, &BreakGlass::at(&given, cx.app.clock.now()))
}

/// `DELETE /api/workspaces/{workspace}/break-glass/{uuid}`
///
/// # Errors
/// When the caller may not, or it is over.
pub async fn end(cx: Cx) -> Result<Response> {
    admitted(&cx)?.end_break_glass(&cx.caller, cx.param("workspace"), id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
