//! What verifiers of identity tokens fetch: the issuer's configuration and its keys.

use axum::http::{HeaderValue, StatusCode, header};
use model::Result;
use serde_json::Value;

use crate::http::{Cx, Response, answer};

/// Verifiers and what stands between keep it for so long: a revoked key is unknown everywhere soon after.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

fn kept(document: &Value) -> Result<Response> {
    let mut response = answer::json(StatusCode::OK, document)?;
    response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
    Ok(response)
}

/// `GET …/identity/oidc/.well-known/openid-configuration`
///
/// # Errors
/// When there is no such workspace.
pub async fn configuration(cx: Cx) -> Result<Response> {
    kept(&cx.service()?.identity_token_configuration(&cx.caller, cx.param("workspace")).await?)
}

/// `GET …/identity/oidc/keys.json`
///
/// # Errors
/// When there is no such workspace.
pub async fn keys(cx: Cx) -> Result<Response> {
    kept(&cx.service()?.identity_token_key_set(&cx.caller, cx.param("workspace")).await?)
}
