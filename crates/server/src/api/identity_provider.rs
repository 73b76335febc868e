//! The identity provider of a workspace.

use axum::http::StatusCode;
use model::{GroupMapping, Result};
use service::{IdentityProviderView, NewIdentityProvider};
use wire::api::{IdentityProviderSet, WorkspaceIdentityProvider};

use super::{admitted, document, must_be_bound_to};
use crate::http::{Cx, Response, answer};

fn shape(view: &IdentityProviderView) -> WorkspaceIdentityProvider {
    WorkspaceIdentityProvider {
        provider: view.provider.as_ref().map(Into::into),
        redirect_uri: view.redirect_uri.clone(),
    }
}

/// `GET /api/workspaces/{workspace}/identity-provider`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn get(cx: Cx) -> Result<Response> {
    let view = admitted(&cx)?.identity_provider(&cx.caller, cx.param("workspace")).await?;
    document(StatusCode::OK, &shape(&view))
}

/// `PUT /api/workspaces/{workspace}/identity-provider`
///
/// # Errors
/// When the caller may not, the body is not what it must be, the document has changed, or the provider does not publish
/// its configuration.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: IdentityProviderSet = cx.json().await?;
    let service = cx.service()?;
    let seen = service.identity_provider(&cx.caller, cx.param("workspace")).await?;
    must_be_bound_to(&cx, &shape(&seen))?;
    let mapping = body.group_mapping.into_iter();
    let new = NewIdentityProvider {
        issuer: body.issuer,
        client_id: body.client_id,
        client_secret: body.client_secret,
        scopes: body.scopes,
        groups_claim: body.groups_claim,
        group_mapping: mapping.map(|line| GroupMapping { claim: line.claim, group: line.group }).collect(),
        makes_accounts: body.makes_accounts,
    };
    let view = service.set_identity_provider(&cx.caller, cx.param("workspace"), new, seen).await?;
    document(StatusCode::OK, &shape(&view))
}

/// `DELETE /api/workspaces/{workspace}/identity-provider`
///
/// # Errors
/// When the caller may not, or a guardrail lets nobody in by other means.
pub async fn remove(cx: Cx) -> Result<Response> {
    admitted(&cx)?.remove_identity_provider(&cx.caller, cx.param("workspace")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
