//! The identities that are connected with the caller's own account.

use axum::http::StatusCode;
use model::Result;
use service::OwnIdentity;
use wire::PageRequest;
use wire::api::Identity;

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

fn shape(own: OwnIdentity) -> Identity {
    Identity {
        id: own.identity.id(),
        issuer: own.identity.issuer,
        subject: own.identity.subject,
        workspace: own.workspace.map(|slug| slug.to_string()),
        connected_on: own.identity.connected_on.into(),
    }
}

/// `GET /api/user/identities`
///
/// # Errors
/// When the caller is not a user.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let own = admitted(&cx)?.own_identities(&cx.caller, window(&request)?).await?;
    page(&cx, &request, own, shape)
}

/// `DELETE /api/user/identities/{identity_id}`
///
/// # Errors
/// When no such identity is the caller's, or nothing else signs in to the account.
pub async fn disconnect(cx: Cx) -> Result<Response> {
    admitted(&cx)?.disconnect_identity(&cx.caller, cx.param("identity_id")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
