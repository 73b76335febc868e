//! Why something was refused, by the id of its request.

use axum::http::StatusCode;
use model::{Error, RequestId, Result};
use pages::audit_refusal::{FindRefusalPage, RefusalPage, RefusalShown};
use pages::form::Field;
use pages::measure::Moment;
use pages::principal::Known;
use service::Refusal;

use super::error::sentence;
use super::{Around, now, page, see_other};
use crate::http::{Cx, Response};

/// `GET /-/refusals`: asks for the request's id, or leads to its page.
///
/// # Errors
/// When nobody is signed in.
pub async fn find(cx: Cx) -> Result<Response> {
    cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let typed = cx.query.get("request_id")?.unwrap_or_default().trim();
    if let Ok(request) = typed.parse::<RequestId>() {
        return see_other(&format!("/-/refusals/{request}"));
    }
    let error = match typed {
        "" => "",
        _ => "this is no request id: copy it whole, with its dashes",
    };
    let shown = FindRefusalPage {
        frame: Around::of(&cx).frame().titled("Why was this refused?"),
        field: Field::line("request_id", "Request id").value(typed).error(error),
    };
    page(if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &shown)
}

/// `GET /-/refusals/{request_id}`
///
/// # Errors
/// When there is no refusal of this request that the caller may know of.
pub async fn get(cx: Cx) -> Result<Response> {
    cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let missing = || Error::not_found("a refusal of this request that you may know of");
    let request: RequestId = cx.param("request_id").parse().map_err(|_| missing())?;
    let found = match cx.service()?.refusals(&cx.caller, request).await {
        Err(Error::NotFound { .. }) => return Err(missing()),
        other => other?,
    };
    let now = now(&cx);
    let shown = RefusalPage {
        frame: Around::of(&cx).frame().titled("Why this was refused"),
        request_id: request.to_string(),
        refusals: found.into_iter().map(|refusal| shown(refusal, now)).collect(),
    };
    page(StatusCode::OK, &shown)
}

fn shown(refusal: Refusal, now: model::Timestamp) -> RefusalShown {
    let event = refusal.event;
    RefusalShown {
        actor: Known::principal(&event.actor),
        credential: Known::credential(event.credential.as_deref()),
        address: event.address.unwrap_or_default(),
        time: Moment::of(event.time, now),
        action: event.action,
        resource: event.resource,
        reasons: refusal.reasons.into_iter().map(|reason| (reason.policy, reason.text)).collect(),
        remedies: refusal.remedies.iter().map(|remedy| sentence(remedy)).collect(),
        changed_by: refusal.changed_by.iter().map(|label| Known::principal(label)).collect(),
        whole: refusal.whole,
    }
}
