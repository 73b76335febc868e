//! Bastide's own interface, `/api`: what the published one has no words for. One file per noun; each handler reads
//! its request, calls one use case and answers in a shape of `wire::api`.

pub mod access;
pub mod access_token;
pub mod alert;
pub mod audit_event;
pub mod audit_export;
pub mod audit_refusal;
pub mod audit_sink;
pub mod audit_stream;
pub mod aws_key;
pub mod aws_role;
pub mod break_glass;
pub mod code_scanning;
pub mod dynamic_pipeline;
pub mod guardrail;
pub mod identity;
pub mod identity_provider;
pub mod identity_token;
pub mod member;
pub mod member_group;
pub mod operator;
pub mod repository;
pub mod runner;
pub mod sarif;
pub mod step_artifact;
pub mod user;
pub mod user_credential;
pub mod workspace;
pub mod workspace_token;

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use model::{Error, Result};
use serde::Serialize;
use service::{Listing, Service, Window};
use sha2::{Digest, Sha256};
use wire::{Page, PageRequest, Total};

use crate::http::{Cx, Response, answer};

/// The house, for a caller who is somebody: asked before the body is looked at. Kind of credential and scopes were
/// asked before the handler.
fn admitted(cx: &Cx) -> Result<&Service> {
    let service = cx.service()?;
    if cx.caller.is_anonymous() {
        return Err(Error::Unauthenticated);
    }
    Ok(service)
}

/// The part of a list that the request asks for.
fn window(request: &PageRequest) -> Result<Window> {
    let offset = i64::try_from(request.offset())
        .map_err(|_| Error::invalid_field("page", "there are not that many pages"))?;
    Ok(Window { limit: i64::from(request.pagelen), offset })
}

/// A page of a list.
fn page<T, U: Serialize>(
    cx: &Cx,
    request: &PageRequest,
    list: Listing<T>,
    shape: impl FnMut(T) -> U,
) -> Result<Response> {
    let total = match list.size.and_then(|size| u64::try_from(size).ok()) {
        Some(size) => Total::Known(size),
        None => Total::Unknown { more: list.more },
    };
    let values = list.values.into_iter().map(shape).collect();
    answer::json(StatusCode::OK, &Page::list(values, request, total, &here(cx), &cx.query))
}

/// The address of this collection: the base address and the row's path with its parameters.
fn here(cx: &Cx) -> String {
    let mut address = cx.app.settings.base_url.clone();
    for segment in cx.route.path.split('/').skip(1) {
        address.push('/');
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => encode_into(&mut address, cx.param(name)),
            None => address.push_str(segment),
        }
    }
    address
}

/// Percent-encodes one segment of a path.
fn encode_into(address: &mut String, segment: &str) {
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => address.push(byte.into()),
            // Writing to a text does not fail.
            _ => drop(write!(address, "%{byte:02X}")),
        }
    }
}

/// The tag of a document as it is now: what `If-Match` is held against.
fn tag(document: &impl Serialize) -> Result<String> {
    let digest = Sha256::digest(serde_json::to_vec(document).map_err(Error::internal)?);
    let mut tag = String::from("\"");
    for byte in digest.iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    Ok(tag)
}

/// A document with its tag.
fn document(status: StatusCode, shape: &impl Serialize) -> Result<Response> {
    let mut response = answer::json(status, shape)?;
    let tag = HeaderValue::from_str(&tag(shape)?).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Whether the request is bound to what its client has seen; then the document must still be that. A change of
/// single fields need not be bound.
fn bound_to(cx: &Cx, document: &impl Serialize) -> Result<bool> {
    let Some(wanted) = cx.headers.get(header::IF_MATCH) else { return Ok(false) };
    let wanted = wanted.to_str().map_err(|_| Error::invalid("`If-Match` is not text"))?;
    if wanted.trim() == "*" {
        return Ok(false);
    }
    let tag = tag(document)?;
    match wanted.split(',').any(|one| one.trim() == tag) {
        true => Ok(true),
        false => Err(Error::PreconditionFailed(
            "this has changed since you read it: read it again, then send the change".to_owned(),
        )),
    }
}

/// The same for a document that is always sent whole: it has to say which one it replaces.
fn must_be_bound_to(cx: &Cx, document: &impl Serialize) -> Result<()> {
    match cx.headers.contains_key(header::IF_MATCH) {
        true => bound_to(cx, document).map(drop),
        false => Err(Error::PreconditionFailed(
            "read this first and send its `ETag` as `If-Match`, so that nobody else's change is lost"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_encoded_so_that_it_stays_one() {
        let mut address = String::new();
        encode_into(&mut address, "{a}/b~c");
        assert_eq!(address, "%7Ba%7D%2Fb~c");
    }

    #[test]
    fn a_tag_follows_its_document() {
        assert_eq!(tag(&"a").unwrap(), tag(&"a").unwrap());
        assert_ne!(tag(&"a").unwrap(), tag(&"b").unwrap());
        assert_eq!(tag(&"a").unwrap().len(), 34);
    }
}
