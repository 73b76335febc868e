//! A step's log: its end on the run's page, what is added to it as server-sent events, and the whole as a file.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use model::{Error, Result};
use pages::log::LogReader;
use pages::measure::size;
use pages::pipeline_run::{LogView, sections};
use service::{Caller, LogName, PipelineView, RepositoryPath, StepView};
use tokio::time::Instant;

use super::pipeline_run::{base, step_name, step_of, verdict};
use super::repository_path;
use crate::app::App;
use crate::http::{Cx, Response, answer};

/// How much of a log's end a page holds, in bytes.
const SHOWN: u64 = 1024 * 1024;
/// How much of it is sent at once while it grows, in bytes.
const SENT: usize = 256 * 1024;
/// After so much silence the connection is shown to be alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is read from `from` on, without the line that began before: where the rest begins in the log, and the rest.
fn whole_lines(from: u64, mut bytes: Vec<u8>) -> (u64, Vec<u8>) {
    if from == 0 {
        return (0, bytes);
    }
    let begun = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.drain(..begun);
    (from.saturating_add(u64::try_from(begun).unwrap_or(0)), bytes)
}

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

/// What is told of the beginning that is left out.
fn left_out(start: u64, lines: u64) -> String {
    match lines {
        _ if start == 0 => String::new(),
        0 => format!("The first {} are left out here: see the whole log.", size(start)),
        1 => format!("Line 1, the first {}, is left out here: see the whole log.", size(start)),
        _ => format!("Lines 1 to {lines}, the first {}, are left out here: see the whole log.", size(start)),
    }
}

/// The end of a step's log, which a page shows. `here` is the run's page. Lines have the numbers that they have in the whole
/// log: so a link to one leads to the same line when the log has grown.
pub(super) async fn shown(
    cx: &Cx,
    path: &RepositoryPath,
    view: &PipelineView,
    (at, step): (usize, &StepView),
    here: &str,
) -> Result<LogView> {
    let service = cx.service()?;
    let number = (at + 1).to_string();
    let here = pages::address::with_query(here, "step", &number);
    let attempt = match cx.query.get("attempt")? {
        Some(text) => {
            let wanted = text.parse::<i64>().ok().filter(|wanted| (1..=step.row.attempt).contains(wanted));
            wanted.ok_or_else(|| Error::not_found("the attempt"))?
        }
        None => step.row.attempt,
    };
    let beside =
        cx.query.get("service")?.filter(|name| step.plan.services.iter().any(|one| one.name == *name));
    let address = format!("{}/{}/steps/{number}/log", base(&view.located), view.run.build_number);
    let of_this = |query: &str| {
        let address = format!("{address}?{query}&attempt={attempt}");
        match beside {
            Some(name) => pages::address::with_query(&address, "service", name),
            None => address,
        }
    };
    let log = LogName { attempt: Some(attempt), name: beside.unwrap_or("step").to_owned() };
    let ids = (view.run.id, step.row.id);
    let read = |offset: u64, limit: usize| service.step_log(&cx.caller, path, ids, &log, offset, limit);
    let (mut lines, mut cut_off, mut stream) = (Vec::new(), String::new(), String::new());
    match read(0, 0).await {
        Ok(first) => {
            let from = first.length.saturating_sub(SHOWN);
            let part = read(from, usize::try_from(SHOWN).unwrap_or(usize::MAX)).await?;
            let (start, bytes) = whole_lines(from, part.bytes);
            let before = match start {
                0 => 0,
                start => service.step_log_lines(&cx.caller, path, ids, &log, start).await?,
            };
            cut_off = left_out(start, before);
            // A line that has not ended is sent again, whole, when it has.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let kept = if first.grows { whole } else { bytes.len() };
            let mut reader = LogReader::at(before.saturating_add(1));
            lines = reader.push(bytes.get(..kept).unwrap_or_default());
            let next = reader.number();
            if first.grows {
                let after = start.saturating_add(u64::try_from(kept).unwrap_or(0));
                stream = of_this(&format!("after={after}&line={next}"));
            } else {
                lines.extend(reader.finish());
            }
        }
        // No runner has written anything yet, or the log was not kept.
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let attempts = match step.row.attempt {
        0 | 1 => Vec::new(),
        last => (1..=last)
            .map(|one| {
                let href = pages::address::with_query(&here, "attempt", &one.to_string());
                (format!("Attempt {one}"), href, one == attempt)
            })
            .collect(),
    };
    let mut services: Vec<(String, String, bool)> = step
        .plan
        .services
        .iter()
        .map(|one| {
            let href = pages::address::with_query(&here, "service", &one.name);
            (one.name.clone(), href, beside == Some(one.name.as_str()))
        })
        .collect();
    if !services.is_empty() {
        services.insert(0, ("Commands".to_owned(), here.clone(), beside.is_none()));
    }
    let shell = step.row.labels.iter().any(|label| label == "linux.shell");
    Ok(LogView {
        step: step_name(step),
        machine: if shell { "Shell".to_owned() } else { format!("Image {}", step.plan.image.name) },
        runner: step.runner.as_ref().map(|(_, name)| name.clone()).unwrap_or_default(),
        verdict: verdict(step),
        attempts,
        services,
        sections: sections(lines),
        left_out: cut_off,
        raw: of_this("raw=1"),
        stream,
    })
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
        None => {
            let after = number("after")?.unwrap_or(0);
            let line = match number("line")? {
                Some(line) => line,
                None => {
                    let (path, ids) = (repository_path(&cx)?, (view.run.id, step.row.id));
                    cx.service()?.step_log_lines(&cx.caller, &path, ids, &log, after).await?.saturating_add(1)
                }
            };
            (after, line)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: lines whose numbers begin anew where a page or a stream begins, so that a link leads to another line when
    /// the log has grown; and a line of which the page shows the end alone.
    #[test]
    fn a_line_has_the_number_that_it_has_in_the_whole_log() {
        let mut text = String::new();
        for number in 1..=200 {
            text.push_str(&format!("{number}{}\r{number}\n", "\rx".repeat(number % 3)));
        }
        let text = text.into_bytes();
        for from in 0..text.len() {
            let (start, bytes) = whole_lines(u64::try_from(from).unwrap(), text[from..].to_vec());
            let start = usize::try_from(start).unwrap();
            assert_eq!(bytes, text[start..], "{from}");
            let before = text[..start].iter().filter(|byte| **byte == b'\n').count();
            let mut reader = LogReader::at(u64::try_from(before).unwrap() + 1);
            for line in reader.push(&bytes) {
                assert_eq!(line.spans[0].text, line.number.to_string(), "{from}");
            }
            assert_eq!(reader.number(), 201, "{from}");
        }
    }

    /// Would catch: a log of one endless line that is shown as nothing.
    #[test]
    fn an_endless_line_is_shown_from_where_it_is_read() {
        assert_eq!(whole_lines(10, b"no end".to_vec()), (10, b"no end".to_vec()));
        assert_eq!(whole_lines(0, b"a\nb".to_vec()), (0, b"a\nb".to_vec()));
        assert_eq!(whole_lines(10, b"a\nb".to_vec()), (12, b"b".to_vec()));
        assert_eq!(left_out(0, 0), "");
        assert!(
            left_out(2_048, 0).starts_with("The first 2") && left_out(2_048, 7).starts_with("Lines 1 to 7, ")
        );
    }
}
