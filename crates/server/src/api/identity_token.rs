//! Identity tokens: what a workspace's and a repository's say, and the keys that sign them.

use axum::http::StatusCode;
use model::Result;
use service::{
    IdentityTokenKeyView, IdentityTokens, KeyRotation, NewIdentityTokens, NewRepositoryIdentityTokens,
    RepositoryIdentityTokens, RepositoryPath,
};
use wire::api;

use super::{admitted, bound_to, document};
use crate::http::{Cx, Response, answer};

fn key(view: IdentityTokenKeyView) -> api::IdentityTokenKey {
    api::IdentityTokenKey {
        kid: view.kid,
        algorithm: view.algorithm,
        state: view.state,
        created_on: view.created_on.into(),
        activates_on: view.activates_on.into(),
        retires_on: view.retires_on.map(Into::into),
        revoked_on: view.revoked_on.map(Into::into),
    }
}

fn shape(tokens: IdentityTokens) -> api::IdentityTokens {
    api::IdentityTokens {
        issuer: tokens.issuer,
        default_audience: tokens.default_audience,
        algorithm: tokens.algorithm,
        subject_template: tokens.subject_template,
        session_tags: tokens.session_tags,
        keys: tokens.keys.into_iter().map(key).collect(),
        warnings: tokens.warnings,
    }
}

fn shape_of_repository(tokens: RepositoryIdentityTokens) -> api::RepositoryIdentityTokens {
    let trust = tokens.trust;
    api::RepositoryIdentityTokens {
        issuer: tokens.issuer,
        default_audience: tokens.default_audience,
        own_subject_template: tokens.own_subject_template,
        subject_template: tokens.subject_template,
        own_session_tags: tokens.own_session_tags,
        session_tags: tokens.session_tags,
        sample: tokens.sample,
        trust: api::TrustPolicies {
            aws: trust.aws,
            aws_session_tags: trust.aws_session_tags,
            gcp: trust.gcp,
            azure: trust.azure,
            vault: trust.vault,
            warnings: trust.warnings,
        },
    }
}

fn repository(cx: &Cx) -> Result<RepositoryPath> {
    RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))
}

/// `GET /api/workspaces/{workspace}/identity-tokens`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn get(cx: Cx) -> Result<Response> {
    let tokens = admitted(&cx)?.identity_tokens(&cx.caller, cx.param("workspace")).await?;
    document(StatusCode::OK, &shape(tokens))
}

/// `PUT /api/workspaces/{workspace}/identity-tokens`
///
/// # Errors
/// When the caller may not, the body is not what it must be, or the document has changed.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: api::IdentityTokensSet = cx.json().await?;
    let (service, workspace) = (cx.service()?, cx.param("workspace"));
    bound_to(&cx, &shape(service.identity_tokens(&cx.caller, workspace).await?))?;
    let new = NewIdentityTokens {
        algorithm: body.algorithm.unwrap_or_else(|| "RS256".to_owned()),
        subject_template: body.subject_template,
        session_tags: body.session_tags,
    };
    document(StatusCode::OK, &shape(service.set_identity_tokens(&cx.caller, workspace, new).await?))
}

/// `POST /api/workspaces/{workspace}/identity-tokens/keys`: rotates.
///
/// # Errors
/// When the caller may not, or a new key waits already.
pub async fn rotate(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: api::IdentityTokenKeyCreate = cx.json().await?;
    let rotation = KeyRotation { activates_after: body.activates_after };
    let made = cx.service()?.rotate_identity_token_key(&cx.caller, cx.param("workspace"), rotation).await?;
    answer::json(StatusCode::CREATED, &key(made))
}

/// `DELETE /api/workspaces/{workspace}/identity-tokens/keys/{kid}`: revokes.
///
/// # Errors
/// When the caller may not, or no key of this id is published.
pub async fn revoke(cx: Cx) -> Result<Response> {
    let (workspace, kid) = (cx.param("workspace"), cx.param("kid"));
    admitted(&cx)?.revoke_identity_token_key(&cx.caller, workspace, kid).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET /api/repositories/{workspace}/{repo_slug}/identity-tokens`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn get_of_repository(cx: Cx) -> Result<Response> {
    let tokens = admitted(&cx)?.repository_identity_tokens(&cx.caller, &repository(&cx)?).await?;
    document(StatusCode::OK, &shape_of_repository(tokens))
}

/// `PUT /api/repositories/{workspace}/{repo_slug}/identity-tokens`
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn set_of_repository(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: api::RepositoryIdentityTokensSet = cx.json().await?;
    let new = NewRepositoryIdentityTokens {
        subject_template: body.subject_template,
        session_tags: body.session_tags,
    };
    let service = cx.service()?;
    let tokens = service.set_repository_identity_tokens(&cx.caller, &repository(&cx)?, new).await?;
    document(StatusCode::OK, &shape_of_repository(tokens))
}
