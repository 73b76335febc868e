//! Why a request was refused: by the id that stands in every answer.

use axum::http::StatusCode;
use model::{Error, RequestId, Result};
use wire::api::{Reason, Refusal, Refusals};

use super::admitted;
use crate::http::{Cx, Response, answer};

/// `GET /api/audit/refusals/{request_id}`
///
/// # Errors
/// When there is no refusal of this request that the caller may know of.
pub async fn get(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let request: RequestId =
        cx.param("request_id").parse().map_err(|_| Error::not_found("a refusal of this request"))?;
    let refusals = service.refusals(&cx.caller, request).await?;
    let shape = |refusal: service::Refusal| Refusal {
        event: refusal.event.into(),
        reasons: refusal
            .reasons
            .into_iter()
            .map(|reason| Reason { policy: reason.policy, text: reason.text })
            .collect(),
        remedies: refusal.remedies,
        changed_by: refusal.changed_by,
        whole: refusal.whole,
    };
    let shape =
        Refusals { request_id: request.to_string(), refusals: refusals.into_iter().map(shape).collect() };
    answer::json(StatusCode::OK, &shape)
}
