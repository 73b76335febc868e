//! The audit trail: its events, newest first, and the newest signed checkpoint of its ledger.

use axum::http::StatusCode;
use model::{Action, Error, EventId, Outcome, Result, Timestamp};
use service::{AuditCursor, AuditQuery, Trail};
use wire::api::AuditEvent;
use wire::page::Position;
use wire::{Page, PageRequest, Parameters};

use super::{admitted, here};
use crate::http::{Cx, Network, Response, answer};
use crate::route::Anchor;

/// A place in the list as clients carry it: they are told that it means nothing to them.
pub(crate) fn write_cursor((time, id): AuditCursor) -> String {
    format!("{}-{}", time.micros(), id.uuid().simple())
}

pub(crate) fn read_cursor(text: &str) -> Option<AuditCursor> {
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

/// The trail that the row is about.
pub(crate) fn trail(cx: &Cx) -> Trail<'_> {
    match cx.route.on {
        Anchor::Workspace => Trail::Workspace(cx.param("workspace")),
        _ => Trail::Instance,
    }
}

/// An action by its name, or all whose names begin so: `repository.`.
fn actions(text: &str) -> Result<Vec<Action>> {
    let bad = || {
        Error::invalid_field(
            "action",
            format!(
                "`{text}` is no action and no beginning of one: write `repository.push`, or `repository.` for all of \
                 a repository's; docs/access-matrix.txt has the list"
            ),
        )
    };
    let found: Vec<Action> = match text.ends_with('.') {
        true => Action::ALL.iter().copied().filter(|action| action.as_str().starts_with(text)).collect(),
        false => text.parse().into_iter().collect(),
    };
    if found.is_empty() { Err(bad()) } else { Ok(found) }
}

/// The filters of a request: the same wherever events are asked for.
pub(super) fn query(cx: &Cx) -> Result<AuditQuery> {
    filters(&cx.query)
}

/// The filters that parameters hold.
pub(crate) fn filters(parameters: &Parameters) -> Result<AuditQuery> {
    let text = |name| parameters.get(name);
    let owned = |name| -> Result<Option<String>> { Ok(text(name)?.map(str::to_owned)) };
    let time = |name| -> Result<Option<Timestamp>> {
        let parsed = text(name)?.map(str::parse).transpose();
        parsed.map_err(|error: model::clock::BadTimestamp| Error::invalid_field(name, error))
    };
    let outcome = text("outcome")?.map(str::parse::<Outcome>).transpose();
    let addresses = text("address")?.map(str::parse::<Network>).transpose();
    let request = text("request_id")?.map(str::parse).transpose();
    Ok(AuditQuery {
        workspace: owned("workspace")?,
        actor: owned("actor")?,
        credential: owned("credential")?,
        actions: text("action")?.map(actions).transpose()?.unwrap_or_default(),
        resource: owned("resource")?,
        addresses: addresses.map_err(|error| Error::invalid_field("address", error))?.map(Network::ends),
        outcome: outcome
            .map_err(|()| Error::invalid_field("outcome", "use `done`, `refused` or `reported`"))?,
        request: request.map_err(|error: model::id::BadId| Error::invalid_field("request_id", error))?,
        from: time("from")?,
        until: time("until")?,
    })
}

/// `GET /api/audit/events` and `GET /api/workspaces/{workspace}/audit/events`
///
/// # Errors
/// When the caller may not read the trail, or a filter cannot be understood.
pub async fn list(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let request = PageRequest::walk(&cx.query)?;
    let after =
        match &request.position {
            Position::Token(Some(token)) => Some(read_cursor(token).ok_or_else(|| {
                Error::invalid_field("page", "follow the address in the last answer's `next`")
            })?),
            _ => None,
        };
    let limit = i64::from(request.pagelen);
    let (events, next) = service.audit_events(&cx.caller, trail(&cx), query(&cx)?, after, limit).await?;
    let next = next.map(write_cursor);
    let values = events.into_iter().map(AuditEvent::from).collect();
    let page = Page::walk(values, &request, next.as_deref(), &here(&cx), &cx.query);
    answer::json(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use model::Random;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_action_is_named_whole_or_by_its_beginning() {
        assert_eq!(actions("repository.push").unwrap(), [Action::RepositoryPush]);
        let of_refs = actions("ref.").unwrap();
        assert_eq!(of_refs, [Action::RefCreate, Action::RefDelete]);
        for bad in ["", ".", "repository", "repository.p", "nothing."] {
            assert!(actions(bad).is_err(), "{bad}");
        }
    }

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
