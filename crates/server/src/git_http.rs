//! git over HTTPS: the smart protocol, as streams in both directions. Who may clone or push is decided in
//! `service::git_access`; here are content types, compression and the headers that git's own server sends.
//!
//! The older ("dumb") protocol, which reads a repository's files one by one, is not spoken: it would need a decision
//! about each of them.

use std::io;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use model::{Error, Result};
use service::{BodyReader, ByteStream, GitService, Inflate, InflateLimits, Protocol, RepositoryPath};
use tokio::io::AsyncRead;

use crate::app::App;
use crate::http::{Cx, Response, answer};
use crate::metrics::Direction;

/// The answer to `GET …/info/refs`.
///
/// # Errors
/// When the service is not one of git's, or the caller may not use it.
pub async fn info_refs(cx: Cx) -> Result<Response> {
    let service = match cx.query.get("service")? {
        Some(name) => GitService::parse(name).ok_or_else(|| {
            Error::forbidden(
                "this server offers `git-upload-pack` (clone, fetch) and `git-receive-pack` (push)",
            )
        })?,
        None => {
            return Err(Error::forbidden(
                "this server speaks git's smart protocol alone: use git 1.6.6 or newer, and no file-by-file fetch",
            ));
        }
    };
    let refs = cx.service()?.git_advertise(&cx.caller, &path(&cx)?, service, protocol(&cx.headers)).await?;
    let media_type = match service {
        GitService::UploadPack => "application/x-git-upload-pack-advertisement",
        GitService::ReceivePack => "application/x-git-receive-pack-advertisement",
    };
    streamed(&cx.app, media_type, refs).await
}

/// One request of a clone or fetch.
///
/// # Errors
/// When the body is of another type, or the caller may not read the repository.
pub async fn upload_pack(mut cx: Cx) -> Result<Response> {
    let expected = "application/x-git-upload-pack-request";
    let input = input(&mut cx, expected)?;
    let (path, protocol) = (path(&cx)?, protocol(&cx.headers));
    let output = cx.service()?.git_upload_pack(&cx.caller, &path, protocol, input).await?;
    streamed(&cx.app, "application/x-git-upload-pack-result", output).await
}

/// A push.
///
/// # Errors
/// When the body is of another type, or the caller may not push. What is refused when the objects are there is told
/// in git's own report instead.
pub async fn receive_pack(mut cx: Cx) -> Result<Response> {
    let expected = "application/x-git-receive-pack-request";
    let input = input(&mut cx, expected)?;
    let path = path(&cx)?;
    let output = cx.service()?.git_receive_pack(&cx.caller, &path, input).await?;
    streamed(&cx.app, "application/x-git-receive-pack-result", output).await
}

/// The repository that the address names; clients write it with and without a final `.git`.
fn path(cx: &Cx) -> Result<RepositoryPath> {
    let name = cx.param("repo_slug");
    RepositoryPath::parse(cx.param("workspace"), name.strip_suffix(".git").unwrap_or(name))
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::parse(headers.get("git-protocol").and_then(|value| value.to_str().ok()))
}

/// The request's body as git is to read it. Nothing is read here: a client that waits for `100 Continue` sends its
/// pack when git first asks for it, which is after the decision.
fn input(cx: &mut Cx, expected: &'static str) -> Result<Box<dyn AsyncRead + Send + Unpin>> {
    let text = |name| cx.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let unsupported = || Error::UnsupportedMediaType { expected };
    if text(header::CONTENT_TYPE).is_none_or(|sent| !sent.eq_ignore_ascii_case(expected)) {
        return Err(unsupported());
    }
    let compressed = match text(header::CONTENT_ENCODING) {
        None | Some("identity") => false,
        Some("gzip" | "x-gzip") => true,
        Some(_) => return Err(unsupported()),
    };
    let metrics = cx.app.metrics.clone();
    let body = cx.body.take().into_data_stream().map(move |piece| {
        if let Ok(piece) = &piece {
            metrics.git_bytes(Direction::In, length(piece));
        }
        piece
    });
    let reader = BodyReader::new(body);
    Ok(match compressed {
        true => Box::new(Inflate::new(reader, InflateLimits::default())),
        false => Box::new(reader),
    })
}

/// The answer's head goes out with git's first bytes: until then a failure is still an HTTP error, and a client that
/// waits for `100 Continue` has been asked for its body.
async fn streamed(app: &App, media_type: &'static str, mut output: ByteStream) -> Result<Response> {
    let metrics = app.metrics.clone();
    let first = match output.next().await {
        Some(Err(error)) => return Err(failed(error)),
        first => first,
    };
    let output = stream::iter(first).chain(output).map(move |piece| {
        if let Ok(piece) = &piece {
            metrics.git_bytes(Direction::Out, length(piece));
        }
        piece
    });
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(output);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// What went wrong before git said anything: mostly a client that went away or sent what cannot be read.
fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::invalid("the request took too long to arrive"),
        _ => Error::internal(error),
    }
}

fn length(piece: &Bytes) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}
