//! Branches and tags.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{NewRef, REF_FIELDS, RefKind, RefQuery, Refs};
use wire::git_ref::RefInput;

use super::{Shape, list_request, located, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// `GET …/refs`
///
/// # Errors
/// When the caller may not see the repository.
pub async fn list(cx: Cx) -> Result<Response> {
    list_of(cx, None).await
}

/// `GET …/refs/branches`
///
/// # Errors
/// When the caller may not see the repository.
pub async fn list_branches(cx: Cx) -> Result<Response> {
    list_of(cx, Some(RefKind::Branches)).await
}

/// `GET …/refs/tags`
///
/// # Errors
/// When the caller may not see the repository.
pub async fn list_tags(cx: Cx) -> Result<Response> {
    list_of(cx, Some(RefKind::Tags)).await
}

async fn list_of(cx: Cx, kind: Option<RefKind>) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let query = RefQuery { kind, filter: cx.filter(&REF_FIELDS)?, sort: cx.sort(&REF_FIELDS)? };
    let Refs { located, listing, people } =
        cx.service()?.refs(&cx.caller, &repository_path(&cx)?, query, window).await?;
    let shape = Shape::of(&cx);
    let here = match kind {
        None => shape.below(&located, &["refs"]),
        Some(RefKind::Branches) => shape.below(&located, &["refs", "branches"]),
        Some(RefKind::Tags) => shape.below(&located, &["refs", "tags"]),
    };
    let page = page(&cx, &request, listing, &here, |one| shape.git_ref(&located, one, &people));
    send(&cx, StatusCode::OK, &page)
}

/// `GET …/refs/branches/{name}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get_branch(cx: Cx) -> Result<Response> {
    get(cx, RefKind::Branches).await
}

/// `GET …/refs/tags/{name}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get_tag(cx: Cx) -> Result<Response> {
    get(cx, RefKind::Tags).await
}

async fn get(cx: Cx, kind: RefKind) -> Result<Response> {
    let found = cx.service()?.git_ref(&cx.caller, &repository_path(&cx)?, kind, cx.param("name")).await?;
    one(&cx, StatusCode::OK, found)
}

fn one(cx: &Cx, status: StatusCode, found: Refs) -> Result<Response> {
    let one = found.listing.values.into_iter().next();
    // A tag of something that is no commit has no form in the contract.
    let one = one.ok_or_else(|| Error::not_found("a commit behind the ref"))?;
    let shape = Shape::of(cx);
    let kind = if one.kind == RefKind::Branches { "branches" } else { "tags" };
    let address = shape.below(&found.located, &["refs", kind, &one.name]);
    let response = send(cx, status, &shape.git_ref(&found.located, one, &found.people))?;
    if status == StatusCode::CREATED { located(response, &address) } else { Ok(response) }
}

/// `POST …/refs/branches`
///
/// # Errors
/// When the caller may not, or the name or the target cannot be.
pub async fn create_branch(cx: Cx) -> Result<Response> {
    create(cx, RefKind::Branches).await
}

/// `POST …/refs/tags`: an annotated tag.
///
/// # Errors
/// When the caller may not, or the name or the target cannot be.
pub async fn create_tag(cx: Cx) -> Result<Response> {
    create(cx, RefKind::Tags).await
}

async fn create(mut cx: Cx, kind: RefKind) -> Result<Response> {
    let RefInput { name, target, message } = cx.json().await?;
    let new = NewRef { kind, name, target: target.hash, message };
    let made = cx.service()?.create_ref(&cx.caller, &repository_path(&cx)?, new).await?;
    one(&cx, StatusCode::CREATED, made)
}

/// `DELETE …/refs/branches/{name}`
///
/// # Errors
/// When the caller may not, there is none, or it is the main branch.
pub async fn delete_branch(cx: Cx) -> Result<Response> {
    delete(cx, RefKind::Branches).await
}

/// `DELETE …/refs/tags/{name}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete_tag(cx: Cx) -> Result<Response> {
    delete(cx, RefKind::Tags).await
}

async fn delete(cx: Cx, kind: RefKind) -> Result<Response> {
    cx.service()?.delete_ref(&cx.caller, &repository_path(&cx)?, kind, cx.param("name")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
