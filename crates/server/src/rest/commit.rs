//! Commits and histories.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{CommitQuery, Commits, FileVersion};
use wire::{Page, PageRequest, Parameters};

use super::{Shape, flag, media_type, no_filter, repository_path, send, walk_token};
use crate::http::{Cx, Response};

/// `GET …/commit/{commit}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let found = cx.service()?.commit(&cx.caller, &repository_path(&cx)?, cx.param("commit")).await?;
    one(&cx, &found)
}

/// `GET …/merge-base/{revspec}`
///
/// # Errors
/// When a commit is not there, or the two have nothing in common.
pub async fn merge_base(cx: Cx) -> Result<Response> {
    let found = cx.service()?.merge_base(&cx.caller, &repository_path(&cx)?, cx.param("revspec")).await?;
    one(&cx, &found)
}

fn one(cx: &Cx, found: &Commits) -> Result<Response> {
    let commit = found.commits.first().ok_or_else(|| Error::not_found("the commit"))?;
    send(cx, StatusCode::OK, &Shape::of(cx).commit(&found.located, commit, &found.people))
}

/// `GET …/commits` and `GET …/commits/{revision}`
///
/// # Errors
/// When a revision is not there, or the caller may not see the repository.
pub async fn list(mut cx: Cx) -> Result<Response> {
    let query = query(&cx, &Parameters::default());
    answer_list(&mut cx, query).await
}

/// `POST …/commits` and `POST …/commits/{revision}`: the same, with what does not fit into an address in a form.
///
/// # Errors
/// When a revision is not there, or the caller may not see the repository.
pub async fn list_by_form(mut cx: Cx) -> Result<Response> {
    let expected = "application/x-www-form-urlencoded";
    let form = match (cx.body.is_empty(), media_type(&cx) == expected) {
        (true, _) => Parameters::default(),
        (false, true) => Parameters::form(&cx.bytes().await?)?,
        (false, false) => return Err(Error::UnsupportedMediaType { expected }),
    };
    let query = query(&cx, &form);
    answer_list(&mut cx, query).await
}

fn query(cx: &Cx, form: &Parameters) -> CommitQuery {
    let all = |name: &str| {
        let sent = cx.query.all(name).chain(form.all(name));
        sent.filter(|text| !text.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut include = all("include");
    let revision = cx.param("revision");
    if !revision.is_empty() {
        include.insert(0, revision.to_owned());
    }
    CommitQuery { include, exclude: all("exclude"), paths: all("path") }
}

async fn answer_list(cx: &mut Cx, query: CommitQuery) -> Result<Response> {
    no_filter(cx)?;
    let request = PageRequest::walk(&cx.query)?;
    let path = repository_path(cx)?;
    let (token, limit) = (walk_token(&request), u64::from(request.pagelen));
    let found = cx.service()?.commits(&cx.caller, &path, query, token, limit).await?;
    let shape = Shape::of(cx);
    let here = shape.below(&found.located, &["commits", cx.param("revision")]);
    let commit = |commit| shape.commit(&found.located, commit, &found.people);
    let values = found.commits.iter().map(commit).collect();
    let page = Page::walk(values, &request, found.next.as_deref(), &here, &cx.query);
    send(cx, StatusCode::OK, &page)
}

/// `GET …/filehistory/{commit}/{path}`
///
/// # Errors
/// When there never was such a file, or the caller may not see the repository.
pub async fn file_history(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let request = PageRequest::walk(&cx.query)?;
    let follow = flag(&cx, "renames")?.unwrap_or(true);
    let (revision, file) = (cx.param("commit"), cx.param("path"));
    let part = (walk_token(&request), u64::from(request.pagelen));
    let path = repository_path(&cx)?;
    let found = cx.service()?.file_history(&cx.caller, &path, revision, file, follow, part).await?;
    let shape = Shape::of(&cx);
    let values = found.versions.iter().map(|version| {
        let FileVersion { commit, path, entry } = version;
        let commit = shape.commit(&found.located, commit, &found.people);
        shape.version(&found.located, commit, path, entry.as_ref())
    });
    let here = shape.at_revision(&found.located, "filehistory", revision, file);
    let page = Page::walk(values.collect(), &request, found.next.as_deref(), &here, &cx.query);
    send(&cx, StatusCode::OK, &page)
}
