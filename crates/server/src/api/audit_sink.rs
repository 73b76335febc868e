//! Receivers of the audit trail: of a workspace's, and of the whole one.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{AuditSinkView, NewAuditSink};
use wire::api::{AuditSink, AuditSinkCreate, AuditSinkCreated, AuditSinks};

use super::admitted;
use crate::http::{Cx, Response, answer};

fn shape(view: AuditSinkView) -> AuditSink {
    AuditSink::new(&view.sink, view.state, view.behind)
}

/// The workspace that the path names; none of the instance's own rows.
fn workspace(cx: &Cx) -> Option<&str> {
    Some(cx.param("workspace")).filter(|name| !name.is_empty())
}

/// `GET /api/workspaces/{workspace}/audit/sinks` and `GET /api/audit/sinks`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let found = admitted(&cx)?.audit_sinks(&cx.caller, workspace(&cx)).await?;
    answer::json(StatusCode::OK, &AuditSinks { values: found.into_iter().map(shape).collect() })
}

/// `POST /api/workspaces/{workspace}/audit/sinks` and `POST /api/audit/sinks`
///
/// # Errors
/// When the caller may not, or the address is not one that may be named.
pub async fn create(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: AuditSinkCreate = cx.json().await?;
    let new = NewAuditSink {
        kind: body.kind()?,
        address: body.address.clone(),
        from_beginning: body.from_beginning,
    };
    let added = cx.service()?.add_audit_sink(&cx.caller, workspace(&cx), new).await?;
    let secret = added.secret.map(|secret| secret.secret().clone());
    answer::json(StatusCode::CREATED, &AuditSinkCreated { sink: shape(added.view), secret })
}

/// `DELETE /api/workspaces/{workspace}/audit/sinks/{uuid}` and `DELETE /api/audit/sinks/{uuid}`
///
/// # Errors
/// When the caller may not, or there is no such receiver.
pub async fn remove(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let id = cx.param("uuid").parse().map_err(|_| Error::not_found("the receiver"))?;
    service.remove_audit_sink(&cx.caller, workspace(&cx), id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
