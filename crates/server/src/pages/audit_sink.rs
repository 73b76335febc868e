//! Receivers of the audit trail: listed with how each stands, added and removed.

use axum::http::StatusCode;
use model::{Action, AuditSinkKind, AuditSinkState, Error, Result, Timestamp};
use pages::audit_sink::{AddedAuditSinkPage, AuditSinksPage, SinkRow, Trouble};
use pages::form::{Field, Kind};
use pages::measure::{Moment, count, grouped};
use pages::principal::Known;
use service::{AuditSinkView, NewAuditSink};
use wire::Parameters;

use super::access_token::{error_of, wrong_parts};
use super::audit_trail::{AuditTrail, Part};
use super::error::sentence;
use super::{form, now, page, see_other};
use crate::http::{Cx, Response};

const KINDS: [(&str, &str); 2] = [("webhook", "Webhook"), ("syslog", "Syslog over TLS")];
/// From where on a receiver is told: the word that is sent, and what readers see.
const SINCE: [(&str, &str); 2] =
    [("now", "What happens from now on"), (BEGINNING, "All of it, from the beginning")];
const BEGINNING: &str = "beginning";

/// What was typed to add a receiver, and what is wrong with it.
#[derive(Default)]
struct Typed {
    kind: String,
    address: String,
    since: String,
    wrong: Option<Error>,
}

fn kind_words(kind: AuditSinkKind) -> &'static str {
    KINDS.into_iter().find(|(word, _)| *word == kind.as_str()).map_or(kind.as_str(), |(_, words)| words)
}

fn trouble(state: &AuditSinkState, now: Timestamp) -> Option<Trouble> {
    Some(Trouble {
        why: sentence(state.last_error.as_deref()?),
        on: Moment::of(state.failed_on?, now),
        times: u64::try_from(state.failures).unwrap_or(0),
        // What comes at once has no time that helps anybody.
        retry: state.retry_on.filter(|on| *on >= now.plus_seconds(10)).map(|on| Moment::of(on, now)),
    })
}

fn row(cx: &Cx, list: &str, view: &AuditSinkView, now: Timestamp) -> SinkRow {
    let (sink, state) = (&view.sink, &view.state);
    let remove = format!("{list}/{}", sink.id.uuid());
    SinkRow {
        kind: kind_words(sink.kind),
        address: sink.address.clone(),
        next: grouped(state.next),
        behind: view.behind,
        waiting: count(view.behind, "place waits", "places wait"),
        received: state.succeeded_on.map(|on| Moment::of(on, now)),
        trouble: trouble(state, now),
        creator: Known::principal(&sink.created_by),
        created: Moment::of(sink.created_on, now),
        remove_token: form::token(cx, &remove),
        remove,
    }
}

fn fields(typed: &Typed) -> (Vec<Field>, String) {
    let (wrong, error) = wrong_parts(typed.wrong.as_ref());
    let fields = vec![
        Field::line("kind", "Kind")
            .kind(Kind::choice(&KINDS))
            .value(&typed.kind)
            .error(error_of(&wrong, "kind")),
        Field::line("address", "Address")
            .hint("Of a webhook: https://logs.example.com/bastide. Of syslog: logs.example.com:6514.")
            .value(&typed.address)
            .error(error_of(&wrong, "address")),
        Field::line("since", "What it is told").kind(Kind::choice(&SINCE)).value(&typed.since),
    ];
    (fields, error)
}

async fn shown(cx: &Cx, trail: &AuditTrail, typed: Typed) -> Result<Response> {
    let found = cx.service()?.audit_sinks(&cx.caller, trail.workspace()).await?;
    let (now, action) = (now(cx), trail.address(Part::Receivers));
    let frame = trail.frame(cx, "Audit receivers", Part::Receivers).await;
    let status = if typed.wrong.is_none() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (fields, error) = fields(&typed);
    let shown = AuditSinksPage {
        told: trail.whose(),
        error,
        sinks: found.iter().map(|view| row(cx, &action, view, now)).collect(),
        may_change: trail.may(cx, Action::AuditSinkUpdate).await,
        fields,
        form_token: form::token(cx, &action),
        action,
        log: trail.way(&frame, Part::Log),
        alerts: trail.way(&frame, Part::Alerts),
        frame,
    };
    page(status, &shown)
}

/// `GET /{workspace}/workspace/settings/audit/receivers` and `GET /-/audit/receivers`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    let trail = AuditTrail::of(&cx).await?;
    shown(&cx, &trail, Typed::default()).await
}

/// `POST` to the same: adds one. For a webhook, its page is the one answer that holds the key.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let trail = AuditTrail::of(&cx).await?;
    let text = |name: &str| form.get(name).map(|value| value.unwrap_or_default().trim().to_owned());
    let typed = Typed { kind: text("kind")?, address: text("address")?, since: text("since")?, wrong: None };
    let added = match typed.kind.parse() {
        Ok(kind) => {
            let from_beginning = typed.since == BEGINNING;
            let new = NewAuditSink { kind, address: typed.address.clone(), from_beginning };
            cx.service()?.add_audit_sink(&cx.caller, trail.workspace(), new).await
        }
        Err(error) => Err(Error::invalid_field("kind", error)),
    };
    let list = trail.address(Part::Receivers);
    match added {
        Ok(added) => match added.secret {
            Some(secret) => {
                let shown = AddedAuditSinkPage {
                    frame: trail.frame(&cx, "Webhook added", Part::Receivers).await,
                    address: added.view.sink.address,
                    secret: secret.secret().expose().to_owned(),
                    list,
                };
                page(StatusCode::CREATED, &shown)
            }
            None => see_other(&list),
        },
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            shown(&cx, &trail, Typed { wrong: Some(error), ..typed }).await
        }
        Err(error) => Err(error),
    }
}

/// `POST …/receivers/{uuid}`: removes one.
///
/// # Errors
/// When the caller may not, or there is no such receiver.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let trail = AuditTrail::of(&cx).await?;
    let id = cx.param("uuid").parse().map_err(|_| Error::not_found("the receiver"))?;
    cx.service()?.remove_audit_sink(&cx.caller, trail.workspace(), id).await?;
    see_other(&trail.address(Part::Receivers))
}
