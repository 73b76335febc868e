//! The access tokens of a whole workspace.

use std::sync::LazyLock;

use axum::http::StatusCode;
use model::{Result, ScopeSet};
use service::{Advice, ScopesOfActions, Selected, WORKSPACE_TOKEN_FIELDS};
use wire::api::{Credential, TokenAdvice, TokensRevoke, TokensRevoked, WorkspaceToken};
use wire::{DateTime, PageRequest};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};
use crate::route::ROUTES;

/// Which scopes an action may require, by the route table.
static SCOPES: LazyLock<ScopesOfActions> = LazyLock::new(|| {
    let mut scopes = ScopesOfActions::new();
    for route in ROUTES {
        let required: ScopeSet = route.classic.parse().unwrap_or_default();
        let known = scopes.entry(route.action).or_default();
        *known = known.with(required);
    }
    scopes
});

fn told(advice: Advice) -> TokenAdvice {
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
    let revoked =
        cx.service()?.revoke_workspace_tokens(&cx.caller, cx.param("workspace"), &body.uuids).await?;
    let revoked = revoked.into_iter().map(Into::into).collect();
    answer::json(StatusCode::OK, &TokensRevoked { revoked })
}
