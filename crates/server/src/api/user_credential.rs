//! The caller's own app passwords and API tokens.

use axum::http::StatusCode;
use model::{CredentialKind, Result};
use wire::PageRequest;
use wire::api::{Credential, CredentialCreate};

use super::access_token::{id, minted, new};
use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

/// Which of the two the row is about.
fn kind(cx: &Cx) -> CredentialKind {
    match cx.route.path.contains("/app-passwords") {
        true => CredentialKind::AppPassword,
        false => CredentialKind::ApiToken,
    }
}

/// `GET /api/user/app-passwords`, `GET /api/user/api-tokens`
///
/// # Errors
/// When the caller is not a user.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let own = admitted(&cx)?.own_credentials(&cx.caller, kind(&cx), window(&request)?).await?;
    page(&cx, &request, own, |credential| Credential::from(&credential))
}

/// `POST` to the same: the one answer that holds the secret.
///
/// # Errors
/// When the caller is not a user, or the body is not what it must be.
pub async fn create(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: CredentialCreate = cx.json().await?;
    minted(&cx.service()?.create_own_credential(&cx.caller, kind(&cx), new(body)).await?)
}

/// `DELETE …/{uuid}`
///
/// # Errors
/// When the caller has no such credential.
pub async fn revoke(cx: Cx) -> Result<Response> {
    admitted(&cx)?.revoke_own_credential(&cx.caller, kind(&cx), id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
