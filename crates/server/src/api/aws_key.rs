//! The server's own key at Amazon.

use axum::http::StatusCode;
use model::Result;
use service::{AwsKeyView, NewAwsKey};
use wire::api;

use super::admitted;
use crate::http::{Cx, Response, answer};

fn shape(view: AwsKeyView) -> api::AwsKey {
    api::AwsKey {
        access_key_id: view.id.to_string(),
        user: view.user.as_str().to_owned(),
        since: view.since.into(),
        rotates_on: view.rotates_on.map(Into::into),
        pending_key_id: view.pending.map(|id| id.to_string()),
        old_key_id: view.old.map(|id| id.to_string()),
        failed_on: view.failed_on.map(Into::into),
        last_error: view.last_error,
    }
}

/// `GET /api/aws-key`
///
/// # Errors
/// When the caller does not administer the instance, or there is none.
pub async fn get(cx: Cx) -> Result<Response> {
    let view = admitted(&cx)?.aws_key(&cx.caller).await?;
    answer::json(StatusCode::OK, &shape(view))
}

/// `PUT /api/aws-key`
///
/// # Errors
/// When the caller may not, or Amazon does not take the key for one of a user's.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: api::AwsKeySet = cx.json().await?;
    let new = NewAwsKey { id: body.access_key_id, secret: body.secret_access_key };
    let view = cx.service()?.set_aws_key(&cx.caller, new).await?;
    answer::json(StatusCode::OK, &shape(view))
}

/// `POST /api/aws-key/rotation`: replaces it now, which may take a minute.
///
/// # Errors
/// When the caller may not, there is none, or Amazon does not go along.
pub async fn rotate(cx: Cx) -> Result<Response> {
    let view = admitted(&cx)?.rotate_aws_key(&cx.caller).await?;
    answer::json(StatusCode::OK, &shape(view))
}

/// `DELETE /api/aws-key`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx) -> Result<Response> {
    admitted(&cx)?.remove_aws_key(&cx.caller).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
