//! The audit log: searched by a form whose address can be shared, followed as it happens, exported; and the events of
//! one request with all they hold.

use axum::http::StatusCode;
use model::{Action, AuditEvent, Error, FieldErrors, Outcome, Result, Timestamp};
use pages::audit_event::{AuditEventsPage, AuditRequestPage, EventRow, WholeEvent, state};
use pages::form::{Field, Kind};
use pages::measure::Moment;
use pages::principal::Known;
use serde_json::Value;
use service::AuditQuery;
use wire::Parameters;

use super::audit_trail::{AuditTrail, Part};
use super::error::sentence;
use super::{now, page};
use crate::api::audit_event::{filters, read_cursor, trail, write_cursor};
use crate::http::{Cx, Response};

/// How many events a page shows.
const EVENTS: i64 = 50;
/// The most events of one request that are shown.
const OF_REQUEST: i64 = 100;
/// The parameter that tells where the page begins.
const AFTER: &str = "after";

/// The filters of the form: name and label.
const FILTERS: [(&str, &str); 9] = [
    ("actor", "Who"),
    ("credential", "Credential"),
    ("action", "Action"),
    ("resource", "On"),
    ("outcome", "Outcome"),
    ("address", "Address or range"),
    ("from", "From (UTC)"),
    ("until", "Until (UTC)"),
    ("request_id", "Request id"),
];

/// What was typed, as the interface's filters are written: people write `ann` and `acme/one`, and times without a zone.
fn written(name: &str, typed: &str) -> String {
    let has_kind = typed.contains(':');
    match name {
        "actor" if !has_kind && typed != "operator" => format!("user:{typed}"),
        "resource" if !has_kind && typed.contains('/') => format!("repository:{typed}"),
        "resource" if !has_kind => format!("workspace:{typed}"),
        // Without a zone, UTC is meant, whose name the interface wants.
        "from" | "until" => match typed.len() {
            10 => format!("{typed}T00:00:00Z"),
            16 => format!("{typed}:00Z"),
            19 => format!("{typed}Z"),
            _ => typed.to_owned(),
        },
        _ => typed.to_owned(),
    }
}

/// The filters that were typed, in the form's words and in the interface's.
fn typed(cx: &Cx) -> Result<(Parameters, Parameters)> {
    let (mut typed, mut asked) = (Parameters::default(), Parameters::default());
    for (name, _) in FILTERS {
        let Some(text) = cx.query.get(name)?.map(str::trim).filter(|text| !text.is_empty()) else { continue };
        typed = typed.with(name, text);
        asked = asked.with(name, &written(name, text));
    }
    Ok((typed, asked))
}

fn fields(typed: &Parameters, wrong: &FieldErrors) -> Result<Vec<Field>> {
    let outcomes = [("", "Any"), ("done", "Done"), ("refused", "Refused"), ("reported", "Reported")];
    let mut fields = Vec::new();
    for (name, label) in FILTERS {
        let error = wrong.get(name).map(|texts| texts.join("; ")).unwrap_or_default();
        let value = typed.get(name)?.unwrap_or_default();
        let field = Field::line(name, label).value(value).error(error);
        let mut field = match name {
            "outcome" => field.kind(Kind::choice(&outcomes)),
            "from" | "until" => field.kind(Kind::Line("datetime-local")),
            "action" => field.suggestions("actions"),
            _ => field,
        };
        // Every filter may stay empty: saying so of each says nothing.
        field.required = false;
        field.unmarked = true;
        fields.push(field);
    }
    Ok(fields)
}

fn with_filters(address: &str, parameters: &Parameters) -> String {
    let all = parameters.iter();
    all.fold(address.to_owned(), |address, (name, value)| pages::address::with_query(&address, name, value))
}

fn row(event: &AuditEvent, requests: &str, now: Timestamp) -> EventRow {
    EventRow {
        href: format!("{requests}{}", event.request_id),
        time: Moment::of(event.time, now),
        actor: Known::principal(&event.actor),
        action: event.action.clone(),
        resource: event.resource.clone(),
        outcome: event.outcome.as_str(),
        address: event.address.clone().unwrap_or_default(),
    }
}

/// `GET /{workspace}/workspace/settings/audit` and `GET /-/audit`
///
/// # Errors
/// When the caller may not read the trail. What is wrong with the search is told beside it.
pub async fn list(cx: Cx) -> Result<Response> {
    let service = cx.service()?;
    let place = AuditTrail::of(&cx).await?;
    let (address, frame) = (place.address(Part::Log), place.frame(&cx, "Audit log", Part::Log).await);
    let (typed, asked) = typed(&cx)?;
    let after = match cx.query.get(AFTER)?.filter(|text| !text.is_empty()) {
        Some(text) => Some(read_cursor(text).ok_or_else(|| {
            Error::invalid_field(AFTER, "follow the link to older events: it knows where they begin")
        })?),
        None => None,
    };
    let mut wrong = FieldErrors::new();
    let mut error = String::new();
    let query = match filters(&asked) {
        Ok(query) => Some(query),
        Err(Error::Invalid { fields, message }) => {
            error = if fields.is_empty() { sentence(&message) } else { String::new() };
            wrong = fields;
            None
        }
        Err(other) => return Err(other),
    };
    let found = match query {
        Some(query) => Some(service.audit_events(&cx.caller, trail(&cx), query, after, EVENTS).await?),
        // Who may not read it is told so, and not what is wrong with their search.
        None => {
            let none = AuditQuery::default();
            service.audit_events(&cx.caller, trail(&cx), none, None, 1).await.map(|_| None)?
        }
    };
    let (events, next) = found.unwrap_or_default();
    let (now, requests) = (now(&cx), format!("{address}/requests/"));
    let here = with_filters(&address, &typed);
    let export = |format| {
        pages::address::with_query(&with_filters(&format!("{address}/export"), &asked), "format", format)
    };
    let status = if wrong.is_empty() && error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let shown = AuditEventsPage {
        of: place.whose(),
        alerts: place.way(&frame, Part::Alerts),
        receivers: place.way(&frame, Part::Receivers),
        frame,
        fields: fields(&typed, &wrong)?,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        filtered: typed.iter().next().is_some(),
        error,
        events: events.iter().map(|event| row(event, &requests, now)).collect(),
        older: next.map(|cursor| pages::address::with_query(&here, AFTER, &write_cursor(cursor))),
        newest: after.map(|_| here.clone()),
        stream: with_filters(&format!("{address}/stream"), &asked),
        requests,
        exports: vec![
            ("JSON lines, which can be verified", export("jsonl")),
            ("CSV", export("csv")),
            ("OCSF", export("ocsf")),
        ],
        address,
    };
    page(status, &shown)
}

fn pretty(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => state(serde_json::to_string_pretty(value).unwrap_or_default()),
    }
}

fn whole(event: AuditEvent, now: Timestamp) -> WholeEvent {
    WholeEvent {
        id: event.id.to_string(),
        time: Moment::of(event.time, now),
        actor: event.actor,
        actor_id: event.actor_id.unwrap_or_default(),
        credential: event.credential.unwrap_or_default(),
        address: event.address.unwrap_or_default(),
        action: event.action,
        resource: event.resource,
        resource_id: event.resource_id,
        workspace_id: event.workspace_id.unwrap_or_default(),
        outcome: event.outcome.as_str(),
        reasons: event.reasons,
        before: pretty(&event.before),
        after: pretty(&event.after),
    }
}

/// `GET …/audit/requests/{request_id}`
///
/// # Errors
/// When the caller may not read the trail, or it holds nothing of this request.
pub async fn of_request(cx: Cx) -> Result<Response> {
    let place = AuditTrail::of(&cx).await?;
    let (list, frame) = (place.address(Part::Log), place.frame(&cx, "Request", Part::Log).await);
    let missing = || Error::not_found("a request of this id");
    let request = cx.param("request_id").parse().map_err(|_| missing())?;
    let query = AuditQuery { request: Some(request), ..AuditQuery::default() };
    let (events, _) = cx.service()?.audit_events(&cx.caller, trail(&cx), query, None, OF_REQUEST).await?;
    if events.is_empty() {
        return Err(missing());
    }
    let refused = events.iter().any(|event| event.outcome == Outcome::Refused);
    let now = now(&cx);
    let shown = AuditRequestPage {
        frame,
        request_id: request.to_string(),
        refusal: refused.then(|| format!("/-/refusals/{request}")),
        events: events.into_iter().map(|event| whole(event, now)).collect(),
        list,
    };
    page(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_what_the_trail_holds() {
        assert_eq!(written("actor", "ann"), "user:ann");
        assert_eq!(written("actor", "operator"), "operator");
        assert_eq!(written("resource", "acme/one"), "repository:acme/one");
        assert_eq!(written("resource", "project:{1}"), "project:{1}");
        for (typed, read) in
            [("2030-01-31", true), ("2030-01-31T10:00", true), ("2030-01-31T10:00:30", true), ("x", false)]
        {
            assert_eq!(written("from", typed).parse::<Timestamp>().is_ok(), read, "{typed}");
        }
    }
}
