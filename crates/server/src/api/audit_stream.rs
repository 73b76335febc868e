//! The audit trail as it grows, as server-sent events. A client that was cut off goes on by `Last-Event-ID`, which is
//! a place in the ledger.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use model::{Error, Result};
use service::AuditStream;
use tokio::time::Instant;
use wire::api::AuditEvent;

use super::admitted;
use super::audit_event::{query, trail};
use crate::app::App;
use crate::http::{Cx, Response, answer};

/// After so much silence the connection is shown to be alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What the client is told at first: after how many milliseconds to come back when it is cut off.
const HELLO: &str = "retry: 3000\n\n";

/// A reader, and since when nothing was said.
struct Reading {
    app: App,
    stream: AuditStream,
    spoke: Instant,
    end: Option<Instant>,
    over: bool,
}

/// `GET /api/audit/events/stream` and `GET /api/workspaces/{workspace}/audit/events/stream`. `seconds` ends it after a
/// while; without, it ends when the client goes, the credential is revoked, or the server stops.
///
/// # Errors
/// When the caller may not read the trail, a filter cannot be understood, or too many read along already.
pub async fn stream(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let after = last_event(&cx)?;
    let end = match cx.query.get("seconds")? {
        Some(text) => {
            let seconds: u32 =
                text.parse().map_err(|_| Error::invalid_field("seconds", "use a whole number"))?;
            Instant::now().checked_add(Duration::from_secs(seconds.into()))
        }
        None => None,
    };
    let stream = service.audit_stream(&cx.caller, trail(&cx), query(&cx)?, after).await?;
    let reading = Reading { app: cx.app.clone(), stream, spoke: Instant::now(), end, over: false };
    let hello = stream::iter([Ok::<_, io::Error>(Bytes::from_static(HELLO.as_bytes()))]);
    let events = stream::unfold(reading, |mut reading| async move {
        let said = reading.next().await?;
        Some((Ok(Bytes::from(said)), reading))
    });
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(futures_util::StreamExt::chain(hello, events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that gathers the answer before it passes it on would make it useless.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The place behind which the client goes on: its browser's header, or `after`.
fn last_event(cx: &Cx) -> Result<Option<u64>> {
    let header = match cx.headers.get("last-event-id") {
        Some(value) => Some(value.to_str().map_err(|_| Error::invalid("`Last-Event-ID` is not text"))?),
        None => None,
    };
    let Some(text) = header.filter(|text| !text.is_empty()).or(cx.query.get("after")?) else {
        return Ok(None);
    };
    let place = text.parse().map_err(|_| {
        Error::invalid_field("after", format!("`{text}` is no place in the ledger: use the `id` of an event"))
    });
    place.map(Some)
}

impl Reading {
    /// What is said next; none at the end.
    async fn next(&mut self) -> Option<String> {
        while !self.over && !self.app.is_stopping() {
            let step = self.stream.step().await;
            self.over = self.end.is_some_and(|end| Instant::now() >= end);
            match step {
                Ok(Some(events)) if !events.is_empty() => {
                    self.spoke = Instant::now();
                    let events = events.into_iter().map(|(place, event)| (place, AuditEvent::from(event)));
                    return Some(events.map(|(place, event)| written(place, &event)).collect());
                }
                Ok(Some(_)) if self.spoke.elapsed() < HEARTBEAT => {}
                Ok(Some(_)) => {
                    self.spoke = Instant::now();
                    // The place alone is kept by the client, without an event.
                    return Some(match self.stream.position() {
                        Some(place) => format!(": nothing new\nid: {place}\n\n"),
                        None => ": nothing new\n\n".to_owned(),
                    });
                }
                Ok(None) => {
                    self.over = true;
                    return Some(": this credential may not read on\n\n".to_owned());
                }
                Err(error) => {
                    tracing::error!("a stream of audit events broke off: {error:?}");
                    return None;
                }
            }
        }
        None
    }
}

/// JSON has no line breaks of its own, so one line of data holds it.
fn written(place: u64, event: &AuditEvent) -> String {
    let mut text = String::new();
    let data = serde_json::to_string(event).unwrap_or_default();
    let _ = write!(text, "id: {place}\nevent: audit\ndata: {data}\n\n");
    text
}
