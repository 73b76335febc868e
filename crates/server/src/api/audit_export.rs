//! Exports of the audit trail, streamed: CSV and OCSF for other programs, and lines of JSON that can be verified without
//! the database.

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use model::{AuditEvent, Error, Result};
use service::{AuditWalk, LedgerWalk};
use wire::audit_export::{CSV_HEADER, csv, ocsf};

use super::admitted;
use super::audit_event::{query, trail};
use crate::http::{Cx, Response, answer};

/// `GET /api/audit/export` and `GET /api/workspaces/{workspace}/audit/export`
///
/// # Errors
/// When the caller may not read the trail, or a filter or the format cannot be understood.
pub async fn export(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let (trail, query) = (trail(&cx), query(&cx)?);
    match cx.query.get("format")?.unwrap_or("jsonl") {
        "jsonl" => {
            let sizes = cx.query.all("at").map(str::parse).collect::<Result<Vec<u64>, _>>();
            let sizes = sizes.map_err(|_| Error::invalid_field("at", "use the sizes of checkpoints"))?;
            let walk = service.ledger_export(&cx.caller, trail, query, sizes).await?;
            Ok(attached("jsonl", "application/jsonl", ledger_lines(walk)))
        }
        "csv" => {
            let walk = service.audit_export(&cx.caller, trail, query, "csv").await?;
            let head = stream::iter([Ok(Bytes::from_static(CSV_HEADER.as_bytes()))]);
            Ok(attached("csv", "text/csv; charset=utf-8", head.chain(events(walk, csv))))
        }
        "ocsf" => {
            let walk = service.audit_export(&cx.caller, trail, query, "ocsf").await?;
            let line = |event: &AuditEvent| format!("{}\n", ocsf(event));
            Ok(attached("ocsf.jsonl", "application/jsonl", events(walk, line)))
        }
        other => {
            Err(Error::invalid_field("format", format!("`{other}` is none: use `jsonl`, `csv` or `ocsf`")))
        }
    }
}

/// An answer that browsers save rather than show.
fn attached(
    ending: &'static str,
    media_type: &'static str,
    body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let name = format!("attachment; filename=\"audit.{ending}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// A failure in mid-stream breaks the connection off, so that nobody takes a part for the whole.
fn failed(error: &Error) -> io::Error {
    tracing::error!("an export of the audit trail broke off: {error:?}");
    io::Error::other("the export broke off")
}

fn events(
    walk: AuditWalk,
    written: impl Fn(&AuditEvent) -> String + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let pieces = stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        match walk.piece().await {
            Ok(events) if events.is_empty() => None,
            Ok(events) => Some((Ok(events), Some(walk))),
            Err(error) => Some((Err(failed(&error)), None)),
        }
    });
    pieces.map(move |piece| piece.map(|events| Bytes::from(events.iter().map(&written).collect::<String>())))
}

fn ledger_lines(walk: LedgerWalk) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        match walk.piece().await {
            Ok(lines) if lines.is_empty() => None,
            Ok(lines) => {
                let text: String = lines.iter().map(|line| format!("{}\n", line.written())).collect();
                Some((Ok(Bytes::from(text)), Some(walk)))
            }
            Err(error) => Some((Err(failed(&error)), None)),
        }
    })
}
