//! From what a handler gives back to an answer: the error envelope, and the headers that every answer carries.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use model::{Error, RequestId};
use serde::Serialize;

use super::Response;
use crate::route::{Method, Route};

/// The header with the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer of JSON.
///
/// # Errors
/// When a shape of ours cannot be written: a failure of ours.
pub fn json(status: StatusCode, shape: &impl Serialize) -> model::Result<Response> {
    // Most answers fit in: a buffer that grows is copied each time.
    let mut bytes = Vec::with_capacity(4096);
    serde_json::to_writer(&mut bytes, shape).map_err(Error::internal)?;
    Ok(typed(status, "application/json; charset=utf-8", bytes.into()))
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer of plain text.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    typed(status, "text/plain; charset=utf-8", text.into())
}

fn typed(status: StatusCode, media_type: &'static str, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The answer for an error. Failures of ours are logged here, once. Git shows its user plain text only.
#[must_use]
pub fn error(error: &Error, id: RequestId, route: Option<&Route>) -> Response {
    let operation = route.map_or("none", |route| route.operation);
    if let Error::Internal(cause) = error {
        tracing::error!(request_id = %id, operation, "{cause}");
    }
    let (status, envelope) = wire::from_error(error, id);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let git = route.is_some_and(Route::is_git);
    let plain = || text(status, format!("{error}\nrequest id: {id}\n"));
    let mut response = if git { plain() } else { json(status, &envelope).unwrap_or_else(|_| plain()) };
    let headers = response.headers_mut();
    match error {
        Error::Unauthenticated => {
            // Git asks its user for a password on `Basic` alone; in a browser that would open a dialogue, which
            // the interfaces are not meant for.
            let challenge = if git { "Basic realm=\"Bastide\"" } else { "Bearer realm=\"Bastide\"" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        Error::TooManyRequests { retry_after } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
        }
        Error::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(5));
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// The `Allow` header of rows with these methods.
#[must_use]
pub fn allow(methods: &[Method]) -> HeaderValue {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if methods.contains(&Method::Get) {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// What every answer carries. What a handler has set stays: it knows better what may be kept or shown.
pub(super) fn complete(headers: &mut HeaderMap, id: RequestId, secure: bool) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if secure {
        let two_years = HeaderValue::from_static("max-age=63072000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
}

/// Lets pages of any origin read an answer of the published interface. Credentials that a browser holds by itself
/// are never meant, so nothing is given away that the page could not ask for itself.
pub(super) fn share(headers: &mut HeaderMap) {
    let exposed = "Accept-Ranges, Content-Length, Content-Type, ETag, Last-Modified, Link, Location, Retry-After, \
        WWW-Authenticate, X-Accepted-OAuth-Scopes, X-OAuth-Scopes, X-RateLimit-Limit, X-RateLimit-NearLimit, \
        X-RateLimit-Resource, X-Request-Id, X-Token-Id";
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

/// The answer to a browser's question before it sends a request of a page.
pub(super) fn preflight() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let accepted = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, \
        If-Unmodified-Since, Range, X-Requested-With";
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, accepted),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
