//! Build statuses of commits.

use axum::http::StatusCode;
use model::{CommitStatus, Result, commit_status};
use service::{COMMIT_STATUS_FIELDS, CommitStatusChange, CommitStatusQuery, Located};
use wire::commit_status::{CommitStatus as Shown, CommitStatusInput, CommitStatusLinks};

use super::shape::full_name;
use super::{Shape, list_request, located, page, repository_path, send};
use crate::http::{Cx, Response};

fn shown(shape: &Shape, located: &Located, one: &CommitStatus) -> Shown {
    let full_name = full_name(located);
    let commit = shape.commit_named(located, one.commit.as_str());
    Shown {
        uuid: one.id.into(),
        key: one.key.clone(),
        state: one.state.as_str(),
        name: one.name.clone().unwrap_or_else(|| one.key.clone()),
        description: one.description.clone().unwrap_or_default(),
        url: one.url.as_deref().map(|url| commit_status::address(url, &full_name, &one.commit)),
        refname: one.refname.clone(),
        links: CommitStatusLinks::new(&shape.base, &full_name, &commit, &one.key),
        commit,
        repository: shape.repository(located),
        created_on: one.created_on.into(),
        updated_on: one.updated_on.into(),
    }
}

fn change(input: CommitStatusInput) -> CommitStatusChange {
    let CommitStatusInput { key, state, name, description, url, refname } = input;
    CommitStatusChange { key, state, name, description, url, refname }
}

/// `GET …/commit/{commit}/statuses`
///
/// # Errors
/// When there is no such commit, or the caller may not see the repository.
pub async fn list(cx: Cx) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let refname = cx.query.get("refname")?.filter(|text| !text.is_empty()).map(str::to_owned);
    let (filter, sort) = (cx.filter(&COMMIT_STATUS_FIELDS)?, cx.sort(&COMMIT_STATUS_FIELDS)?);
    let query = CommitStatusQuery { refname, filter, sort };
    let (path, commit) = (repository_path(&cx)?, cx.param("commit"));
    let (at, found) = cx.service()?.commit_statuses(&cx.caller, &path, commit, query, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.at_revision(&at, "commit", commit, "statuses");
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| shown(&shape, &at, &one)))
}

/// `POST …/commit/{commit}/statuses/build`: a new status, or another one under a key of the caller's.
///
/// # Errors
/// When the caller may not, there is no such commit, or the key belongs to somebody else.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let path = repository_path(&cx)?;
    let (at, made) = cx.service()?.set_commit_status(&cx.caller, &path, cx.param("commit"), new).await?;
    let made = shown(&Shape::of(&cx), &at, &made);
    located(send(&cx, StatusCode::CREATED, &made)?, &made.links.this.href)
}

/// `GET …/commit/{commit}/statuses/build/{key}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let (path, commit) = (repository_path(&cx)?, cx.param("commit"));
    let (at, found) = cx.service()?.commit_status(&cx.caller, &path, commit, cx.param("key")).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &at, &found))
}

/// `PUT …/commit/{commit}/statuses/build/{key}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, there is none, or the key belongs to somebody else.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?);
    let (path, of) = (repository_path(&cx)?, (cx.param("commit"), cx.param("key")));
    let (at, after) = cx.service()?.update_commit_status(&cx.caller, &path, of, change).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &at, &after))
}
