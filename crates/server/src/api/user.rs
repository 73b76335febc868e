//! Accounts, for those who manage them.

use axum::http::StatusCode;
use model::{Result, UserState};
use service::{NewUser, UserChange, UserQuery};
use wire::PageRequest;
use wire::api::{ResetLink, User, UserCreate, UserUpdate};

use super::{admitted, bound_to, document, page, window};
use crate::http::{Cx, Response, answer};

/// `GET /api/users`
///
/// # Errors
/// When the caller may not manage users.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let users = admitted(&cx)?.users(&cx.caller, UserQuery::default(), window(&request)?).await?;
    page(&cx, &request, users, |found| User::from(&found.user))
}

/// `POST /api/users`
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn create(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: UserCreate = cx.json().await?;
    let new = NewUser {
        username: body.username,
        email: body.email,
        display_name: body.display_name,
        password: body.password,
    };
    let user = cx.service()?.create_user(&cx.caller, new).await?;
    document(StatusCode::CREATED, &User::from(&user))
}

/// `GET /api/users/{username}`
///
/// # Errors
/// When the caller may not, or there is no such user.
pub async fn get(cx: Cx) -> Result<Response> {
    let found = admitted(&cx)?.inspect_user(&cx.caller, cx.param("username")).await?;
    document(StatusCode::OK, &User::from(&found.user))
}

/// `PUT /api/users/{username}`
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn update(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: UserUpdate = cx.json().await?;
    let service = cx.service()?;
    let username = cx.param("username");
    let seen = service.inspect_user(&cx.caller, username).await?.user;
    let bound = bound_to(&cx, &User::from(&seen))?;
    let change = UserChange {
        active: body.active,
        staff_role: body.staff_role,
        display_name: body.display_name,
        email: body.email,
        password: body.password,
        only_if: bound.then_some(seen),
    };
    let user = service.update_user(&cx.caller, username, change).await?;
    document(StatusCode::OK, &User::from(&user))
}

/// `DELETE /api/users/{username}`
///
/// # Errors
/// When the caller may not, or there is no such user.
pub async fn delete(cx: Cx) -> Result<Response> {
    admitted(&cx)?.delete_user(&cx.caller, cx.param("username")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET /api/unapproved-users`
///
/// # Errors
/// When the caller may not manage users.
pub async fn list_unapproved(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let waiting = UserQuery { state: Some(UserState::Waiting), ..UserQuery::default() };
    let users = admitted(&cx)?.users(&cx.caller, waiting, window(&request)?).await?;
    page(&cx, &request, users, |found| User::from(&found.user))
}

/// `PUT /api/users/{username}/approval`
///
/// # Errors
/// When the caller may not, or it is their own account.
pub async fn approve(cx: Cx) -> Result<Response> {
    let user = admitted(&cx)?.approve_user(&cx.caller, cx.param("username"), true).await?;
    document(StatusCode::OK, &User::from(&user))
}

/// `DELETE /api/users/{username}/approval`
///
/// # Errors
/// When the caller may not, or it is their own account.
pub async fn withdraw_approval(cx: Cx) -> Result<Response> {
    admitted(&cx)?.approve_user(&cx.caller, cx.param("username"), false).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /api/users/{username}/second-steps`
///
/// # Errors
/// When the caller may not, or there is no such user.
pub async fn reset_second_steps(cx: Cx) -> Result<Response> {
    admitted(&cx)?.reset_second_steps(&cx.caller, cx.param("username")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `POST /api/users/{username}/reset-link`
///
/// # Errors
/// When the caller may not, or there is no such user, or it is not active.
pub async fn make_reset_link(cx: Cx) -> Result<Response> {
    let link = admitted(&cx)?.make_reset_link(&cx.caller, cx.param("username")).await?;
    let shape = ResetLink { address: link.address, expires_on: link.expires_on.into() };
    answer::json(StatusCode::CREATED, &shape)
}
