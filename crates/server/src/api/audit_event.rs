//! The audit trail: its events, newest first, and the newest signed checkpoint of its ledger.

use axum::http::StatusCode;
use model::{Error, EventId, Outcome, Result, Timestamp};
use service::{AuditCursor, AuditQuery};
use wire::api::AuditEvent;
use wire::page::Position;
use wire::{Page, PageRequest};

use super::{admitted, here};
use crate::http::{Cx, Response, answer};

/// A place in the list as clients carry it: they are told that it means nothing to them.
fn write_cursor((time, id): AuditCursor) -> String {
    format!("{}-{}", time.micros(), id.uuid().simple())
}

fn read_cursor(text: &str) -> Option<AuditCursor> {
    let (time, id) = text.split_once('-')?;
    let hyphenated = format!(
        "{}-{}-{}-{}-{}",
        id.get(..8)?,
        id.get(8..12)?,
        id.get(12..16)?,
        id.get(16..20)?,
        id.get(20..32)?
    );
    let micros: i64 = time.bytes().all(|b| b.is_ascii_digit()).then(|| time.parse().ok())??;
    let id: EventId = hyphenated.parse().ok().filter(|_| id.len() == 32)?;
    Some((Timestamp::from_micros(micros), id))
}

fn query(cx: &Cx, request: &PageRequest) -> Result<AuditQuery> {
    let text = |name| cx.query.get(name);
    let time = |name| -> Result<Option<Timestamp>> {
        let parsed = text(name)?.map(str::parse).transpose();
        parsed.map_err(|error: model::clock::BadTimestamp| Error::invalid_field(name, error))
    };
    let action = text("action")?.map(str::parse).transpose();
    let outcome = text("outcome")?.map(str::parse::<Outcome>).transpose();
    let after =
        match &request.position {
            Position::Token(Some(token)) => Some(read_cursor(token).ok_or_else(|| {
                Error::invalid_field("page", "follow the address in the last answer's `next`")
            })?),
            _ => None,
        };
    Ok(AuditQuery {
        workspace: text("workspace")?.map(str::to_owned),
        actor: text("actor")?.map(str::to_owned),
        action: action.map_err(|error| Error::invalid_field("action", error))?,
        outcome: outcome.map_err(|()| Error::invalid_field("outcome", "use `done` or `refused`"))?,
        from: time("from")?,
        until: time("until")?,
        after,
    })
}

/// `GET /api/audit/events`
///
/// # Errors
/// When the caller may not read the trail, or a filter cannot be understood.
pub async fn list(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let request = PageRequest::walk(&cx.query)?;
    let query = query(&cx, &request)?;
    let (events, next) = service.audit_events(&cx.caller, query, i64::from(request.pagelen)).await?;
    let next = next.map(write_cursor);
    let values = events.into_iter().map(AuditEvent::from).collect();
    let page = Page::walk(values, &request, next.as_deref(), &here(&cx), &cx.query);
    answer::json(StatusCode::OK, &page)
}

/// `GET /api/audit/checkpoint`
///
/// # Errors
/// When the caller may not read the trail, or nothing was signed yet.
pub async fn checkpoint(cx: Cx) -> Result<Response> {
    let note = admitted(&cx)?.audit_checkpoint(&cx.caller).await?;
    Ok(answer::text(StatusCode::OK, note))
}

#[cfg(test)]
mod tests {
    use model::Random;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(micros in 0i64..253_402_207_200_000_000, seed: u64) {
            let cursor = (Timestamp::from_micros(micros), EventId::new(&Random::seeded(seed)));
            prop_assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = read_cursor(&text);
        }
    }
}
