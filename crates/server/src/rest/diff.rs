//! Diffs, their statistics, and patches.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use model::{Error, Result};
use service::{ByteStream, DiffRequest, FileStat, FileStatus};
use wire::diffstat::{Diffstat, Status};
use wire::source::CommitFile;

use super::shape::full_name;
use super::{Shape, flag, list_request, number, page, repository_path, send};
use crate::http::{Cx, Response};

fn request(cx: &Cx) -> Result<DiffRequest> {
    let topic = match (flag(cx, "topic")?, flag(cx, "merge")?) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid_field("merge", "use `topic` alone: `merge` is its older name"));
        }
        (topic, merge) => topic.or(merge).unwrap_or(true),
    };
    Ok(DiffRequest {
        paths: cx.query.all("path").filter(|path| !path.is_empty()).map(str::to_owned).collect(),
        context: number(cx, "context")?,
        ignore_whitespace: flag(cx, "ignore_whitespace")?.unwrap_or(false),
        renames: flag(cx, "renames")?.unwrap_or(true),
        binary: flag(cx, "binary")?.unwrap_or(true),
        topic,
        ..DiffRequest::new(cx.param("spec"))
    })
}

/// Text of whatever encoding: the contract names none.
fn plain(stream: ByteStream) -> Response {
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// `GET …/diff/{spec}`
///
/// # Errors
/// When a commit is not there, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let diff = cx.service()?.diff(&cx.caller, &repository_path(&cx)?, &request(&cx)?).await?;
    Ok(plain(diff))
}

/// `GET …/patch/{spec}`
///
/// # Errors
/// When a commit is not there, or the caller may not see the repository.
pub async fn patch(cx: Cx) -> Result<Response> {
    let patch = cx.service()?.patch(&cx.caller, &repository_path(&cx)?, cx.param("spec")).await?;
    Ok(plain(patch))
}

/// `GET …/diffstat/{spec}`
///
/// # Errors
/// When a commit is not there, or the caller may not see the repository.
pub async fn stat(cx: Cx) -> Result<Response> {
    let (page_request, window) = list_request(&cx)?;
    let path = repository_path(&cx)?;
    let found = cx.service()?.diffstat(&cx.caller, &path, &request(&cx)?, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.below(&found.located, &["diffstat", cx.param("spec")]);
    let name = full_name(&found.located);
    let old = found.from.as_ref().unwrap_or(&found.to);
    let page = page(&cx, &page_request, found.listing, &here, |stat| {
        changed(&shape, &name, [old.as_str(), found.to.as_str()], stat)
    });
    send(&cx, StatusCode::OK, &page)
}

fn changed(shape: &Shape, name: &str, [old, new]: [&str; 2], stat: FileStat) -> Diffstat {
    let file = |hash: &str, path: Vec<u8>| {
        CommitFile::new(&shape.base, name, hash, String::from_utf8_lossy(&path).into_owned())
    };
    Diffstat {
        status: match stat.status {
            FileStatus::Added => Status::Added,
            FileStatus::Removed => Status::Removed,
            FileStatus::Modified => Status::Modified,
            FileStatus::Renamed => Status::Renamed,
        },
        lines_added: stat.added.unwrap_or(0),
        lines_removed: stat.removed.unwrap_or(0),
        old: stat.old_path.map(|path| file(old, path)),
        new: stat.new_path.map(|path| file(new, path)),
    }
}
