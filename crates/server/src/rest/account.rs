//! Users, as they see themselves and each other.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{Identity, Listing};
use wire::account::{AppUser, EmailAddress};

use super::{Shape, list_request, no_filter, page, send, user_name};
use crate::http::{Cx, Response};

/// `GET /2.0/user`: the caller; a token that stands for itself is an `app_user`.
///
/// # Errors
/// When nobody known asks.
pub async fn current(cx: Cx) -> Result<Response> {
    if let Identity::AccessToken(token) = cx.caller.identity() {
        let shape = AppUser::new(token.id, token.kind, token.name.to_string(), token.created_on.into());
        return send(&cx, StatusCode::OK, &shape);
    }
    let user = cx.service()?.own_account(&cx.caller).await?;
    send(&cx, StatusCode::OK, &Shape::of(&cx).user_in_full(&user, true))
}

/// `GET /2.0/users/{selected_user}`
///
/// # Errors
/// When there is none, or nobody known asks.
pub async fn get(cx: Cx) -> Result<Response> {
    let user = cx.service()?.user(&cx.caller, &user_name(cx.param("selected_user"))).await?;
    send(&cx, StatusCode::OK, &Shape::of(&cx).user_in_full(&user, false))
}

/// `GET /2.0/user/emails`: the one address that an account has.
///
/// # Errors
/// When the caller is not a user.
pub async fn emails(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let own = cx.service()?.own_email(&cx.caller).await?;
    let shape = Shape::of(&cx);
    let confirmed = is_confirmed(&own);
    let values = if window.offset == 0 { vec![own.email.to_string()] } else { Vec::new() };
    let list = Listing { values, size: Some(1), more: false };
    let here = shape.api(&["user", "emails"]);
    let page = page(&cx, &request, list, &here, |email| EmailAddress::primary(&shape.base, email, confirmed));
    send(&cx, StatusCode::OK, &page)
}

/// `GET /2.0/user/emails/{email}`
///
/// # Errors
/// When it is not the caller's.
pub async fn email(cx: Cx) -> Result<Response> {
    let own = cx.service()?.own_email(&cx.caller).await?;
    if own.email.folded() != cx.param("email").to_lowercase() {
        return Err(Error::not_found("the e-mail address"));
    }
    let shape = Shape::of(&cx);
    send(&cx, StatusCode::OK, &EmailAddress::primary(&shape.base, own.email.to_string(), is_confirmed(&own)))
}

/// Where no address can be proved, that an administrator entered it is what there is.
fn is_confirmed(own: &service::EmailState) -> bool {
    own.verified_on.is_some() || !own.can_be_verified
}
