//! Files and directories at a commit.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Entry, EntryKind, SOURCE_FIELDS, SourceAt};

use super::media_type;
use super::{Shape, list_request, located, number, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// The most levels that a listing goes down.
const DEEPEST: u32 = 1_000;

/// `GET …/src`: leads to the root of the main branch.
///
/// # Errors
/// When there is no commit yet, or the caller may not see the repository.
pub async fn root(cx: Cx) -> Result<Response> {
    let (at, commit) = cx.service()?.main_commit(&cx.caller, &repository_path(&cx)?).await?;
    let mut address = Shape::of(&cx).below(&at, &["src", commit.as_str()]) + "/";
    let parameters = cx.query.encode();
    if !parameters.is_empty() {
        address = format!("{address}?{parameters}");
    }
    located(answer::empty(StatusCode::FOUND), &address)
}

/// `GET …/src/{commit}/{path}`: a file's content, a directory's listing, or with `format=meta` what is known of either.
///
/// # Errors
/// When there is nothing, or the caller may not see the repository.
pub async fn get(mut cx: Cx) -> Result<Response> {
    let (revision, path) = (cx.param("commit"), cx.param("path"));
    let meta = match cx.query.get("format")? {
        None | Some("") => false,
        Some("meta") => true,
        Some(_) => return Err(Error::invalid_field("format", "use `meta`, or leave it out")),
    };
    let found = cx.service()?.source(&cx.caller, &repository_path(&cx)?, revision, path).await?;
    match (&found.entry, meta) {
        (_, true) => describe(&cx, &found),
        (Some(entry), false) if !found.is_directory() => content(&cx.headers, &found, entry).await,
        _ => list(&mut cx, &found).await,
    }
}

fn describe(cx: &Cx, found: &SourceAt) -> Result<Response> {
    let (shape, at) = (Shape::of(cx), &found.located);
    match &found.entry {
        Some(entry) => send(cx, StatusCode::OK, &shape.entry(at, found.commit.as_str(), entry)),
        None => {
            let commit = shape.commit_named(at, found.commit.as_str());
            send(cx, StatusCode::OK, &shape.directory(at, commit, String::new()))
        }
    }
}

async fn list(cx: &mut Cx, found: &SourceAt) -> Result<Response> {
    let (request, window) = list_request(cx)?;
    let depth = number(cx, "max_depth")?.unwrap_or(1);
    if !(1..=DEEPEST).contains(&depth) {
        return Err(Error::invalid_field("max_depth", format!("use 1 to {DEEPEST}")));
    }
    let depth = usize::try_from(depth).map_err(Error::internal)?;
    let filter = cx.filter(&SOURCE_FIELDS)?;
    let entries = found.entries(depth, filter.as_ref(), cx.sort(&SOURCE_FIELDS)?, window).await?;
    let shape = Shape::of(cx);
    let hash = found.commit.as_str();
    // By the commit's name, so that the pages of a walk are of one state.
    let here = shape.below(&found.located, &["src", hash, &found.path()]) + "/";
    let page = page(cx, &request, entries, &here, |entry| shape.entry(&found.located, hash, &entry));
    send(cx, StatusCode::OK, &page)
}

/// The content, and headers that keep a browser from running it. The tag follows from the content and what is
/// special about the file: the same file has the same one wherever it lies.
pub(crate) async fn content(asked: &HeaderMap, found: &SourceAt, entry: &Entry) -> Result<Response> {
    let kind = match entry.kind {
        EntryKind::File { executable: false } => "",
        EntryKind::File { executable: true } => "-executable",
        EntryKind::Symlink => "-link",
        EntryKind::Submodule | EntryKind::Directory => "-subrepository",
    };
    let tag = format!("\"{}{kind}\"", entry.id);
    let mut response = match is_known(asked, &tag) {
        true => answer::empty(StatusCode::NOT_MODIFIED),
        false => {
            let mut response = Response::new(Body::from_stream(found.content().await?));
            let path = found.path();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::safe(&path)));
            headers
                .insert(header::CONTENT_DISPOSITION, attachment(path.rsplit('/').next().unwrap_or(&path))?);
            if let Some(size) = entry.size {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).map_err(Error::internal)?);
    // May be kept, but whoever asks again must be allowed again.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    Ok(response)
}

/// Whether the client has it already.
pub(super) fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let sent = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    sent.flat_map(|value| value.split(','))
        .map(|one| one.trim())
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// To be kept under a file's own name, which may be of any characters.
pub(crate) fn attachment(name: &str) -> Result<HeaderValue> {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect();
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
        .map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_header_or_add_to_it() {
        let value = attachment("a\"; filename=\"b.html\r\nX: y.txt").unwrap();
        let text = value.to_str().unwrap();
        assert!(!text.contains('\n') && text.matches('"').count() == 2, "{text}");
    }

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\", W/\"abc\""));
        assert!(is_known(&asked, "\"abc\""));
        assert!(!is_known(&asked, "\"abcd\""));
    }
}
