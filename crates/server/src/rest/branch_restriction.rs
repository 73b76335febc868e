//! Branch restrictions.

use axum::http::StatusCode;
use model::{BranchMatch, Error, Result};
use service::{BranchRestrictionChange, BranchRestrictionQuery, BranchRestrictionView, Located};
use wire::branch_restriction::{
    AccountName, BranchRestriction, BranchRestrictionInput, BranchRestrictionLinks,
};

use super::shape::full_name;
use super::{Shape, list_request, located, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

fn shown(shape: &Shape, located: &Located, view: &BranchRestrictionView) -> BranchRestriction {
    let one = &view.restriction;
    let (pattern, branch_type) = match &one.branches {
        BranchMatch::Glob(glob) => (glob.to_string(), None),
        BranchMatch::BranchingModel(kind) => (String::new(), Some(kind.as_str())),
    };
    BranchRestriction {
        id: one.id,
        kind: one.kind.as_str(),
        branch_match_kind: one.branches.kind(),
        branch_type,
        pattern,
        value: None,
        users: view.users.iter().map(|user| shape.user(user)).collect(),
        groups: view.groups.iter().map(|group| shape.group(&located.workspace, group)).collect(),
        links: BranchRestrictionLinks::new(&shape.base, &full_name(located), one.id),
    }
}

fn change(input: BranchRestrictionInput) -> BranchRestrictionChange {
    BranchRestrictionChange {
        kind: input.kind,
        branch_match_kind: input.branch_match_kind,
        branch_type: input.branch_type,
        pattern: input.pattern,
        users: input.users.map(|users| users.into_iter().map(AccountName::name).collect()),
        groups: input.groups.map(|groups| groups.into_iter().map(|group| group.slug).collect()),
    }
}

/// The number in the path. What is none names nothing.
fn number(cx: &Cx) -> Result<i64> {
    let text = cx.param("id");
    text.parse().map_err(|_| Error::not_found(format!("the branch restriction `{}`", text.escape_debug())))
}

/// `GET …/branch-restrictions`
///
/// # Errors
/// When the caller may not see them, or `kind` is none.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let word = |name: &str| cx.query.get(name).map(|text| text.map(str::to_owned));
    let query = BranchRestrictionQuery { kind: word("kind")?, pattern: word("pattern")? };
    let path = repository_path(&cx)?;
    let (located, found) = cx.service()?.branch_restrictions(&cx.caller, &path, query, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.below(&located, &["branch-restrictions"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| shown(&shape, &located, &one)))
}

/// `POST …/branch-restrictions`
///
/// # Errors
/// When the caller may not, or there is one of the same kind on the same branches.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let path = repository_path(&cx)?;
    let (at, made) = cx.service()?.create_branch_restriction(&cx.caller, &path, new).await?;
    let made = shown(&Shape::of(&cx), &at, &made);
    located(send(&cx, StatusCode::CREATED, &made)?, &made.links.this.href)
}

/// `GET …/branch-restrictions/{id}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let (path, id) = (repository_path(&cx)?, number(&cx)?);
    let (located, found) = cx.service()?.branch_restriction(&cx.caller, &path, id).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &located, &found))
}

/// `PUT …/branch-restrictions/{id}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, there is none, or another one is of the same kind on the same branches.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?);
    let (path, id) = (repository_path(&cx)?, number(&cx)?);
    let (located, after) = cx.service()?.update_branch_restriction(&cx.caller, &path, id, change).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &located, &after))
}

/// `DELETE …/branch-restrictions/{id}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    let (path, id) = (repository_path(&cx)?, number(&cx)?);
    cx.service()?.remove_branch_restriction(&cx.caller, &path, id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
