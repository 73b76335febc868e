//! "May this be done, and why?" and "who may do this?".

use axum::http::StatusCode;
use model::{Action, Error, Result};
use service::Listing;
use wire::PageRequest;
use wire::api::access::Decision;
use wire::api::{Explanation, Reason, WhoCan};

use super::{admitted, page, window};
use crate::http::{Cx, Response, answer};

fn asked<'a>(cx: &'a Cx, name: &str) -> Result<&'a str> {
    cx.query.get(name)?.ok_or_else(|| Error::invalid_field(name, "this parameter is required"))
}

fn action(cx: &Cx) -> Result<Action> {
    asked(cx, "action")?.parse().map_err(|error| Error::invalid_field("action", error))
}

/// `GET /api/access/explain?principal=&action=&resource=`
///
/// # Errors
/// When the caller may not ask about the resource, or the question names what does not exist.
pub async fn explain(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let (principal, action, resource) = (asked(&cx, "principal")?, action(&cx)?, asked(&cx, "resource")?);
    let found = service.explain(&cx.caller, principal, action, resource).await?;
    let reasons = found.decision.reasons.into_iter();
    let shape = Explanation {
        decision: if found.decision.allowed { Decision::Allow } else { Decision::Refuse },
        reasons: reasons.map(|reason| Reason { policy: reason.policy, text: reason.text }).collect(),
        path: found.path,
    };
    answer::json(StatusCode::OK, &shape)
}

/// `GET /api/access/who-can?action=&resource=`
///
/// # Errors
/// When the caller may not ask about the resource, or the question names what does not exist.
pub async fn who_can(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let request = PageRequest::list(&cx.query)?;
    let wanted = window(&request)?;
    let able = service.who_can(&cx.caller, action(&cx)?, asked(&cx, "resource")?).await?;
    let size = i64::try_from(able.len()).ok();
    let (skip, take) = (usize::try_from(wanted.offset), usize::try_from(wanted.limit));
    let values = able.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or(0)).collect();
    page(&cx, &request, Listing { values, size, more: false }, |able| WhoCan {
        principal: able.principal,
        path: able.path,
    })
}
