//! Which findings of scanners fail a run of a pipeline: the rule of a workspace.

use axum::http::StatusCode;
use model::Result;
use service::{NO_FINDING, NewCodeScanning};
use wire::api::CodeScanning;

use super::admitted;
use crate::http::{Cx, Response, answer};

fn shape(rule: model::CodeScanning) -> CodeScanning {
    let fail_at = rule.fail_at.map_or(NO_FINDING.to_owned(), |one| one.as_str().to_ascii_lowercase());
    CodeScanning { fail_at, tools: rule.tools }
}

/// `GET /api/workspaces/{workspace}/code-scanning`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn get(cx: Cx) -> Result<Response> {
    let rule = admitted(&cx)?.code_scanning(&cx.caller, cx.param("workspace")).await?;
    answer::json(StatusCode::OK, &shape(rule))
}

/// `PUT /api/workspaces/{workspace}/code-scanning`
///
/// # Errors
/// When the caller does not administer the workspace, or the body is not what it must be.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let CodeScanning { fail_at, tools } = cx.json().await?;
    let new = NewCodeScanning { fail_at, tools };
    let rule = cx.service()?.set_code_scanning(&cx.caller, cx.param("workspace"), new).await?;
    answer::json(StatusCode::OK, &shape(rule))
}
