//! A step's log as it grows, as server-sent events for its page, and as a file.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use model::{Error, Result};
use pages::log::LogReader;
use service::{Caller, LogName, PipelineView, RepositoryPath, StepView};
use tokio::time::Instant;

use super::pipeline_run::step_of;
use super::repository_path;
use crate::app::App;
use crate::http::{Cx, Response, answer};

/// How much of it is sent at once while it grows, in bytes.
const SENT: usize = 256 * 1024;
/// After so much silence the connection is shown to be alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A log that is followed.
struct Following {
    app: App,
    caller: Caller,
    path: RepositoryPath,
    view: PipelineView,
    step: StepView,
    log: LogName,
    at: u64,
    reader: LogReader,
    spoke: Instant,
    over: bool,
}

/// `GET …/pipelines/{number}/steps/{step}/log?after=&line=&attempt=&service=`: what is added to a log, as server-sent
/// events; `raw=1` for the whole as a file.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn follow(cx: Cx) -> Result<Response> {
    let (view, step) = step_of(&cx).await?;
    let number = |name: &str| {
        let text = cx.query.get(name)?;
        let odd = |_| Error::invalid_field(name, "use a whole number");
        text.map(|text| text.parse::<u64>().map_err(odd)).transpose()
    };
    let attempt = number("attempt")?.and_then(|attempt| i64::try_from(attempt).ok());
    let name = cx.query.get("service")?.unwrap_or("step").to_owned();
    let log = LogName { attempt, name };
    if cx.query.get("raw")?.is_some() {
        return crate::rest::pipeline_run::raw_log(
            &cx,
            &repository_path(&cx)?,
            view.run.id,
            step.row.id,
            log,
        )
        .await;
    }
    let resumed = cx.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let (at, line) = match resumed.and_then(|id| id.split_once(':')) {
        Some((at, line)) => (at.parse().unwrap_or(0), line.parse().unwrap_or(1)),
        None => (number("after")?.unwrap_or(0), number("line")?.unwrap_or(1)),
    };
    let following = Following {
        app: cx.app.clone(),
        caller: cx.caller.clone(),
        path: repository_path(&cx)?,
        view,
        step,
        log,
        at,
        reader: LogReader::at(line),
        spoke: Instant::now(),
        over: false,
    };
    let events = futures_util::stream::unfold(following, |mut following| async move {
        let said = following.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(said)), following))
    });
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(events);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Following {
    /// What is said next; none at the end.
    async fn next(&mut self) -> Option<String> {
        while !self.over && !self.app.is_stopping() {
            let service = self.app.service().ok()?.clone();
            let (run, step) = (self.view.run.id, self.step.row.id);
            // Asked anew each time: who may see the log no more is told no more.
            let part =
                service.step_log(&self.caller, &self.path, (run, step), &self.log, self.at, SENT).await;
            let Ok(part) = part else { return None };
            if !part.bytes.is_empty() {
                self.at += u64::try_from(part.bytes.len()).unwrap_or(0);
                let lines = self.reader.push(&part.bytes);
                if !lines.is_empty() {
                    self.spoke = Instant::now();
                    return self.event(&lines);
                }
            } else if !part.grows {
                self.over = true;
                let last = std::mem::take(&mut self.reader).finish();
                let mut said = last.and_then(|line| self.event(&[line])).unwrap_or_default();
                said.push_str("event: end\ndata: {}\n\n");
                return Some(said);
            } else if self.spoke.elapsed() > HEARTBEAT {
                self.spoke = Instant::now();
                return Some(": alive\n\n".to_owned());
            } else {
                service.progress().await;
            }
        }
        None
    }

    fn event(&self, lines: &[pages::log::LogLine]) -> Option<String> {
        let data = serde_json::to_string(lines).ok()?;
        let mut said = String::with_capacity(data.len() + 64);
        write!(said, "id: {}:{}\nevent: lines\ndata: {data}\n\n", self.at, self.reader.number()).ok()?;
        Some(said)
    }
}
