//! The access tokens of a whole workspace.

use std::sync::LazyLock;

use axum::http::StatusCode;
use model::{Error, Result, ScopeSet};
use service::{Advice, Revocation, ScopesOfActions, Selected, WORKSPACE_TOKEN_FIELDS};
use wire::api::{Credential, TokenAdvice, TokenNotRevoked, TokensRevoke, TokensRevoked, WorkspaceToken};
use wire::{DateTime, PageRequest};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};
use crate::route::ROUTES;

/// Which scopes an action may require, by the route table.
pub(crate) static SCOPES: LazyLock<ScopesOfActions> = LazyLock::new(|| {
    let mut scopes = ScopesOfActions::new();
    for route in ROUTES {
        let required: ScopeSet = route.classic.parse().unwrap_or_default();
        let known = scopes.entry(route.action).or_default();
        *known = known.with(required);
    }
    scopes
});

pub(crate) fn told(advice: Advice) -> TokenAdvice {
    let plain = |code, text: &str| TokenAdvice { code, text: text.to_owned(), on: None, scopes: Vec::new() };
    match advice {
        Advice::Unused { since } => TokenAdvice {
            on: Some(DateTime::from(since)),
            ..plain(
                "unused",
                "Nobody used it for 90 days or more: revoke it, unless it is kept for an emergency.",
            )
        },
        Advice::OverBroad { scopes } => TokenAdvice {
            scopes: scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect(),
            ..plain(
                "over-broad",
                "Nothing that it did in the last 90 days needed these scopes: make a narrower one.",
            )
        },
        Advice::NoEnd => plain("no-end", "It does not end by itself: rotate it with an expiry."),
        Advice::EndsSoon { on } => TokenAdvice {
            on: Some(DateTime::from(on)),
            ..plain("ends-soon", "It ends within two weeks: rotate it before.")
        },
        Advice::CreatorGone => plain(
            "creator-gone",
            "Who made it is not an active member any more. It still works: find out who looks after it now.",
        ),
    }
}

/// `GET /api/workspaces/{workspace}/tokens`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let selected = Selected {
        filter: cx.filter(&WORKSPACE_TOKEN_FIELDS)?,
        sort: cx.sort(&WORKSPACE_TOKEN_FIELDS)?,
        window: window(&request)?,
    };
    let tokens =
        admitted(&cx)?.workspace_tokens(&cx.caller, cx.param("workspace"), &SCOPES, selected).await?;
    page(&cx, &request, tokens, |token| WorkspaceToken {
        credential: Credential::from(&token.credential),
        resource: token.resource,
        creator: token.creator,
        creator_is_here: token.creator_is_here,
        advice: token.advice.into_iter().map(told).collect(),
    })
}

/// `POST /api/workspaces/{workspace}/tokens/revoke`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn revoke(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: TokensRevoke = cx.json().await?;
    let all = cx.service()?.revoke_workspace_tokens(&cx.caller, cx.param("workspace"), &body.uuids).await?;
    let mut shape = TokensRevoked { revoked: Vec::new(), gone: Vec::new(), failed: Vec::new() };
    for (id, revocation) in all {
        match revocation {
            Revocation::Done => shape.revoked.push(id.into()),
            Revocation::Gone => shape.gone.push(id.into()),
            Revocation::Failed(error) => {
                shape.failed.push(TokenNotRevoked { uuid: id.into(), message: reason(&cx, &error) });
            }
        }
    }
    answer::json(StatusCode::OK, &shape)
}

/// Why a token still works, as far as it is told: what fails in here is for the log.
pub(crate) fn reason(cx: &Cx, error: &Error) -> String {
    if let Error::Internal(cause) = error {
        tracing::error!(request_id = %cx.request_id, "{cause}");
        return "something failed here: try again, and tell the administrator the request id".to_owned();
    }
    error.to_string()
}
