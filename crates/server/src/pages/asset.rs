//! The files that pages load. Their names change with their content, so a browser may keep them for ever.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Error, Result};

use crate::http::{Cx, Response};

/// Each asset is compressed once.
static COMPRESSED: LazyLock<Mutex<HashMap<&'static str, Bytes>>> = LazyLock::new(Mutex::default);

/// `GET /assets/{name}`
///
/// # Errors
/// When there is no asset of this name.
pub async fn get(cx: Cx) -> Result<Response> {
    let asset = pages::asset::find(cx.param("name")).ok_or_else(|| Error::not_found("this file"))?;
    let accepted =
        cx.headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = accepted.split(',').any(|one| one.split(';').next().is_some_and(|name| name.trim() == "gzip"));
    let body = if gzip {
        compressed(&asset.name, asset.content)?
    } else {
        Bytes::from_static(asset.content.as_bytes())
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    Ok(response)
}

fn compressed(name: &'static str, content: &str) -> Result<Bytes> {
    let mut kept = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = kept.get(name) {
        return Ok(bytes.clone());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content.as_bytes()).map_err(Error::internal)?;
    let bytes = Bytes::from(encoder.finish().map_err(Error::internal)?);
    kept.insert(name, bytes.clone());
    Ok(bytes)
}
