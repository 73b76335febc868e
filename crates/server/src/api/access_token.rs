//! Access tokens of repositories, projects and workspaces.

use axum::http::StatusCode;
use model::{CredentialId, Error, Result};
use service::{Minted, NewCredential, RepositoryPath, TokenPlace};
use wire::PageRequest;
use wire::api::{Credential, CredentialCreate, CredentialCreated, TokenRotate};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};
use crate::route::Anchor;

/// What the row's tokens are bound to.
fn place(cx: &Cx) -> Result<TokenPlace> {
    let workspace = cx.param("workspace");
    match cx.route.on {
        Anchor::Repository => {
            RepositoryPath::parse(workspace, cx.param("repo_slug")).map(TokenPlace::Repository)
        }
        Anchor::Project => Ok(TokenPlace::Project(workspace.to_owned(), cx.param("project_key").to_owned())),
        _ => Ok(TokenPlace::Workspace(workspace.to_owned())),
    }
}

pub(super) fn id(cx: &Cx) -> Result<CredentialId> {
    cx.param("uuid").parse().map_err(|_| Error::not_found("the credential"))
}

pub(super) fn new(body: CredentialCreate) -> NewCredential {
    NewCredential {
        name: body.name,
        scopes: body.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        expires_on: body.expires_on,
    }
}

pub(super) fn minted(minted: &Minted) -> Result<Response> {
    let shape = CredentialCreated {
        credential: Credential::from(&minted.credential),
        token: minted.token.secret().clone(),
    };
    answer::json(StatusCode::CREATED, &shape)
}

/// `GET …/access-tokens`
///
/// # Errors
/// When the caller does not administer the resource.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let tokens = admitted(&cx)?.access_tokens(&cx.caller, &place(&cx)?, window(&request)?).await?;
    page(&cx, &request, tokens, |token| Credential::from(&token))
}

/// `POST …/access-tokens`: the one answer that holds the secret.
///
/// # Errors
/// When the caller does not administer the resource, or the body is not what it must be.
pub async fn create(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: CredentialCreate = cx.json().await?;
    minted(&cx.service()?.create_access_token(&cx.caller, &place(&cx)?, new(body)).await?)
}

/// `DELETE …/access-tokens/{uuid}`
///
/// # Errors
/// When the caller does not administer the resource, or it has no such token.
pub async fn revoke(cx: Cx) -> Result<Response> {
    admitted(&cx)?.revoke_access_token(&cx.caller, &place(&cx)?, id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `POST …/access-tokens/{uuid}/rotate`: the one answer that holds the successor's secret.
///
/// # Errors
/// When the caller does not administer the resource, or it has no such token.
pub async fn rotate(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: TokenRotate = cx.json().await?;
    let (place, id) = (place(&cx)?, id(&cx)?);
    let service = cx.service()?;
    minted(&service.rotate_access_token(&cx.caller, &place, id, body.overlap_seconds, body.expires_on).await?)
}
