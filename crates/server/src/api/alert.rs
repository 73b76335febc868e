//! Alerts: of a workspace, and of the instance.

use axum::http::StatusCode;
use model::{AlertFilter, Error, Result};
use wire::PageRequest;
use wire::api::Alert;

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

/// The workspace that the path names; none of the instance's own rows.
fn workspace(cx: &Cx) -> Option<&str> {
    Some(cx.param("workspace")).filter(|name| !name.is_empty())
}

/// `GET /api/workspaces/{workspace}/alerts` and `GET /api/alerts`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let (of, window) = (workspace(&cx), window(&request)?);
    let found = admitted(&cx)?.alerts(&cx.caller, of, AlertFilter::All, window).await?;
    page(&cx, &request, found, Alert::from)
}

/// `PUT /api/workspaces/{workspace}/alerts/{uuid}/acknowledgement` and `PUT /api/alerts/{uuid}/acknowledgement`
///
/// # Errors
/// When the caller may not, or there is no such alert.
pub async fn acknowledge(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let id = cx.param("uuid").parse().map_err(|_| Error::not_found("the alert"))?;
    let alert = service.acknowledge_alert(&cx.caller, workspace(&cx), id).await?;
    answer::json(StatusCode::OK, &Alert::from(alert))
}
