//! The published interface, `/2.0` and what is left of `/1.0`. One file per noun; each handler reads its request, calls
//! one use case and answers in a shape of `wire`. Who may do what is the business of `service`.

pub mod account;
pub mod branch_restriction;
pub mod branching_model;
pub mod commit;
pub mod commit_status;
pub mod deployment;
pub mod diff;
pub mod environment;
pub mod git_ref;
pub mod group;
pub mod group_privilege;
pub mod identity_token;
pub mod permission;
pub mod pipeline_cache;
pub mod pipeline_config;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_ssh;
pub mod pipeline_variable;
pub mod project;
pub mod report;
pub mod repository;
pub mod runner;
pub mod source;
pub mod test_report;
pub mod upload;
pub mod workspace;

mod media_type;
mod shape;

use axum::http::{HeaderValue, StatusCode, header};
use model::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::{Listing, Located, RepositoryPath, Window};
use wire::{Page, PageRequest, Selection, Total};

use crate::http::cx::Fields;
use crate::http::{Cx, Response, answer};

use shape::Shape;

/// The full form of a repository, for `/api`, which answers in it as well.
pub(crate) fn repository_in_full(cx: &Cx, located: &Located) -> wire::repository::Repository {
    Shape::of(cx).repository_in_full(located)
}

/// The repository that the path names.
fn repository_path(cx: &Cx) -> Result<RepositoryPath> {
    RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))
}

/// The page that is asked for, and the part of the list that it is.
fn list_request(cx: &Cx) -> Result<(PageRequest, Window)> {
    let request = PageRequest::list(&cx.query)?;
    let offset = i64::try_from(request.offset())
        .map_err(|_| Error::invalid_field("page", "there are not that many pages"))?;
    let window = Window { limit: i64::from(request.pagelen), offset };
    Ok((request, window))
}

/// Says so where a list takes no filter and no order: to pass over them would answer another question.
fn no_filter(cx: &Cx) -> Result<()> {
    for name in ["q", "sort"] {
        if cx.query.get(name)?.is_some_and(|text| !text.is_empty()) {
            return Err(Error::invalid_field(name, "this list cannot be filtered or sorted: leave it out"));
        }
    }
    Ok(())
}

/// A parameter that says yes or no.
fn flag(cx: &Cx, name: &str) -> Result<Option<bool>> {
    match cx.query.get(name)? {
        None | Some("") => Ok(None),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(Error::invalid_field(name, "use `true` or `false`")),
    }
}

/// A whole number from 0.
fn number(cx: &Cx, name: &str) -> Result<Option<u32>> {
    match cx.query.get(name)? {
        None | Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| Error::invalid_field(name, "use a smaller number"))
        }
        Some(_) => Err(Error::invalid_field(name, "use a whole number")),
    }
}

/// `fields=`.
fn selection(cx: &Cx) -> Result<Selection> {
    Selection::parse(cx.query.get("fields")?.unwrap_or_default())
}

/// An answer, cut to what `fields=` asks for.
fn send(cx: &Cx, status: StatusCode, shape: &impl Serialize) -> Result<Response> {
    send_wider(cx, status, shape, None)
}

/// The same, where there is more to ask for than is sent by default.
fn send_wider(
    cx: &Cx,
    status: StatusCode,
    shape: &impl Serialize,
    wider: Option<&Value>,
) -> Result<Response> {
    let selection = selection(cx)?;
    if selection.is_default() {
        return answer::json(status, shape);
    }
    let whole = serde_json::to_value(shape).map_err(Error::internal)?;
    answer::json(status, &selection.apply(whole, wider))
}

/// A page of a list, without its parts being sent yet. `here` is the collection's own address.
fn page<T, U>(
    cx: &Cx,
    request: &PageRequest,
    list: Listing<T>,
    here: &str,
    shape: impl FnMut(T) -> U,
) -> Page<U> {
    let total = match list.size.and_then(|size| u64::try_from(size).ok()) {
        Some(size) => Total::Known(size),
        None => Total::Unknown { more: list.more },
    };
    Page::list(list.values.into_iter().map(shape).collect(), request, total, here, &cx.query)
}

/// A page of a walk: `next` is what leads on.
fn walk_token(request: &PageRequest) -> Option<&str> {
    match &request.position {
        wire::Position::Token(token) => token.as_deref(),
        wire::Position::Number(_) => None,
    }
}

/// The answer with the address of what was made or moved.
fn located(mut response: Response, address: &str) -> Result<Response> {
    let address = HeaderValue::from_str(address).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, address);
    Ok(response)
}

/// A body of JSON that may as well be missing.
async fn optional_json<T: DeserializeOwned + Default>(cx: &mut Cx) -> Result<T> {
    match cx.body.is_empty() {
        true => Ok(T::default()),
        false => cx.json().await,
    }
}

/// A body's type without its parameters, in lower case.
fn media_type(cx: &Cx) -> String {
    let sent = cx.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How a request names a user, as `service` reads it: ids may stand with or without braces.
fn user_name(text: &str) -> String {
    match text.parse::<model::UserId>() {
        Ok(id) => id.braced(),
        Err(_) => text.to_owned(),
    }
}
