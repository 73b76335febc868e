//! The ledger served as static resources: C2SP tlog-checkpoint and tlog-tiles, below `/tlog`. Any client of a
//! transparency log can read it.

use axum::http::{HeaderValue, StatusCode, header};
use model::Result;

use crate::http::{Cx, Response, answer};

/// What was once answered of a tile stays so for ever.
const FOR_EVER: (&str, &str) =
    ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable");
/// A checkpoint is replaced by the next.
const FOR_NOW: (&str, &str) = ("public, no-cache", "private, no-cache");

fn kept(
    mut response: Response,
    cx: &Cx,
    (public, private): (&'static str, &'static str),
) -> Result<Response> {
    let value = if cx.service()?.ledger_is_public() { public } else { private };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    Ok(response)
}

/// `GET /tlog/checkpoint` and `GET /api/audit/checkpoint`
///
/// # Errors
/// When the caller may not read the ledger, or nothing was signed yet.
pub async fn checkpoint(cx: Cx) -> Result<Response> {
    let note = cx.service()?.ledger_checkpoint(&cx.caller).await?;
    kept(answer::text(StatusCode::OK, note), &cx, FOR_NOW)
}

/// `GET /tlog/key`: the public key that checkpoints are verified with.
///
/// # Errors
/// When the caller may not read the ledger.
pub async fn key(cx: Cx) -> Result<Response> {
    let key = cx.service()?.ledger_key(&cx.caller)?;
    kept(answer::text(StatusCode::OK, format!("{key}\n")), &cx, FOR_NOW)
}

/// `GET /tlog/tile/{*tile}`
///
/// # Errors
/// When the caller may not read the ledger, or the signed tree has no such tile.
pub async fn tile(cx: Cx) -> Result<Response> {
    let (bytes, _) = cx.service()?.ledger_tile(&cx.caller, &format!("tile/{}", cx.param("tile"))).await?;
    let mut response = answer::text(StatusCode::OK, bytes);
    let binary = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, binary);
    kept(response, &cx, FOR_EVER)
}
